"""Curves laid out for an SVG in a page."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from munit_pl.reports.logs import Points

WIDTH, HEIGHT = 380, 180
LEFT, RIGHT, _TOP, _BOTTOM = 56, 8, 8, 22  # margins
_POINTS = 240  # of a line at most: more would not be seen
_ROBUST = 50  # values from which on the scale leaves the outermost hundredths out

Line = list[tuple[float, float]]


class Panel(NamedTuple):
    """Curves on one scale, laid out for an SVG."""

    title: str
    legend: list[str]  # what tells the curves apart, with their last values
    lines: dict[str, str]  # points by class: as logged and, more heavily, as a moving average
    ticks: list[tuple[float, float]]  # values on the scale, each with its height
    first: int  # iteration, counted from 1
    last: int


def lay_out(title: str, curves: Mapping[str, Points]) -> Panel:
    """Lay out one or two curves, each with at least one value, by what tells them apart."""
    raw = {name: thin(list(points.items())) for name, points in curves.items()}
    smooth = {name: smoothed(line) for name, line in raw.items()}
    low, high = _scale([value for points in curves.values() for value in points.values()])
    first = min(min(points) for points in curves.values())
    last = max(max(points) for points in curves.values())

    def across(x: float) -> float:
        return LEFT + (x - first) / ((last - first) or 1.0) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        return _TOP + (high - min(max(y, low), high)) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    return Panel(
        title,
        [f"{name} {list(points.values())[-1]:.4g}" for name, points in curves.items()],
        {
            f"{weight} line{i}": " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in line)
            for lines, weight in ((raw, "raw"), (smooth, "smooth"))
            for i, line in enumerate(lines.values())
        },
        [(y, round(down(y), 1)) for y in ticks(low, high)],
        round(first + 1),
        round(last + 1),
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


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
