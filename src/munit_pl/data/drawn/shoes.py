"""The shapes and colors of the embedded shoes: numbers and curves, no pixels.

A shoe stands on ``y = 0`` with its heel near ``x = 0`` and its toe near ``x = 10``; y points up.
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import torch

Kind = Literal["sneaker", "boot", "heel"]
Color = tuple[float, float, float]
Points = npt.NDArray[np.float64]

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Shoe:
    """What one shoe looks like: its content (all but the colors) and its style (the colors).

    Attributes:
        kind: Which of the three shapes.
        faces_left: Whether the toe points left.
        height: Height of collar, shaft or stem, in [0, 1] of the kind's range.
        toe: Height of the toe, in [0, 1] of the kind's range.
        sole_height: Thickness of the sole (of the stem too, on a heel), in [0, 1] of its range.
        opening: Where the front of the opening lies, in [0, 1] of the kind's range.
        laces: Number of laces, 3 to 5; a heel shows none.
        body: Color of the upper, RGB in [0, 1].
        sole: Color of the sole, RGB in [0, 1].
    """

    kind: Kind
    faces_left: bool
    height: float
    toe: float
    sole_height: float
    opening: float
    laces: int
    body: Color
    sole: Color


class Parts(NamedTuple):
    """A shoe's curves, each ``(n, 2)``.

    Attributes:
        upper: Closed outline of the upper; its lower edge hides behind the sole.
        sole: Closed outline of the sole, in front of the upper.
        details: Open lines on the upper: toe cap, laces, seams. Only what lies on it shows.
    """

    upper: Points
    sole: Points
    details: list[Points]


def sample_shoe(rng: torch.Generator) -> Shoe:
    """Draw a shoe whose colors are independent of its shape.

    Hues are uniform. The smallest channel of body and sole is at most 0.5, so that neither can be
    taken for the white ground.
    """
    u = torch.rand(13, generator=rng, dtype=torch.float64).tolist()
    return Shoe(
        kind=KINDS[int(u[0] * len(KINDS))],
        faces_left=u[1] < 0.5,
        height=u[2],
        toe=u[3],
        sole_height=u[4],
        opening=u[5],
        laces=3 + int(u[6] * 3),
        body=colorsys.hsv_to_rgb(u[7], 0.5 + 0.5 * u[8], 0.4 + 0.6 * u[9]),
        sole=colorsys.hsv_to_rgb(u[10], 0.7 * u[11], 0.12 + 0.38 * u[12]),
    )


def shoe_parts(shoe: Shoe) -> Parts:
    """Return the curves of ``shoe``, toe to the right."""
    return _BUILDERS[shoe.kind](shoe)


def _curve(*points: tuple[float, float]) -> Points:
    """Return a Catmull-Rom spline through the points, ``(8 * (n - 1) + 1, 2)``.

    Below, long calls unpack rows of points, which keeps several of them on a line.
    """
    p = np.array(points)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, 8, endpoint=False)[:, None]
    p0, p1, p2, p3 = (p[i : len(p) - 3 + i, None] for i in range(4))
    step, slope1, slope2 = p2 - p1, (p2 - p0) / 2, (p3 - p1) / 2
    cubic = 3 * step - 2 * slope1 - slope2 + t * (slope1 + slope2 - 2 * step)
    spline = p1 + t * (slope1 + t * cubic)
    return np.concatenate([spline.reshape(-1, 2), p[-2:-1]])


def _joined(*curves: Points) -> Points:
    """Join curves into one closed outline; it has a corner wherever two of them meet."""
    return np.concatenate(curves)


def _tucked(seam: Points) -> Points:
    """Lower the line where upper and sole meet, so that the upper ends behind the sole."""
    return seam - np.array([0, 0.2])


def _laces(front: Points, count: int, first: float, last: float) -> list[Points]:
    """Return ``count`` short lines that hang inwards from the curve ``front``.

    They start evenly between the shares ``first`` and ``last`` of its length.
    """
    length = np.hypot(*np.diff(front, axis=0).T).cumsum()
    marks = np.linspace(first, last, count) * length[-1]
    x, y = (np.interp(marks, [0, *length], front[:, axis]) for axis in (0, 1))
    return [np.array([[u, v], [u - 0.8, v - 0.8]]) for u, v in zip(x, y, strict=True)]


def _sneaker(shoe: Shoe) -> Parts:
    top = 1.0 + 0.6 * shoe.sole_height  # of the sole
    collar = top + 3.1 + 1.2 * shoe.height
    toe = top + 1.4 + 0.6 * shoe.toe
    tongue = 3.4 + 0.9 * shoe.opening

    seam = _curve((10.15, top + 0.1), (8, top), (4.5, top), (2, top + 0.1), (-0.15, top + 0.2))
    under = _curve(
        *((-0.15, top + 0.2), (-0.3, top - 0.2), (-0.2, 0.4), (0.6, 0), (4, 0), (8.2, 0)),
        *((9.6, 0.3), (10.3, top - 0.25), (10.15, top + 0.1)),
    )
    heel = _curve((0, top), (-0.05, top + 0.9), (0.2, collar - 1.3), (0, collar + 0.2))
    opening = _curve(
        *((0, collar + 0.2), (0.4, collar + 0.3), (1.5, collar - 0.5), (2.5, collar - 0.35)),
        *((tongue - 0.5, collar + 0.4), (tongue, collar + 0.8)),
    )
    front = _curve(
        *((tongue, collar + 0.8), (tongue + 0.6, collar + 0.6), (5.8, 0.7 * collar + 0.3 * toe)),
        *((7.2, toe + 0.55), (8.5, toe + 0.1), (9.7, toe - 0.6), (10, top)),
    )
    details = [
        _curve((8.2, toe + 0.4), (7.3, toe - 0.5), (7.1, top - 0.2)),
        _curve((-0.2, top + 1.7), (1.3, top + 1.6), (2.1, top + 0.9), (2.3, top - 0.2)),
        *_laces(front, shoe.laces, 0.12, 0.46),
    ]
    return Parts(_joined(heel, opening, front, _tucked(seam)), _joined(seam, under), details)


def _boot(shoe: Shoe) -> Parts:
    top = 0.65 + 0.4 * shoe.sole_height  # of the sole under the ball
    seat = top + 0.7
    shaft = 8.2 + 2.8 * shoe.height
    toe = top + 1.3 + 0.6 * shoe.toe
    front_x = 4.0 + 0.7 * shoe.opening

    seam = _curve((10.1, top + 0.1), (8.6, top), (6, top + 0.05), (3.4, seat), (-0.1, seat))
    under = _joined(
        _curve((-0.1, seat), (-0.15, seat / 2), (0.05, 0)),
        _curve((0.05, 0), (2.7, 0)),
        _curve((2.7, 0), (2.9, 0.6)),
        _curve(
            *((2.9, 0.6), (4.2, 0.55), (5.6, 0.1), (8, 0)),
            *((9.5, 0.2), (10.2, 0.6), (10.1, top + 0.1)),
        ),
    )
    back = _curve((0, seat), (-0.1, seat + 1), (0.5, 4.4), (0.3, 0.7 * shaft), (0, shaft + 0.2))
    opening = _curve((0, shaft + 0.2), (front_x / 2, shaft - 0.1), (front_x, shaft))
    front = _curve(
        *((front_x, shaft), (front_x - 0.2, 0.75 * shaft), (front_x + 0.05, 5.7)),
        *((front_x + 1.1, 4.4), (7.2, toe + 1.0), (8.7, toe + 0.35), (9.7, toe - 0.6), (9.95, top)),
    )
    details = [
        _curve((8.2, toe + 0.8), (7.3, toe - 0.2), (7.1, top - 0.2)),
        _curve((-0.2, shaft - 0.8), (front_x / 2, shaft - 1.1), (front_x + 0.2, shaft - 1.0)),
        _curve((-0.2, seat + 2.1), (1.4, seat + 1.9), (2.3, seat + 1), (2.5, seat - 0.2)),
        *_laces(front, shoe.laces, 0.2, 0.62),
    ]
    return Parts(_joined(back, opening, front, _tucked(seam)), _joined(seam, under), details)


def _heel(shoe: Shoe) -> Parts:
    seat = 2.6 + 1.4 * shoe.height
    arch = seat / 2 + 0.3
    stem = 0.55 + 0.35 * shoe.sole_height  # its width on the ground; 2 pixels of 64 at the least
    toe = 1.6 + 0.5 * shoe.toe
    vamp = 5.9 + 0.9 * shoe.opening

    seam = _curve(
        *((10.4, 0.4), (9, 0.45), (7.4, 0.45), (6.1, 0.95), (4.5, arch), (2.6, seat - 0.1)),
        *((0.05, seat + 0.3),),
    )
    under = _joined(
        _curve((0.05, seat + 0.3), (0.1, seat - 0.5), (0.5, 0.4 * seat), (0.6, 0)),
        _curve((0.6, 0), (0.6 + stem, 0)),
        _curve(
            *((0.6 + stem, 0), (0.65 + stem, 0.45 * seat)),
            *((1.1 + stem, seat - 0.9), (2.6, seat - 0.65)),
        ),
        _curve((2.6, seat - 0.65), (4.5, arch - 0.5), (6.1, 0.35), (7.2, 0), (9.2, 0), (10.4, 0.4)),
    )
    back = _curve((0.1, seat + 0.2), (-0.15, seat + 1.1), (0.1, seat + 2.4), (0, seat + 3.4))
    topline = _curve(
        *((0, seat + 3.4), (1, seat + 3.0), (2.7, seat + 2.1), (vamp - 1.6, toe + 2.2)),
        *((vamp - 0.7, toe + 2.0), (vamp, toe + 2.1)),
    )
    front = _curve((vamp, toe + 2.1), (8.0, toe + 0.7), (9.6, 0.7 * toe), (10.35, 0.4))
    details = [
        _curve((8.6, toe + 0.6), (8.0, toe - 0.3), (7.9, 0)),
        _curve((1.9, seat + 2.9), (2.1, seat + 1.2), (2.5, seat - 0.2)),
    ]
    return Parts(_joined(back, topline, front, _tucked(seam)), _joined(seam, under), details)


_BUILDERS: dict[Kind, Callable[[Shoe], Parts]] = {
    "sneaker": _sneaker,
    "boot": _boot,
    "heel": _heel,
}
