"""Blocks that the networks are made of; nothing here knows of MUNIT."""

import copy
from collections.abc import Iterator, Sequence
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from munit_pl.checks import checked
from munit_pl.layers.convolution import convolve
from munit_pl.layers.normalization import InstanceNorm2d, LayerNorm, adain
from munit_pl.layers.padding import PaddingMode
from munit_pl.layers.upsampling import upsample_conv

Activation = Literal["relu", "lrelu", "prelu", "selu", "tanh", "none"]
Norm = Literal["none", "batch", "instance", "layer", "spectral"]


def with_style(x: Tensor, style: Tensor) -> Tensor:
    """Return ``x``, ``(N, C, H, W)``, with ``style``, ``(N, Z)``, as ``Z`` more constant maps."""
    maps = style[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, maps], 1)


def make_activation(name: Activation) -> nn.Module:
    """Return the activation called ``name``; "lrelu" has a slope of 0.2 below zero.

    Raises:
        ValueError: If there is no such activation.
    """
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "lrelu":
            return nn.LeakyReLU(0.2, inplace=True)
        case "prelu":
            return nn.PReLU()
        case "selu":
            return nn.SELU(inplace=True)
        case "tanh":
            return nn.Tanh()
        case "none":
            return nn.Identity()
    raise ValueError(
        f"activation is {name!r}, but must be one of {', '.join(get_args(Activation))}"
    )


def make_norm(name: Norm, dim: int) -> nn.Module:
    """Return the normalization of ``dim`` channels called ``name``.

    "spectral" normalizes a convolution's weight, not its output, so it gives the identity here.

    Raises:
        ValueError: If there is no such normalization.
    """
    match name:
        case "none" | "spectral":
            return nn.Identity()
        case "batch":
            return nn.BatchNorm2d(dim)
        case "instance":
            return InstanceNorm2d(dim)
        case "layer":
            return LayerNorm(dim)
    raise ValueError(f"norm is {name!r}, but must be one of {', '.join(get_args(Norm))}")


class ConvBlock(nn.Module):
    """A padded convolution with a bias, then a normalization, then an activation.

    The bias is there whatever follows, as in the original's checkpoints. An instance normalization
    subtracts it again, so it is then not added, and never learns.

    Args:
        in_dim: Channels in.
        out_dim: Channels out.
        kernel_size: Side of the kernel.
        stride: Step of the kernel.
        padding: Pixels added on each side.
        norm: Normalization after the convolution, or "spectral" for that of its weight.
        activation: What follows the normalization.
        padding_mode: What the added pixels hold.
    """

    @checked
    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        *,
        norm: Norm = "none",
        activation: Activation = "relu",
        padding_mode: PaddingMode = "reflect",
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(in_dim, out_dim, kernel_size, stride, padding, padding_mode=padding_mode)
        self.conv: nn.Conv2d = cast(nn.Conv2d, spectral_norm(conv)) if norm == "spectral" else conv
        self.norm = make_norm(norm, out_dim)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``x``, ``(N, in_dim, H, W)``, to ``(N, out_dim, H', W')``."""
        return self.activation(self.norm(self.convolve(x)))

    def convolve(self, x: Tensor, normalized: bool = False) -> Tensor:
        """Return the convolution alone; without its bias if ``normalized`` by channel hereafter."""
        normalized = normalized or isinstance(self.norm, nn.InstanceNorm2d)
        return convolve(self.conv, x, None if normalized else self.conv.bias)


class UpBlock(ConvBlock):
    """A `ConvBlock` of 5x5 kernels on a map whose side is doubled first, by repeating pixels.

    Args:
        in_dim: Channels in.
        out_dim: Channels out.
        norm: As of `ConvBlock`.
        activation: As of `ConvBlock`.
        padding_mode: As of `ConvBlock`.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        norm: Norm,
        activation: Activation,
        padding_mode: PaddingMode,
    ) -> None:
        super().__init__(
            in_dim,
            out_dim,
            5,
            padding=2,
            norm=norm,
            activation=activation,
            padding_mode=padding_mode,
        )
        self.padding_mode = padding_mode

    def convolve(self, x: Tensor, normalized: bool = False) -> Tensor:
        """Return the convolution alone, ``(N, out_dim, 2 * H, 2 * W)``."""
        return upsample_conv(x, self.conv.weight, self.conv.bias, self.padding_mode)


class ResBlock(nn.Module):
    """A residual block of two 3x3 convolutions; nothing follows the addition.

    Args:
        dim: Channels in and out.
        norm: Normalization after each convolution.
        activation: What follows the first normalization.
        padding_mode: What the convolutions' added pixels hold.
    """

    def __init__(
        self, dim: int, *, norm: Norm, activation: Activation, padding_mode: PaddingMode
    ) -> None:
        super().__init__()
        self.conv1 = ConvBlock(
            dim, dim, 3, padding=1, norm=norm, activation=activation, padding_mode=padding_mode
        )
        self.conv2 = ConvBlock(
            dim, dim, 3, padding=1, norm=norm, activation="none", padding_mode=padding_mode
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``x``, ``(N, dim, H, W)``, keeping its shape."""
        return x + self.conv2(self.conv1(x))


class AdaINResBlock(nn.Module):
    """A residual block whose two normalizations take their affine maps from a style.

    Args:
        dim: Channels in and out.
        activation: What follows the first normalization.
        padding_mode: What the convolutions' added pixels hold.
    """

    def __init__(self, dim: int, *, activation: Activation, padding_mode: PaddingMode) -> None:
        super().__init__()
        self.conv1 = ConvBlock(dim, dim, 3, padding=1, activation="none", padding_mode=padding_mode)
        self.conv2 = ConvBlock(dim, dim, 3, padding=1, activation="none", padding_mode=padding_mode)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor, affine: Sequence[Tensor]) -> Tensor:
        """Transform ``x`` under one style.

        Args:
            x: Features, ``(N, dim, H, W)``.
            affine: Shift and scale of the first normalization, then those of the second, each
                ``(N, dim)``.

        Returns:
            Features, ``(N, dim, H, W)``.
        """
        shift1, scale1, shift2, scale2 = affine
        h = adain(self.conv1.convolve(x, normalized=True), shift1, scale1)
        h = self.conv2.convolve(self.activation(h), normalized=True)
        return x + adain(h, shift2, scale2)


def normalize_convolutions(network: nn.Module) -> None:
    """Have every convolution divide its weight by its largest singular value from now on.

    Spectral normalization, see Miyato et al., "Spectral Normalization for Generative Adversarial
    Networks", ICLR 2018: as a matrix, a weight has a row for each channel out. In training each use
    of a weight brings the estimate of that value one step of the power method nearer.
    """
    for layer in [*network.modules()]:
        if isinstance(layer, nn.Conv2d):
            spectral_norm(layer)


def with_plain_weights(network: nn.Module) -> nn.Module:
    """Return a copy of ``network``, in evaluation mode, whose weights are what its layers apply."""
    plain = copy.deepcopy(network).eval()
    for layer in [*plain.modules()]:
        if is_parametrized(layer, "weight"):
            weight = cast(Tensor, layer.weight).detach()
            # Not `remove_parametrizations`: it empties the layer's class, and a copy shares that
            # with the layer it was copied from.
            del layer.parametrizations
            layer.__class__ = type_before_parametrizations(layer)
            layer.weight = nn.Parameter(weight)
    return plain


def autocast_layers(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers whose weights autocast casts each time that they are applied.

    Not those that compute with their weights first, which wants all digits: `UpBlock` adds kernels
    up, and a parametrized layer (spectral normalization) normalizes.
    """
    summed = {module.conv for module in network.modules() if isinstance(module, UpBlock)}
    for layer in network.modules():
        applied = isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        if applied and layer not in summed and not is_parametrized(layer):
            yield layer
