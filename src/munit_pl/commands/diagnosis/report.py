"""The report, as a page and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from munit_pl.io.files import write_whole

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>munit-doctor: {verdict}</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 1000px; margin: auto; padding: 20px; }}
table {{ border-collapse: collapse; margin-bottom: 28px; }}
th, td {{ padding: 4px 18px 4px 0; border-bottom: 1px solid #8886; text-align: left; }}
td.failed, td.differs {{ color: #c33; font-weight: 600; }}
</style></head><body>
<h1>munit-doctor: {verdict}</h1>
<p>Each row is a training of a few iterations, compared with the same one in float64 on the CPU.
Attach <code>report.json</code> where you ask for help: it names no user and no path.</p>
<table>
<tr><th>training</th><th>verdict</th><th>why</th><th>s an iteration</th><th>peak, GiB</th></tr>
{rows}</table>
<h2>The machine</h2>
<table>{facts}</table>
</body></html>
"""


def write_report(
    folder: Path, machine: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]
) -> None:
    """Write ``report.html`` and ``report.json``.

    Args:
        folder: Where to.
        machine: See `describe_machine`.
        trials: Of each "name", "verdict", "why", and what came of it.
    """
    told = json.dumps({"machine": machine, "trials": trials}, indent=1)
    write_whole(folder / "report.json", told)
    rows = "".join(
        f'<tr><td>{escape(one["name"])}</td><td class="{one["verdict"]}">{one["verdict"]}</td>'
        f"<td>{escape(one['why'])}</td><td>{seconds(one)}</td><td>{peak(one)}</td></tr>\n"
        for one in trials
    )
    facts = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>\n"
        for name, value in _flat(machine)
    )
    page = _PAGE.format(verdict=overall(trials), rows=rows, facts=facts)
    write_whole(folder / "report.html", page)


def overall(trials: Sequence[Mapping[str, Any]]) -> str:
    """Return "all well", or how many trials are not."""
    bad = sum(one["verdict"] != "ok" for one in trials)
    return f"{bad} of {len(trials)} not as they should be" if bad else "all well"


def seconds(one: Mapping[str, Any]) -> str:
    """Return a trial's time of an iteration, as it is shown."""
    return f"{one['seconds']:.3f}" if "seconds" in one else "-"


def peak(one: Mapping[str, Any]) -> str:
    """Return a trial's memory in GiB, likewise."""
    return f"{one['peak'] / 2**30:.2f}" if one.get("peak") else "-"


def _flat(machine: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in machine.items():
        if isinstance(value, Mapping):
            yield from value.items()
        elif name == "devices":
            for i, device in enumerate(value):
                yield f"device {i}", ", ".join(f"{k} {v}" for k, v in device.items())
        else:
            yield name, value
