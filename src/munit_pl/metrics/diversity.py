"""Diversity: the mean distance of translations of the same image, or of given pairs of images.

Section 5.2 of Huang et al., 2018: the mean distance of two translations of the same image under
random styles, to be read beside that of random pairs of real images.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from munit_pl.metrics.lpips import FeatureDistance
from munit_pl.metrics.network_metric import NetworkMetric

Pairs = Literal["all", "consecutive"]


def output_distances(outputs: Tensor, distance: FeatureDistance, pairs: Pairs) -> Tensor:
    """Return the distances between translations of one image.

    Each translation passes the network once, however many pairs it is in.

    Args:
        outputs: One image under ``K`` styles, ``(K, C, H, W)`` in [-1, 1].
        distance: How different two images look.
        pairs: "all" ``K (K - 1) / 2`` of them, or "consecutive": each with the next, ``K - 1``.
            Under random styles both have the same expectation, and all the smaller variance.

    Returns:
        ``(P,)``.

    Raises:
        ValueError: If ``pairs`` is unknown or there are fewer than two translations.
    """
    _check(pairs)
    if len(outputs) < 2:
        raise ValueError(
            f"diversity needs at least 2 outputs of each input, but got {len(outputs)}"
        )
    features = distance.features(outputs)
    steps = range(1, len(outputs)) if pairs == "all" else (1,)
    return torch.cat(
        [distance.between([f[:-i] for f in features], [f[i:] for f in features]) for i in steps]
    )


def _check(pairs: Pairs) -> None:
    if pairs not in get_args(Pairs):
        raise ValueError(f"pairs is {pairs!r}, but must be all or consecutive")


class MeanDistance(NetworkMetric[FeatureDistance]):
    """A mean distance, from sums in float64 over all batches and processes."""

    total: Tensor
    count: Tensor

    def __init__(self, distance: FeatureDistance) -> None:
        super().__init__(distance)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def compute(self) -> Tensor:
        """Return the mean, a float64 scalar."""
        return self.total / self.count

    def _add(self, distances: Tensor) -> None:
        self.total = self.total + distances.double().sum()
        self.count = self.count + len(distances)


class Diversity(MeanDistance):
    """The mean distance between translations of the same image under different styles.

    Args:
        distance: How different two images look.
        pairs: Which translations of an image are compared, see `output_distances`. The paper's
            19 pairs for each of 100 images are 20 styles and "consecutive".
    """

    def __init__(self, distance: FeatureDistance, pairs: Pairs) -> None:
        _check(pairs)
        super().__init__(distance)
        self.pairs = pairs

    @torch.no_grad()
    def update(self, outputs: Tensor) -> None:
        """Add translations of ``N`` images under ``K`` styles, ``(N, K, C, H, W)`` in [-1, 1].

        One image's translations are in memory at a time. Every image counts the same, whatever
        the ``K`` of its call.

        Raises:
            ValueError: If the shape is another or ``K`` is below 2.
        """
        if outputs.ndim != 5:
            raise ValueError(f"outputs must be (N, K, C, H, W), but are {tuple(outputs.shape)}")
        for one in outputs:
            self._add(output_distances(one, self.network, self.pairs).double().mean()[None])


class PairDistance(MeanDistance):
    """The mean distance of given pairs: of random real images, or of outputs and their truths.

    Args:
        distance: How different two images look.
    """

    @torch.no_grad()
    def update(self, x: Tensor, y: Tensor) -> None:
        """Add the pairs ``(x[i], y[i])`` of images ``(N, C, H, W)`` in [-1, 1].

        Raises:
            ValueError: If the shapes differ.
        """
        if x.shape != y.shape or x.ndim != 4:
            raise ValueError(
                f"pairs must be two of (N, C, H, W), but are {tuple(x.shape)} and {tuple(y.shape)}"
            )
        self._add(self.network(x, y))
