"""A run's folder as one page, ``index.html``, which shows its files and needs no network."""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import yaml

from munit_pl.io.files import write_whole
from munit_pl.io.templates import load_template
from munit_pl.reports import curves
from munit_pl.reports.logs import Points, by_domain, log_files, read_logs

_SECTIONS = {  # by the part before the slash
    "gen": "Generators",
    "dis": "Discriminators",
    "style": "Encoded styles",
    "val": "Validation",
    "eval": "Evaluation",
}
_OTHER = "Rates, gradients, speed"
_ASIDE = ("lr", "grad_norm")  # no terms, whatever part they are of
_FIRST = ("gen/total", "dis/total", "val/image", "speed/images_per_second")
_DIRECTIONS = {"a2b": "a to b", "b2a": "b to a"}


def write_run_page(folder: Path, state: str, facts: Mapping[str, str]) -> None:
    """Write ``index.html`` into a run's folder, from what lies there.

    Pictures are those of ``grids/``, named relatively, so that the folder can be moved; curves are
    those of ``csv/``; settings are those of ``.hydra/``. What is not there is left out.

    Args:
        folder: The run's.
        state: How far the run is, in words.
        facts: What else to say of it, by name.

    Raises:
        OSError: If the page cannot be written.
    """
    grids = _find_grids(folder)
    logs = read_logs(log_files(folder))
    page = load_template("munit_pl.reports", "run_page.html.jinja").render(
        title=f"{folder.absolute().parent.name}/{folder.absolute().name}",
        state=state,
        figures=_last_values(logs),
        drawn=_drawn(folder),
        grids=grids,
        sections=_sections(logs),
        svg=curves,
        facts=facts,
        overrides=" ".join(_overrides(folder)),
        settings=_read(folder / ".hydra" / "config.yaml"),
    )
    write_whole(folder / "index.html", page)


def _find_grids(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the grids in order: by iteration, as their names have it, addresses and captions."""
    grids: dict[str, list[tuple[str, str]]] = {}
    for file in sorted((folder / "grids").glob("*_?2?.png")):
        step, _, direction = file.stem.rpartition("_")
        if step.isdecimal() and direction in _DIRECTIONS:
            text = f"{_DIRECTIONS[direction]}, iteration {int(step)}"
            grids.setdefault(step, []).append((f"grids/{quote(file.name)}", text))
    return dict(sorted(grids.items(), key=lambda item: int(item[0])))


def _last_values(logs: Mapping[str, Points]) -> dict[str, float]:
    """Return the last values of what says most."""
    evaluated = [column for column in logs if column.startswith("eval/")]
    return {
        column: list(logs[column].values())[-1]
        for column in (*_FIRST, *evaluated)
        if column in logs
    }


def _sections(logs: Mapping[str, Points]) -> dict[str, list[curves.Panel]]:
    panels: dict[str, dict[str, dict[str, Points]]] = {}
    for column, points in logs.items():
        title, domain = by_domain(column)
        part, _, name = column.partition("/")
        section = _SECTIONS.get(part, _OTHER) if name not in _ASIDE else _OTHER
        panels.setdefault(section, {}).setdefault(title, {})[domain] = points
    return {
        section: [curves.lay_out(title, both) for title, both in panels[section].items()]
        for section in (*_SECTIONS.values(), _OTHER)
        if section in panels
    }


def _drawn(folder: Path) -> dict[str, float]:
    """Return what `DrawnReport` has measured of a run on the drawn shoes."""
    try:
        return dict(json.loads(_read(folder / "drawn.json") or "{}"))
    except ValueError:
        return {}


def _overrides(folder: Path) -> list[str]:
    found = yaml.safe_load(_read(folder / ".hydra" / "overrides.yaml") or "[]")
    return [str(word) for word in found] if isinstance(found, list) else []


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""
