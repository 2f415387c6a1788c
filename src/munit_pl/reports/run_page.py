"""A run's folder as one page, ``index.html``, which shows its files and needs no network."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import quote

import yaml

from munit_pl.io.files import write_whole
from munit_pl.reports.curves import draw_sections
from munit_pl.reports.logs import Points, log_files, read_logs

_FIRST = ("gen/total", "dis/total", "val/image", "speed/images_per_second")
_DIRECTIONS = ("a2b", "b2a")


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
    here = files("munit_pl.reports")
    page = Template(here.joinpath("run_page.html").read_text(encoding="utf-8")).substitute(
        style=here.joinpath("page.css").read_text(encoding="utf-8"),
        title=escape(f"{folder.absolute().parent.name}/{folder.absolute().name}"),
        state=escape(state),
        cards="".join(_cards(logs)),
        drawn=_drawn(folder),
        newest=_newest(grids),
        strip="".join(_strip(grids)),
        steps=json.dumps(list(grids)),
        curves=draw_sections(logs) or "<p>There are none yet, or the run logs no CSV.</p>",
        facts="".join(_rows(facts)),
        overrides=escape(" ".join(_overrides(folder))) or "none",
        settings=escape(_read(folder / ".hydra" / "config.yaml")),
    )
    write_whole(folder / "index.html", page)


def _find_grids(folder: Path) -> dict[str, list[str]]:
    """Return the pictures' addresses, by the iteration as their names have it, in order."""
    grids: dict[str, list[str]] = {}
    for file in sorted((folder / "grids").glob("*_?2?.png")):
        step, _, direction = file.stem.rpartition("_")
        if step.isdecimal() and direction in _DIRECTIONS:
            grids.setdefault(step, []).append(f"grids/{quote(file.name)}")
    return dict(sorted(grids.items(), key=lambda item: int(item[0])))


def _newest(grids: Mapping[str, list[str]]) -> str:
    if not grids:
        return "<p>There is none yet.</p>"
    step, pictures = list(grids.items())[-1]
    shown = "".join(_picture(picture, step, eager=True) for picture in pictures)
    last = len(grids) - 1
    slider = (
        f'<label hidden>iteration <output>{int(step)}</output><input type="range" min="0" '
        f'max="{last}" value="{last}" aria-label="iteration"></label>'
    )
    return f'{slider}<div class="newest">{shown}</div>'


def _strip(grids: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield small pictures, of the newest first: a long run has thousands, read as one scrolls."""
    for step, pictures in reversed(list(grids.items())):
        shown = "".join(_picture(picture, step) for picture in pictures)
        yield f"<figure><figcaption>{int(step)}</figcaption>{shown}</figure>"


def _picture(address: str, step: str, eager: bool = False) -> str:
    direction = "a to b" if address.endswith("a2b.png") else "b to a"
    lazy = "" if eager else ' loading="lazy"'
    text = f"{direction}, iteration {int(step)}"
    return f'<a href="{address}"><img src="{address}" alt="{text}" title="{text}"{lazy}></a>'


def _cards(logs: Mapping[str, Points]) -> Iterator[str]:
    """Yield the last values of what says most."""
    evaluated = [column for column in logs if column.startswith("eval/")]
    for column in (*_FIRST, *evaluated):
        if column in logs:
            value = list(logs[column].values())[-1]
            yield f"<div><b>{value:.4g}</b>{escape(column)}</div>"


def _drawn(folder: Path) -> str:
    """Return what `DrawnReport` has left of a run on the drawn shoes."""
    try:
        metrics: dict[str, float] = json.loads(_read(folder / "drawn.json") or "{}")
    except ValueError:
        metrics = {}
    if not metrics:
        return ""
    rows = "".join(_rows({key: f"{value:.4g}" for key, value in metrics.items()}))
    picture = '<a href="drawn.png"><img src="drawn.png" alt="test drawings, translated"></a>'
    return (
        '<section><h2>On test drawings</h2><div class="wide">'
        f"{picture}</div><details><summary>Metrics</summary><table>{rows}</table></details>"
        "</section>"
    )


def _rows(values: Mapping[str, str]) -> Iterator[str]:
    for name, value in values.items():
        yield f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'


def _overrides(folder: Path) -> list[str]:
    found = yaml.safe_load(_read(folder / ".hydra" / "overrides.yaml") or "[]")
    return [str(word) for word in found] if isinstance(found, list) else []


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""
