"""Classifiers of a domain's modes, for (Conditional) Inception Score.

Salimans et al. (2016) took ImageNet's classes; Huang et al. (2018, section 5.2) fine-tuned
Inception-v3 on the domain's own, such as its kinds of animals. Here it is either that, or a linear
layer on the features of a frozen network, for which a folder of images of each class is enough.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from munit_pl.hub.weights import read_safetensors
from munit_pl.io.pretrained_weights import read_weights
from munit_pl.metrics.efficientnet_lite0 import Lite0, load_lite0
from munit_pl.metrics.inception_v3 import Inception, TunedInception, load_inception

_TUNED = "inception_v3 of torchvision"


class Classifier(nn.Module):
    """A linear layer on a network's features, frozen and in evaluation mode.

    Args:
        network: Images ``(N, C, H, W)`` in [-1, 1] to features ``(N, D)``.
        weight: The layer's weight, ``(classes, D)``.
        bias: The layer's bias, ``(classes,)``.
        classes: The classes' names.
        name: What reports call it: "lite0 linear, 4 classes".
    """

    def __init__(
        self, network: nn.Module, weight: Tensor, bias: Tensor, classes: Sequence[str], name: str
    ) -> None:
        super().__init__()
        self.network = network
        self.linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
        self.linear.load_state_dict({"weight": weight, "bias": bias}, assign=True)
        self.classes = tuple(classes)
        self.name = name
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Classifier":
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, ``(N, classes)``, of images in [-1, 1]."""
        return self.linear(self.network(x))


def device_of(network: nn.Module) -> torch.device:
    """Return the device of a network's weights; the CPU if it has none."""
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def linear_classifier(
    network: nn.Module, weight: Tensor, bias: Tensor, classes: Sequence[str]
) -> Classifier:
    """Return a classifier by a linear layer, see `Classifier`, on the network's device."""
    name = f"{network.name} linear, {len(classes)} classes"
    return Classifier(network, weight, bias, classes, name).to(device_of(network))


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write a classifier's linear layer, its classes and its network's name as safetensors.

    Args:
        classifier: The classifier. Its network's own weights are not written.
        path: A file that ends in ``.safetensors``.

    Raises:
        ValueError: If the file ends otherwise, since `load_classifier` goes by that.
    """
    if path.suffix != ".safetensors":
        raise ValueError(f"a classifier is saved as .safetensors, not as {path.name!r}")
    tensors = {name: p.cpu().contiguous() for name, p in classifier.linear.state_dict().items()}
    metadata = {
        "classes": json.dumps(classifier.classes),
        "network": str(classifier.network.name),
    }
    save_file(tensors, path, metadata)


def load_classifier(path: Path, network: nn.Module | None = None) -> Classifier:
    """Read a classifier.

    Args:
        path: What `save_classifier` wrote, ``.safetensors``; or else the state dictionary of
            torchvision's ``inception_v3`` after fine-tuning, as ``torch.save`` writes it.
        network: What makes the features of the former. Without it, one that this package knows
            by the name in the file.

    Returns:
        The classifier, on the network's device.

    Raises:
        FileNotFoundError: If there is no such file, or none of the network's weights.
        ValueError: If the file holds something else, or belongs to another network.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no classifier at {path}")
    return _load_linear(path, network) if path.suffix == ".safetensors" else _load_tuned(path)


def _load_linear(path: Path, network: nn.Module | None) -> Classifier:
    metadata, tensors = read_safetensors(path)
    try:
        classes, name = json.loads(metadata["classes"]), metadata["network"]
        weight, bias = tensors["weight"], tensors["bias"]
    except (KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no classifier that was trained here: {error}") from error
    named = isinstance(classes, list) and all(isinstance(each, str) for each in classes)
    if not named or weight.ndim != 2 or not len(weight) == len(bias) == len(classes):
        raise ValueError(f"{path} holds no classifier that was trained here: its sizes differ")
    if network is None:
        network = _network_called(name, path)
    if network.name != name:
        raise ValueError(f"{path} stands on features of {name!r}, not of {network.name!r}")
    return linear_classifier(network, weight, bias, classes)


def _network_called(name: str, path: Path) -> nn.Module:
    match name:
        case Lite0.name:
            return load_lite0()
        case Inception.name:
            return load_inception()
    raise ValueError(f"{path} stands on features of {name!r}: pass that network along")


def _load_tuned(path: Path) -> Classifier:
    state = dict(read_weights(path, _TUNED))
    try:
        weight, bias = state.pop("fc.weight"), state.pop("fc.bias")
        network = TunedInception(state)
    except KeyError as error:
        raise ValueError(f"{path} holds no {_TUNED}: it has no {error}") from error
    except RuntimeError as error:
        raise ValueError(f"{path} holds no {_TUNED}: {shorten(str(error), 200)}") from error
    classes = [f"class {i}" for i in range(len(weight))]
    return Classifier(network, weight, bias, classes, f"{network.name}, {len(weight)} classes")
