"""Weight initialization."""

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from munit_pl.checks import checked

Initialization = Literal["normal", "xavier", "kaiming", "orthogonal", "default"]

_FILL: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": partial(nn.init.normal_, std=0.02),
    "xavier": partial(nn.init.xavier_normal_, gain=sqrt(2)),
    "kaiming": nn.init.kaiming_normal_,
    "orthogonal": partial(nn.init.orthogonal_, gain=sqrt(2)),
}


@torch.no_grad()
@checked
def initialize(
    network: nn.Module, initialization: Initialization, *, skip_spectral: bool = False
) -> None:
    """Draw every convolution's and linear layer's weight anew and set their biases to 0.

    Transposed convolutions count as convolutions. Normalizations keep what they have.

    Args:
        network: What to initialize, in place.
        initialization: "normal" with standard deviation 0.02; "xavier" and "orthogonal" with a
            gain of the root of 2; "kaiming", normal with the gain of a ReLU over the inputs; or
            "default", which leaves all as PyTorch made it.
        skip_spectral: Leave spectrally normalized convolutions as PyTorch made them, biases too.
            The original code does so, by accident.

    Raises:
        ValueError: If there is no such initialization.
    """
    if initialization == "default":
        return
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            continue
        spectral = parametrize.is_parametrized(layer, "weight")
        if spectral and skip_spectral:
            continue
        _FILL[initialization](
            layer.get_parameter("parametrizations.weight.original" if spectral else "weight")
        )
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        if spectral:
            converge_spectral_norm(layer)


@torch.no_grad()
def converge_spectral_norm(layer: nn.Module) -> None:
    """Let a spectral normalization find its new weight's norm: it iterates at each access."""
    training = layer.training
    layer.train()
    for _ in range(15):  # as many as it takes when it is made
        _ = layer.weight
    layer.train(training)
