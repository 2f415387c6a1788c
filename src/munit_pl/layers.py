"""Normalisations and blocks that the networks are made of; nothing here knows of MUNIT."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Activation = Literal["relu", "lrelu", "prelu", "selu", "tanh", "none"]
Norm = Literal["none", "batch", "instance", "layer", "spectral"]
PaddingMode = Literal["reflect", "replicate", "zeros"]


def widen(x: Tensor) -> Tensor:
    """Return ``x`` in fp32 if it is of a half type, which can hold no sum over many values."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def adain(x: Tensor, shift: Tensor, scale: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalise every channel map of ``x``, then scale and shift it.

    Adaptive instance normalisation (Huang & Belongie, 2017). The statistics are those of each
    map alone, in training and in evaluation, with the biased variance.

    Args:
        x: Features, ``(N, C, H, W)``.
        shift: Added per sample and channel, ``(N, C)``.
        scale: Multiplied per sample and channel, ``(N, C)``. It is used as it is: no 1 is added.
        eps: Added to the variance before the root.

    Returns:
        Features of the shape and type of ``x``.
    """
    n, c, h, w = x.shape
    wide = torch.promote_types(x.dtype, torch.float32)
    # One sample's channels and another's are alike to batch_norm once the batch is folded into
    # the channels; it sums in fp32 whatever the type of x, and applies scale and shift on the way.
    y = F.batch_norm(
        x.reshape(1, n * c, h, w),
        None,
        None,
        scale.reshape(-1).to(wide),
        shift.reshape(-1).to(wide),
        training=True,
        eps=eps,
    )
    return y.view(n, c, h, w)


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalise each sample over channels and pixels together, then scale and shift channels.

    MUNIT's own layer normalisation. It is neither ``nn.LayerNorm`` nor ``nn.GroupNorm(1)``: the
    deviation is unbiased (n - 1), and ``eps`` is added to the deviation, outside the root.

    Args:
        x: Features, ``(N, C, H, W)``.
        gamma: Scale of each channel, ``(C,)``.
        beta: Shift of each channel, ``(C,)``.
        eps: Added to the deviation.

    Returns:
        Features of the shape and type of ``x``.
    """
    wide = widen(x)
    std, mean = torch.std_mean(wide, dim=(1, 2, 3), keepdim=True)
    y = (wide - mean) / (std + eps)
    return torch.addcmul(beta[:, None, None], y, gamma[:, None, None]).to(x.dtype)


class LayerNorm(nn.Module):
    """`layer_norm` with a learnt scale, drawn from U[0, 1), and a learnt shift, zero at first.

    Args:
        dim: Number of channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x``, ``(N, dim, H, W)``."""
        return layer_norm(x, self.gamma, self.beta)


def at_least_one(**sizes: int) -> None:
    """Raise a `ValueError` that names the first of ``sizes`` below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} is {size}, but must be at least 1")


def one_of(option: str, name: str, names: object) -> None:
    """Raise a `ValueError` if ``name`` is none of ``names``, a `Literal`."""
    if name not in get_args(names):
        raise ValueError(f"{option} is {name!r}, but must be one of {', '.join(get_args(names))}")


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
    """Return the normalisation of ``dim`` channels called ``name``.

    "spectral" normalises a convolution's weight, not its output, so it gives the identity here.

    Raises:
        ValueError: If there is no such normalisation.
    """
    match name:
        case "none" | "spectral":
            return nn.Identity()
        case "batch":
            return nn.BatchNorm2d(dim)
        case "instance":
            return nn.InstanceNorm2d(dim)
        case "layer":
            return LayerNorm(dim)
    raise ValueError(f"norm is {name!r}, but must be one of {', '.join(get_args(Norm))}")


class ConvBlock(nn.Module):
    """A padded convolution with a bias, then a normalisation, then an activation.

    Args:
        in_dim: Channels in.
        out_dim: Channels out.
        kernel_size: Side of the kernel.
        stride: Step of the kernel.
        padding: Pixels added on each side.
        norm: Normalisation after the convolution, or "spectral" for that of its weight.
        activation: What follows the normalisation.
        padding_mode: What the added pixels hold.
    """

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
        one_of("padding_mode", padding_mode, PaddingMode)
        conv = nn.Conv2d(in_dim, out_dim, kernel_size, stride, padding, padding_mode=padding_mode)
        self.conv = spectral_norm(conv) if norm == "spectral" else conv
        self.norm = make_norm(norm, out_dim)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``x``, ``(N, in_dim, H, W)``, to ``(N, out_dim, H', W')``."""
        return self.activation(self.norm(self.conv(x)))


class ResBlock(nn.Module):
    """A residual block of two 3x3 convolutions; nothing follows the addition.

    Args:
        dim: Channels in and out.
        norm: Normalisation after each convolution.
        activation: What follows the first normalisation.
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
    """A residual block whose two normalisations take their affine maps from a style.

    Args:
        dim: Channels in and out.
        activation: What follows the first normalisation.
        padding_mode: What the convolutions' added pixels hold.
    """

    def __init__(self, dim: int, *, activation: Activation, padding_mode: PaddingMode) -> None:
        super().__init__()
        self.conv1 = ConvBlock(dim, dim, 3, padding=1, activation="none", padding_mode=padding_mode)
        self.conv2 = ConvBlock(dim, dim, 3, padding=1, activation="none", padding_mode=padding_mode)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor, affine: Tensor) -> Tensor:
        """Transform ``x`` under one style.

        Args:
            x: Features, ``(N, dim, H, W)``.
            affine: Shift and scale of the first normalisation, then those of the second,
                ``(N, 4 * dim)``.

        Returns:
            Features, ``(N, dim, H, W)``.
        """
        shift1, scale1, shift2, scale2 = affine.chunk(4, dim=1)
        h = self.activation(adain(self.conv1(x), shift1, scale1))
        return x + adain(self.conv2(h), shift2, scale2)
