"""The domain-invariant perceptual loss: VGG-16 features compared without their statistics.

Section 5.1 of Huang et al., 2018. The weights come from a file: nothing is downloaded unless
`load_vgg16` is told to.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from munit_pl.io.pretrained_weights import Pretrained, load_weights
from munit_pl.layers.autocast import to_float32

VggSource = Literal["torchvision", "caffe"]

# Convolutions per stage. A pool follows stages 1 to 3 alone: the original leaves out the one after
# conv4_3, so that its fifth stage sees an eighth of the side, and not a sixteenth.
_STAGES = (2, 2, 3, 3, 3)
_POOLED = 3
# Of the images that each was trained on: of blue, green and red bytes, and of red, green and blue.
_STATISTICS = {
    "caffe": {"mean": (103.939, 116.779, 123.680)},
    "torchvision": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
}
_LAYERS = [
    f"conv{stage}_{i}"
    for stage, convolutions in enumerate(_STAGES, start=1)
    for i in range(1, convolutions + 1)
]
_TORCHVISION_LAYERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
_WEIGHTS = Pretrained(
    "VGG-16",
    "vgg16-397923af.pth",
    "the perceptual loss",
    "give its path, or allow the download of 528 MB with model.recipes.perceptual.download=true",
)
_URL = f"https://download.pytorch.org/models/{_WEIGHTS.file_name}"


class Vgg16(NamedTuple):
    """A VGG-16 up to relu5_3: plain tensors, so that it is no part of the model that holds it.

    Attributes:
        source: Which training the weights are from.
        parameters: By their names weights and biases, and what `normalization` returns.
    """

    source: VggSource
    parameters: dict[str, Tensor]

    def to(self, device: torch.device) -> "Vgg16":
        """Return the network with its weights on ``device``."""
        moved = {name: p.to(device) for name, p in self.parameters.items()}
        return self._replace(parameters=moved)


def normalization(source: VggSource) -> dict[str, Tensor]:
    """Return the channels' "mean", and torchvision's "std", ``(3, 1, 1)`` each, for `preprocess`.

    They are made once, since to make them on a GPU takes waiting for it.
    """
    return {name: torch.tensor(v).view(3, 1, 1) for name, v in _STATISTICS[source].items()}


def preprocess(x: Tensor, vgg: Vgg16) -> Tensor:
    """Return images ``(N, 3, H, W)`` in [-1, 1] as the network was trained on them.

    Caffe's takes blue, green, red in [0, 255] less the channels' means; torchvision's red, green,
    blue in [0, 1] less the means, over the deviations.
    """
    mean = vgg.parameters["mean"]
    if vgg.source == "caffe":
        return (x.flip(1) + 1) * 127.5 - mean
    return ((x + 1) / 2 - mean) / vgg.parameters["std"]


def vgg16_features(x: Tensor, vgg: Vgg16) -> Tensor:
    """Return the features of layer relu5_3.

    Args:
        x: Images, ``(N, 3, H, W)`` in [-1, 1].
        vgg: The network.

    Returns:
        Features, ``(N, 512, H / 8, W / 8)``.
    """
    h = preprocess(to_float32(x), vgg)
    for stage, convolutions in enumerate(_STAGES, start=1):
        for i in range(1, convolutions + 1):
            weight, bias = (
                vgg.parameters[f"conv{stage}_{i}.{name}"] for name in ("weight", "bias")
            )
            h = F.relu(F.conv2d(h, weight, bias, padding=1))
        if stage <= _POOLED:
            h = F.max_pool2d(h, 2)
    return h


def perceptual_loss(x: Tensor, target: Tensor, vgg: Vgg16) -> Tensor:
    """Compare what two images show, whatever their domains look like.

    Each channel map of the features is brought to mean 0 and deviation 1 before the mean squared
    difference is taken.

    Args:
        x: Translated images, ``(N, 3, H, W)`` in [-1, 1].
        target: The images they were translated from, the same shape; no gradient goes there.
        vgg: The network.

    Returns:
        A scalar.
    """
    with torch.no_grad():
        expected = F.instance_norm(to_float32(vgg16_features(target, vgg)))
    return F.mse_loss(F.instance_norm(to_float32(vgg16_features(x, vgg))), expected)


def check_source(source: VggSource, path: str | None) -> None:
    """Raise a `ValueError` if ``source`` is unknown, or is "caffe" without a path."""
    if source not in get_args(VggSource):
        raise ValueError(f"source is {source!r}, but must be torchvision or caffe")
    if path is None and source == "caffe":
        raise ValueError("source caffe needs a path: a file with VGG-16's Caffe weights")


def load_vgg16(
    source: VggSource = "torchvision", path: str | None = None, download: bool = False
) -> Vgg16:
    """Read the network's weights.

    Args:
        source: Which training the weights are from, and so how images are prepared: "torchvision",
            or "caffe", which the original MUNIT used.
        path: A file of weights, with the names of torchvision (``features.0.weight``) or of the
            paper (``conv1_1.weight``). Without it, torchvision's file in PyTorch's cache.
        download: Fetch torchvision's file (528 MB) into PyTorch's cache if it is not there.

    Raises:
        ValueError: If ``source`` is unknown, or is "caffe" without a path, or the file holds
            something else.
        FileNotFoundError: If there is no file.
        OSError: If the download fails.
    """
    check_source(source, path)
    file = None if path is None else Path(path)
    state = load_weights(_WEIGHTS, file, _URL if download else None)
    weights = _rename(state, path or _WEIGHTS.file_name)
    return Vgg16(source, weights | normalization(source))


def _rename(state: Mapping[str, Any], origin: str) -> dict[str, Tensor]:
    """Return the parameters under the paper's names, whichever of the two names they came under."""
    parameters = {}
    for layer, number in zip(_LAYERS, _TORCHVISION_LAYERS, strict=True):
        for name in ("weight", "bias"):
            tensor = state.get(f"{layer}.{name}", state.get(f"features.{number}.{name}"))
            if not isinstance(tensor, Tensor):
                raise ValueError(
                    f"{origin} holds no VGG-16: neither {layer}.{name} nor features.{number}.{name}"
                )
            parameters[f"{layer}.{name}"] = tensor.float()
    return parameters
