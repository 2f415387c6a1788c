"""A set of translations against a set of real images, by the features of one network."""

from typing import Literal

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd
from torchmetrics.utilities.data import dim_zero_cat

from munit_pl.metrics.conditional import mean_divergence
from munit_pl.metrics.inception import Inception
from munit_pl.metrics.lite0 import Lite0
from munit_pl.metrics.manifold import ManifoldFigures, density_coverage, precision_recall
from munit_pl.randomness import rng_for

Value = tuple[str, float, Literal["higher", "lower"]]

_ESTIMATES = 100  # of the kernel distance, each from other subsets


class _Given(nn.Module):
    """Passes on features that were computed before."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


class _Seen(Metric):
    """What a network made of the images of all processes, which may have unequal shares.

    (The states of torchmetrics' own KID and IS ask for as many updates in each process.)
    """

    full_state_update = False
    real: list[Tensor]
    outputs: list[Tensor]
    logits: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("real", "outputs", "logits"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, features: Tensor, logits: Tensor, real: bool) -> None:
        if real:
            self.real.append(features)
        else:
            self.outputs.append(features)
            self.logits.append(logits)

    def compute(self) -> tuple[Tensor, Tensor, Tensor]:
        return dim_zero_cat(self.real), dim_zero_cat(self.outputs), dim_zero_cat(self.logits)


class SetComparison:
    """FID, KID, IS, precision, recall, density and coverage from one pass of the network.

    They are called so only if the network is FID's; by another they are FD and KD, with its name.

    Args:
        network: What the images are seen with.
        kernel_subset: Images of each set in one estimate of the kernel distance.
        seed: What the estimates' subsets depend on.
        device: Where features are kept.
    """

    keys = ("fd", "kd", "is", *ManifoldFigures._fields)
    smallest = 6  # images of either set: density asks for a fifth neighbor

    def __init__(
        self, network: Inception | Lite0, kernel_subset: int, seed: int, device: torch.device
    ) -> None:
        self.network = network
        self.kernel_subset = kernel_subset
        self.seed = seed
        self.device = device
        self._seen = _Seen().to(device)

    def add(self, features: Tensor, logits: Tensor, real: bool) -> None:
        """Take in what the network made of images: ``(N, num_features)`` and ``(N, classes)``."""
        self._seen.update(features, logits, real)

    def values(self) -> dict[str, Value]:
        """Return all figures by key: a name for people, the value, and which way is better."""
        real, outputs, logits = self._seen.compute()
        frechet = FrechetInceptionDistance(_Given(real.shape[1]), sync_on_compute=False)
        frechet.to(self.device).update(real, real=True)
        frechet.update(outputs, real=False)
        kernel = _kernel_distance(real, outputs, self.kernel_subset, self.seed)
        score = mean_divergence(logits.double().softmax(1)).exp()
        near = ManifoldFigures(*precision_recall(real, outputs), *density_coverage(real, outputs))
        original = isinstance(self.network, Inception)
        by = "" if original else f" ({self.network.name})"
        return {
            "fd": (f"{'FID' if original else 'FD'}{by}", frechet.compute().item(), "lower"),
            "kd": (f"{'KID' if original else 'KD'}{by}", kernel.item(), "lower"),
            "is": (f"IS{by}", score.item(), "higher"),
            **{
                key: (f"{key}{by}", value.item(), "higher") for key, value in near._asdict().items()
            },
        }


def add_images(x: Tensor, real: bool, *sets: SetComparison) -> None:
    """Take images ``(N, C, H, W)`` in [-1, 1] into several comparisons by the same network."""
    x = x.to(sets[0].device)
    features, logits = sets[0].network.features_and_logits(x)
    for comparison in sets:
        comparison.add(features, logits, real)


def _kernel_distance(real: Tensor, outputs: Tensor, subset: int, seed: int) -> Tensor:
    """Return the mean of KID's estimates (Binkowski et al., 2018), each from random subsets.

    Args:
        real: Features, ``(N, d)``.
        outputs: Features, ``(M, d)``.
        subset: Images of each set in an estimate.
        seed: What the subsets depend on.
    """
    # The order of gathered features depends on the number of processes; this one does not.
    real, outputs = (x[x[:, 0].argsort()].double() for x in (real, outputs))
    rng = rng_for(seed, "kernel subsets")
    estimates = []
    for _ in range(_ESTIMATES):
        these, those = (
            x[torch.randperm(len(x), generator=rng)[:subset].to(x.device)] for x in (real, outputs)
        )
        estimates.append(poly_mmd(these, those))
    return torch.stack(estimates).mean()
