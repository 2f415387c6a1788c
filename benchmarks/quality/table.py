"""Write OUT/table.md, and OUT/SET/MINUTES/picture.png for each set and time, of what is done.

python -m benchmarks.quality.table OUT
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from benchmarks.quality import SETS
from benchmarks.quality.picture import draw_rows
from benchmarks.quality.rows import rows
from munit_pl.io.files import write_whole

Metrics = Mapping[str, float | None]
Runs = Mapping[str, Sequence[Mapping[str, Any]]]  # the metrics.json of each row's seeds


class Column(NamedTuple):
    """A metric of the runs.

    Attributes:
        key: Its key in a run's metrics.
        title: What it is called.
        decimals: How it is rounded.
    """

    key: str
    title: str
    decimals: int


_COLUMNS = (
    Column("modes", "modes of 5 ↑", 2),
    Column("share_distance", "shares: TV ↓", 2),
    Column("nearest_error", "nearest: error ↓", 1),
    Column("example_error", "example: error ↓", 1),
    Column("chance_error", "another's", 1),
    Column("ignored_error", "ignored", 1),
    Column("shape", "shape ↑", 3),
    Column("kernel_distance", "KD ↓", 3),
    Column("spread", "spread, of the truth's", 2),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the tables and pictures, and print the former."""
    parser = argparse.ArgumentParser(description="Make the quality benchmark's table and pictures.")
    parser.add_argument("out", type=Path, help="where benchmarks.quality.run left its results")
    out = parser.parse_args(argv).out
    parts = []
    for folder in _folders(out):
        runs = _read_runs(folder)
        perfect = json.loads((folder.parent / "perfect.json").read_text())
        parts.append(make_table(f"{folder.parent.name}, {folder.name} minutes", runs, perfect))
        draw_rows(out / "sets" / folder.parent.name, folder, list(runs)).save(
            folder / "picture.png"
        )
    if not parts:
        sys.exit(f"{out} holds no metrics: python -m benchmarks.quality.run makes them")
    text = "\n".join(parts)
    write_whole(out / "table.md", text)
    print(text)


def make_table(title: str, runs: Runs, perfect: Metrics) -> str:
    """Return the table of one set and time.

    Args:
        title: What they are.
        runs: The ``metrics.json`` of each row's seeds, at least one row's.
        perfect: A perfect model's metrics.
    """
    found = {"perfect": [perfect]} | {
        name: [run["metrics"] for run in done] for name, done in runs.items()
    }
    columns = [column for column in _COLUMNS if column.key in perfect]
    lines = [_line("", *(c.title for c in columns), "iterations", "seeds")]
    lines.append("|---" * (len(columns) + 3) + "|")
    for name, metrics in found.items():
        cells = [summarize([f.get(c.key) for f in metrics], c.decimals) for c in columns]
        done = runs.get(name, [])
        steps = " to ".join(str(n) for n in sorted({run["steps"] for run in done}))
        lines.append(_line(name, *cells, steps, str(len(done) or "")))
    return "\n".join([f"## {title}", "", *lines, ""])


def summarize(values: Sequence[float | None], decimals: int) -> str:
    """Return the mean with the lowest and highest; "-" where a run has no such metric."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return "-"
    shown = f"{mean(known):.{decimals}f}"
    if len(known) == 1:
        return shown
    return f"{shown} ({min(known):.{decimals}f}-{max(known):.{decimals}f})"


def _folders(out: Path) -> Iterator[Path]:
    """Yield the folders of sets and times that hold metrics."""
    for name in SETS:
        times = {path.parents[2] for path in out.glob(f"{name}/*/*/*/metrics.json")}
        yield from sorted(times, key=lambda folder: float(folder.name))


def _read_runs(folder: Path) -> dict[str, list[Any]]:
    """Return what rows have done, in their order."""
    files = {name: sorted(folder.glob(f"{name}/*/metrics.json")) for name in rows()}
    return {
        name: [json.loads(f.read_text()) for f in found] for name, found in files.items() if found
    }


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
