"""Curves as inline SVG, without a plotting package."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from markupsafe import Markup

from munit_pl.reports.logs import Points, by_domain

_WIDTH, _HEIGHT = 380, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 8, 22  # margins
_POINTS = 240  # of a line at most: more would not be seen
_ROBUST = 50  # values from which on the scale leaves the outermost hundredths out

_SECTIONS = {  # by the part before the slash
    "gen": "Generators",
    "dis": "Discriminators",
    "style": "Encoded styles",
    "val": "Validation",
    "eval": "Evaluation",
}
_OTHER = "Rates, gradients, speed"
_ASIDE = ("lr", "grad_norm")  # no terms, whatever part they are of

Line = list[tuple[float, float]]


def draw_sections(logs: Mapping[str, Points]) -> Markup:
    """Return the sections of a page that have all of a run's curves, both domains' together.

    Args:
        logs: Values by iteration, by column: `munit_pl.reports.logs.read_logs`.
    """
    panels: dict[str, dict[str, dict[str, Points]]] = {}
    for column, points in logs.items():
        title, domain = by_domain(column)
        part, _, name = column.partition("/")
        section = _SECTIONS.get(part, _OTHER) if name not in _ASIDE else _OTHER
        panels.setdefault(section, {}).setdefault(title, {})[domain] = points
    html = ""
    for section in (*_SECTIONS.values(), _OTHER):
        if section in panels:
            drawn = "".join(draw_panel(title, them) for title, them in panels[section].items())
            html += f'<h3>{section}</h3><div class="panels">{drawn}</div>'
    return Markup(html)  # all that comes from files is escaped


def draw_panel(title: str, curves: Mapping[str, Points]) -> str:
    """Draw curves on one scale, each as logged and, more heavily, as a moving average.

    Args:
        title: What they show.
        curves: One or two, each with at least one value, by what tells them apart.

    Returns:
        A ``figure`` element; its legend has the last values.
    """
    raw = {name: thin(list(points.items())) for name, points in curves.items()}
    smooth = {name: smoothed(line) for name, line in raw.items()}
    low, high = _scale([value for points in curves.values() for value in points.values()])
    first = min(min(points) for points in curves.values())
    last = max(max(points) for points in curves.values())

    def place(line: Line) -> str:
        span, height = (last - first) or 1.0, high - low
        return " ".join(
            f"{_LEFT + (x - first) / span * (_WIDTH - _LEFT - _RIGHT):.1f},"
            f"{_TOP + (high - min(max(y, low), high)) / height * (_HEIGHT - _TOP - _BOTTOM):.1f}"
            for x, y in line
        )

    drawn = [_axis(y, place([(first, y)])) for y in ticks(low, high)]
    drawn += [_end(first, _LEFT, "start"), _end(last, _WIDTH - _RIGHT, "end")]
    for lines, weight in ((raw, "raw"), (smooth, "smooth")):
        for i, line in enumerate(lines.values()):
            drawn.append(f'<polyline class="{weight} line{i}" points="{place(line)}"/>')
    legend = "".join(
        f'<span class="key{i}">{escape(name)} {value:.4g}</span>'
        for i, (name, value) in enumerate((n, list(p.values())[-1]) for n, p in curves.items())
    )
    return (
        f"<figure><figcaption><b>{escape(title)}</b>{legend}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(drawn)}</svg></figure>"
    )


def thin(line: Line) -> Line:
    """Return at most `_POINTS` points, means of neighbors."""
    share = math.ceil(len(line) / _POINTS)
    parts = [line[i : i + share] for i in range(0, len(line), share)]
    return [(_mean([x for x, _ in part]), _mean([y for _, y in part])) for part in parts]


def smoothed(line: Line) -> Line:
    """Return the moving average over a twentieth of the line, over less at its ends."""
    reach = len(line) // 40
    values = [y for _, y in line]
    return [(x, _mean(values[max(0, i - reach) : i + reach + 1])) for i, (x, _) in enumerate(line)]


def ticks(low: float, high: float) -> list[float]:
    """Return two to five round numbers from ``low`` to ``high``, which is larger."""
    power = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(power * m for m in (1, 2, 5, 10) if (high - low) / (power * m) <= 4)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value to show, a little apart."""
    ordered = sorted(values)
    out = len(ordered) // 100 if len(ordered) >= _ROBUST else 0
    low, high = ordered[out], ordered[-1 - out]
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return low - room, high + room


def _axis(value: float, point: str) -> str:
    y = float(point.partition(",")[2])
    return (
        f'<path class="rule" d="M{_LEFT},{y}H{_WIDTH - _RIGHT}"/>'
        f'<text x="{_LEFT - 5}" y="{y + 3.5}" text-anchor="end">{value:.4g}</text>'
    )


def _end(iteration: float, x: float, anchor: str) -> str:
    return f'<text x="{x}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{iteration + 1:.0f}</text>'


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
