"""The energy distance of two sets of points, which takes no choice of bins or kernels."""

import torch
from torch import Tensor


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return the energy distance of two sets of points.

    ``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` (Székely & Rizzo, 2013) as a V-statistic: each mean is
    over all pairs, those of a point with itself included. It is so exactly the distance between
    the two sets, 0 if and only if they are equally distributed, and at no time below 0; as an
    estimate of the distance between the distributions that they were drawn from it is too large
    by a term that shrinks as 1 / N + 1 / M.

    Args:
        x: Points, ``(N, d)``.
        y: Points, ``(M, d)``.

    Returns:
        A float64 scalar, in the points' unit; no root is taken.

    Raises:
        ValueError: If the shapes do not fit or a set is empty.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise ValueError(
            f"the energy distance needs points (N, d) and (M, d), but got {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    x, y = x.double(), y.double()
    return 2 * _mean_distance(x, y) - _mean_distance(x, x) - _mean_distance(y, y)


def _mean_distance(x: Tensor, y: Tensor) -> Tensor:
    # The faster way over dot products gives a point a distance of its own rounding to itself.
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").mean()
