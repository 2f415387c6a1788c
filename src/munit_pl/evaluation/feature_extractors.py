"""The feature extractors of an evaluation, from the weights that are at hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from munit_pl.checks import checked
from munit_pl.data.domain import DomainName
from munit_pl.io.pretrained_weights import find_alexnet, load_alexnet_weights
from munit_pl.metrics.classifier import Classifier, load_classifier
from munit_pl.metrics.efficientnet_lite0 import Lite0, load_lite0
from munit_pl.metrics.inception_v3 import Inception, find_inception, load_inception
from munit_pl.metrics.lpips import FeatureDistance, lpips_alexnet, read_heads, read_heads_v01

FeaturesName = Literal["auto", "inception", "lite0"]
DistanceName = Literal["auto", "lpips", "lite0"]


@dataclass(frozen=True)
class FeatureExtractors:
    """The pretrained networks whose features metrics compare.

    Args:
        features: Features and logits, for distances between sets.
        distance: How different two images look.
        classifiers: Tell a domain's modes apart, for the domains that have one.
        device: Where they are, and where metrics keep their sums.
    """

    features: Inception | Lite0
    distance: FeatureDistance
    classifiers: Mapping[DomainName, Classifier]
    device: torch.device

    def __post_init__(self) -> None:
        for network in (self.features, self.distance, *self.classifiers.values()):
            network.to(self.device).eval()

    def names(self) -> dict[str, str]:
        """Return the networks' names, by what they are for."""
        classifiers = {
            f"classifier of {domain}": network.name for domain, network in self.classifiers.items()
        }
        return {"features": self.features.name, "distance": self.distance.name, **classifiers}


def given(extractors: FeatureExtractors | None) -> FeatureExtractors:
    """Return the feature extractors that a protocol needs.

    Raises:
        ValueError: If there are none.
    """
    if extractors is None:
        raise ValueError("this protocol needs feature extractors: see load_feature_extractors")
    return extractors


@checked
def load_feature_extractors(
    features: FeaturesName = "auto",
    distance: DistanceName = "auto",
    inception: str | Path | None = None,
    alexnet: str | Path | None = None,
    lpips_v00: str | Path | None = None,
    classifier_a: str | Path | None = None,
    classifier_b: str | Path | None = None,
    download: bool = False,
    device: torch.device | None = None,
) -> FeatureExtractors:
    """Read the networks' weights.

    Args:
        features: "inception" is what FID is defined with, "lite0" (EfficientNet-Lite0, from the
            extra ``evaluate``) needs no download. "auto" takes Inception if its weights are there.
        distance: "lpips" is LPIPS with AlexNet, "lite0" the same form of distance without learnt
            weights. "auto" takes LPIPS if AlexNet's weights are there.
        inception: File of Inception's weights; without it, PyTorch's cache is looked into.
        alexnet: File of torchvision's AlexNet; likewise.
        lpips_v00: File of LPIPS's heads of version 0.0, which papers of 2018 used; without it those
            of version 0.1, which read about twice as much.
        classifier_a: File of a classifier of domain a's modes.
        classifier_b: Of domain b's.
        download: Fetch weights that are missing into PyTorch's cache.
        device: Where the networks shall be; the CPU unless given.

    Raises:
        OSError: If a file is missing; the message says where to put it and which option fetches it.
        ImportError: If a package is missing.
        ValueError: If a name is unknown, or a file holds something else.
    """
    inception, alexnet, lpips_v00 = _path(inception), _path(alexnet), _path(lpips_v00)
    network: Inception | Lite0
    if features == "inception" or (
        features == "auto" and (download or find_inception(inception) is not None)
    ):
        network = load_inception(inception, download)
    else:
        network = load_lite0()
    if distance == "lpips" or (
        distance == "auto" and (download or lpips_v00 or find_alexnet(alexnet) is not None)
    ):
        version, heads = ("0.0", read_heads(lpips_v00)) if lpips_v00 else ("0.1", read_heads_v01())
        looks = lpips_alexnet(load_alexnet_weights(alexnet, download), heads, version)
    else:
        lite0 = network if isinstance(network, Lite0) else load_lite0()
        looks = FeatureDistance(Stages(lite0), None, "lite0 distance (not LPIPS)")
    paths: dict[DomainName, Path | None] = {"a": _path(classifier_a), "b": _path(classifier_b)}
    classifiers = {
        domain: load_classifier(path) for domain, path in paths.items() if path is not None
    }
    return FeatureExtractors(network, looks, classifiers, device or torch.device("cpu"))


class Stages(nn.Module):
    """`Lite0.stages` as a module, which moves with the distance that it belongs to.

    Args:
        lite0: The network.
    """

    def __init__(self, lite0: Lite0) -> None:
        super().__init__()
        self.lite0 = lite0

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return feature maps of images ``(N, C, H, W)`` in [-1, 1]."""
        return self.lite0.stages(x)


def _path(file: str | Path | None) -> Path | None:
    return None if file is None else Path(file)
