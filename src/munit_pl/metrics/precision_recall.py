"""Precision, recall, density and coverage, by nearest neighbors of features.

Improved precision and recall (Kynkäänniemi et al., 2019); density and coverage (Naeem et al.,
2020). All four put a closed ball around each point of a set, that reaches to the point's ``k``-th
nearest neighbor in its set, itself not counted, and ask which points of the other set lie in it.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from munit_pl.checks import PositiveInt, checked

_CHUNK = 1024  # rows of a matrix of distances that are in memory at a time

# What squared distances may be off by, over the largest squared norm: a ball is closed, and that
# of an image that is in the set several times has no radius.
_ROUNDING = 1e-12


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[Tensor, Tensor]:
    """Return improved precision and recall (Kynkäänniemi et al., 2019).

    Args:
        real: Features of real images, ``(N, d)``.
        fake: Features of outputs, ``(M, d)``.
        k: Which neighbor a ball reaches to; the paper has 3.

    Returns:
        Two float64 scalars in [0, 1].

    Raises:
        ValueError: If the shapes do not fit or a set has fewer than ``k + 1`` points.
    """
    real, fake = _checked(real, fake, k)
    precision = torch.cat([balls.any(1) for balls in _inside(fake, real, _radii(real, k))])
    recall = torch.cat([balls.any(1) for balls in _inside(real, fake, _radii(fake, k))])
    return precision.double().mean(), recall.double().mean()


def density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> tuple[Tensor, Tensor]:
    """Return density and coverage (Naeem et al., 2020).

    Balls are around real images alone, so an outlier among the outputs does not count for much.

    Args:
        real: Features of real images, ``(N, d)``.
        fake: Features of outputs, ``(M, d)``.
        k: Which neighbor a ball reaches to; the paper has 5.

    Returns:
        Two float64 scalars: density of at least 0, coverage in [0, 1].

    Raises:
        ValueError: If the shapes do not fit or a set has fewer than ``k + 1`` points.
    """
    real, fake = _checked(real, fake, k)
    hits = torch.zeros(len(real), dtype=torch.float64, device=real.device)
    for balls in _inside(fake, real, _radii(real, k)):
        hits += balls.sum(0)
    return hits.sum() / (k * len(fake)), (hits > 0).double().mean()


@checked
def _checked(real: Tensor, fake: Tensor, k: PositiveInt) -> tuple[Tensor, Tensor]:
    """Return both sets in float64, about the real ones' mean."""
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"features must be (N, d) and (M, d), but are {tuple(real.shape)} and "
            f"{tuple(fake.shape)}"
        )
    if min(len(real), len(fake)) <= k:
        raise ValueError(
            f"{len(real)} real images and {len(fake)} outputs are too few: with k={k} there must "
            f"be at least {k + 1} of each"
        )
    mean = real.double().mean(0)
    return real.double() - mean, fake.double() - mean


def _squared_distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Yield the squared distances of a few points of ``x`` at a time from all of ``y``.

    Over dot products, 25 times as fast on a CPU as difference by difference, and good to some
    1e-14 of the squared norms.
    """
    norms = y.square().sum(1)
    for rows in torch.split(x, _CHUNK):
        yield rows.square().sum(1, keepdim=True) + norms - 2 * rows @ y.T


def _radii(x: Tensor, k: int) -> Tensor:
    """Return each point's squared distance to its ``k``-th nearest neighbor, ``(N,)``."""
    # Each point is among its own nearest, so the neighbor is one further.
    return torch.cat([rows.kthvalue(k + 1, dim=1).values for rows in _squared_distances(x, x)])


def _inside(points: Tensor, centers: Tensor, radii: Tensor) -> Iterator[Tensor]:
    """Yield which balls each point lies in, a few points at a time, bool ``(rows, centers)``."""
    largest = torch.cat([points, centers]).square().sum(1).max()
    for rows in _squared_distances(points, centers):
        yield rows <= radii + _ROUNDING * largest
