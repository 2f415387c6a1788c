"""Distances between images by a network's features: LPIPS (Zhang et al., 2018) and its likes.

Nothing is downloaded: the network's weights are given, and so are the learnt ones of LPIPS.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
import torchmetrics
from torch import Tensor, nn

from munit_pl.io.safe_reading import read_checkpoint
from munit_pl.layers.autocast import to_float32
from munit_pl.metrics.network_metric import to_rgb

Backbone = Callable[[Tensor], Sequence[Tensor]]

_EPS = 1e-10

# AlexNet's convolutions: the number in torchvision's names, the weight's shape, stride, padding.
_ALEXNET = (
    (0, (64, 3, 11, 11), 4, 2),
    (3, (192, 64, 5, 5), 1, 2),
    (6, (384, 192, 3, 3), 1, 1),
    (8, (256, 384, 3, 3), 1, 1),
    (10, (256, 256, 3, 3), 1, 1),
)
_POOLED = 2  # a pool of 3x3, stride 2, follows so many of them
_SMALLEST = 31  # pixels, of which the second pool leaves one


def unit_features(h: Tensor) -> Tensor:
    """Return features ``(N, C, H, W)`` with each pixel's channels divided by their norm.

    A pixel that is zero in all channels stays so.
    """
    h = to_float32(h)
    return h / (h.square().sum(1, keepdim=True).sqrt() + _EPS)


def feature_distance(f: Sequence[Tensor], g: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """Compare two stacks of normalized features.

    Equation 1 of Zhang et al., 2018: squared differences, weighted by channel, averaged over
    pixels and summed over layers. The weights are outside the square, as in their program.

    Args:
        f: One ``(N, C_l, H_l, W_l)`` per layer, see `unit_features`.
        g: The same shapes.
        heads: The channels' weights, one ``(C_l,)`` per layer.

    Returns:
        Distances, ``(N,)``, none below 0.
    """
    layers = [(a - b).square().mean((2, 3)) @ head for a, b, head in zip(f, g, heads, strict=True)]
    return torch.stack(layers).sum(0)


class FeatureDistance(nn.Module):
    """How different two images look to a network, layer by layer.

    Args:
        backbone: Takes images ``(N, 3, H, W)`` in [-1, 1] to features ``(N, C_l, H_l, W_l)``, one
            of each layer that is compared. A module is put into evaluation mode.
        heads: Weights of the channels, one ``(C_l,)`` per layer, none below 0. Without them all
            channels of a layer weigh ``1 / C_l``: nothing is learnt from people's judgments, and
            the distance is not LPIPS.
        name: What a report calls the distance. It says which network and whose weights, for
            numbers of two distances cannot be compared.

    Raises:
        ValueError: If a head is no vector or holds a negative weight.
    """

    def __init__(self, backbone: Backbone, heads: Sequence[Tensor] | None, name: str) -> None:
        super().__init__()
        for i, head in enumerate(heads or []):
            if head.ndim != 1 or bool((head < 0).any()):
                raise ValueError(f"head {i} of {name} must be a vector (C,), none below 0")
            self.register_buffer(f"head{i}", head.detach().float(), persistent=False)
        self._num_heads = None if heads is None else len(heads)
        self.backbone = backbone.eval() if isinstance(backbone, nn.Module) else backbone
        self.name = name

    def features(self, x: Tensor) -> list[Tensor]:
        """Return what `between` compares, of images ``(N, 3, H, W)`` in [-1, 1]."""
        return [unit_features(h) for h in self.backbone(to_float32(x))]

    def between(self, f: Sequence[Tensor], g: Sequence[Tensor]) -> Tensor:
        """Return the distances ``(N,)`` between images whose `features` are ``f`` and ``g``.

        Raises:
            ValueError: If there are not as many layers as heads.
        """
        if self._num_heads is None:
            return feature_distance(f, g, [h.new_full((h.shape[1],), 1 / h.shape[1]) for h in f])
        if self._num_heads != len(f):
            raise ValueError(f"{self.name} has {self._num_heads} heads, but {len(f)} layers")
        return feature_distance(f, g, [self.get_buffer(f"head{i}") for i in range(len(f))])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances ``(N,)`` between images ``(N, 3, H, W)`` in [-1, 1]."""
        return self.between(self.features(x), self.features(y))


class AlexNetFeatures(nn.Module):
    """AlexNet's features after each of its five ReLUs.

    Args:
        weights: torchvision's state dictionary, ``features.0.weight`` and so on.
        scaled: Whether to bring images to the mean and standard deviation that the network was
            trained on.

    Raises:
        ValueError: If a tensor is missing or has another shape.
    """

    def __init__(self, weights: Mapping[str, Tensor], scaled: bool) -> None:
        super().__init__()
        self.scaled = scaled
        for number, shape, _, _ in _ALEXNET:
            for name, expected in (("weight", shape), ("bias", shape[:1])):
                tensor = weights.get(f"features.{number}.{name}")
                if not isinstance(tensor, Tensor) or tensor.shape != expected:
                    raise ValueError(
                        f"no weights of torchvision's AlexNet: features.{number}.{name} is missing "
                        f"or not of the shape {expected}"
                    )
                self.register_buffer(f"{name}{number}", tensor.detach().float(), persistent=False)
        # LPIPS's numbers, which rounds torchvision's to three places on the scale of [-1, 1].
        for name, values in {
            "mean": (-0.030, -0.088, -0.188),
            "std": (0.458, 0.448, 0.450),
        }.items():
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return five maps of features of images ``(N, C, H, W)`` in [-1, 1]; see `to_rgb`.

        Raises:
            ValueError: If the images are smaller than 31 pixels.
        """
        x = to_rgb(x)
        if min(x.shape[2:]) < _SMALLEST:
            raise ValueError(
                f"AlexNet takes images of at least {_SMALLEST} pixels a side, but got "
                f"{tuple(x.shape)}"
            )
        h = self.scale_input(x) if self.scaled else x
        maps: list[Tensor] = []
        for number, _, stride, padding in _ALEXNET:
            if 0 < len(maps) <= _POOLED:
                h = F.max_pool2d(h, 3, 2)
            weight, bias = self.get_buffer(f"weight{number}"), self.get_buffer(f"bias{number}")
            h = F.relu(F.conv2d(h, weight, bias, stride, padding))
            maps.append(h)
        return maps

    def scale_input(self, x: Tensor) -> Tensor:
        """Return images ``(N, 3, H, W)`` with ImageNet's channel means and deviations off."""
        return (x - self.get_buffer("mean")) / self.get_buffer("std")


def lpips_alexnet(
    weights: Mapping[str, Tensor], heads: Sequence[Tensor], version: str
) -> FeatureDistance:
    """Return LPIPS with AlexNet, the distance by which MUNIT and its kin measure diversity.

    Args:
        weights: torchvision's ImageNet weights, ``features.0.weight`` and so on.
        heads: The learnt weights of that version, see `read_heads_v01` and `read_heads`.
        version: "0.1", as most programs have it today, or "0.0", by which papers of 2017 and 2018
            measured: its heads are others, and it fed the network images in [-1, 1] as they were.

    Raises:
        ValueError: If the version is unknown, or a tensor does not fit.
    """
    if version not in ("0.0", "0.1"):
        raise ValueError(f"LPIPS version is {version!r}, but must be 0.0 or 0.1")
    channels = [shape[0] for _, shape, _, _ in _ALEXNET]
    if [tuple(head.shape) for head in heads] != [(c,) for c in channels]:
        raise ValueError(f"LPIPS with AlexNet needs heads of {channels} channels")
    backbone = AlexNetFeatures(weights, scaled=version == "0.1")
    return FeatureDistance(backbone, heads, f"LPIPS (AlexNet, v{version})")


def read_heads_v01() -> list[Tensor]:
    """Read the learnt weights of LPIPS 0.1 with AlexNet that torchmetrics brings along."""
    folder = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models"
    return read_heads(folder / "alex.pth")


def read_heads(path: Path) -> list[Tensor]:
    """Read learnt weights of LPIPS: the files of the lpips package, of either version.

    Returns:
        One ``(C_l,)`` per layer.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of LPIPS heads at {path}")
    try:
        state = read_checkpoint(path, mmap=False)
    except ValueError as error:
        detail = str(error).removeprefix(f"{path} is no checkpoint: ")
        raise ValueError(f"{path} is no file of PyTorch weights: {detail}") from None
    heads: list[Tensor] = []
    while isinstance(state, Mapping) and f"lin{len(heads)}.model.1.weight" in state:
        heads.append(_head(state[f"lin{len(heads)}.model.1.weight"], path))
    if not heads:
        raise ValueError(f"{path} holds no LPIPS heads: there is no lin0.model.1.weight")
    return heads


def _head(weight: object, path: Path) -> Tensor:
    """Return the channels' weights of a 1x1 convolution ``(1, C, 1, 1)``."""
    if not isinstance(weight, Tensor) or weight.shape != (1, weight.numel(), 1, 1):
        raise ValueError(f"{path} holds no LPIPS heads: each must be a tensor (1, C, 1, 1)")
    return weight.flatten().float()
