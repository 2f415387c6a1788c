"""FID, KID and IS, and precision, recall, density and coverage, from one pass of a network."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd
from torchmetrics.utilities.data import dim_zero_cat

from munit_pl.metrics.inception_score import mean_divergence
from munit_pl.metrics.precision_recall import density_coverage, precision_recall
from munit_pl.randomness import rng_for

_ESTIMATES = 100  # of the kernel distance, each from other subsets


class DistributionDistances(NamedTuple):
    """A set of outputs against a set of real images, each as a float64 scalar.

    Only with FID's network are they FID, KID and IS; with another they are its own.

    Attributes:
        fd: Fréchet distance of the Gaussians fitted to the features (Heusel et al., 2017).
        kd: Kernel distance, the mean of KID's estimates (Binkowski et al., 2018).
        inception: Inception Score of the outputs, over one split (Salimans et al., 2016).
        precision: See `precision_recall`.
        recall: Likewise.
        density: See `density_coverage`.
        coverage: Likewise.
    """

    fd: Tensor
    kd: Tensor
    inception: Tensor
    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


class DistributionMetrics(Metric):
    """The distances of `DistributionDistances`, of features that a network has computed.

    All features are kept. Processes may have unequal shares of the images, unlike with
    torchmetrics' KID and IS, whose states ask for as many updates in each.

    Args:
        kernel_subset: Images of each set in one estimate of the kernel distance.
        seed: What the estimates' subsets depend on.

    Attributes:
        smallest: Images of either set at least: density asks for a fifth neighbor.
    """

    full_state_update = False
    smallest = 6
    real: list[Tensor]
    outputs: list[Tensor]
    logits: list[Tensor]

    def __init__(self, kernel_subset: int = 100, seed: int = 0) -> None:
        super().__init__()
        self.kernel_subset = kernel_subset
        self.seed = seed
        for name in ("real", "outputs", "logits"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, features: Tensor, logits: Tensor, real: bool) -> None:
        """Add what the network made of ``N`` images: ``(N, d)`` and ``(N, classes)``."""
        if real:
            self.real.append(features)
        else:
            self.outputs.append(features)
            self.logits.append(logits)

    def compute(self) -> DistributionDistances:
        """Return the distances over all images so far, 6 real ones and 6 outputs at least."""
        real, outputs = dim_zero_cat(self.real), dim_zero_cat(self.outputs)
        frechet = FrechetInceptionDistance(_Given(real.shape[1]), sync_on_compute=False)
        frechet.to(self.device).update(real, real=True)
        frechet.update(outputs, real=False)
        return DistributionDistances(
            frechet.compute(),
            kernel_distance(real, outputs, self.kernel_subset, self.seed),
            mean_divergence(dim_zero_cat(self.logits).double().softmax(1)).exp(),
            *precision_recall(real, outputs),
            *density_coverage(real, outputs),
        )


class _Given(nn.Module):
    """Passes on features that were computed before."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def kernel_distance(real: Tensor, outputs: Tensor, subset: int, seed: int) -> Tensor:
    """Return the mean of KID's estimates (Binkowski et al., 2018), each from random subsets.

    Args:
        real: Features, ``(N, d)``.
        outputs: Features, ``(M, d)``.
        subset: Images of each set in an estimate.
        seed: What the subsets depend on.
    """
    real, outputs = (_ordered(x).double() for x in (real, outputs))
    rng = rng_for(seed, "kernel subsets")
    estimates = []
    for _ in range(_ESTIMATES):
        these, those = (
            x[torch.randperm(len(x), generator=rng)[:subset].to(x.device)] for x in (real, outputs)
        )
        estimates.append(poly_mmd(these, those))
    return torch.stack(estimates).mean()


def _ordered(x: Tensor) -> Tensor:
    """Order features, ``(N, d)``; as they were gathered depends on the number of processes."""
    x = x[x.double().sum(1).argsort()]  # of networks with ReLU many have the same first: zero
    return x[x[:, 0].argsort(stable=True)]
