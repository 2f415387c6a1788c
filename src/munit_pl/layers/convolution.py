"""A layer's convolution, in a form that takes less time for the same result."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munit_pl.layers.padding import pad

FEW = 4  # output channels up to which a CPU's vectors, of 16 numbers, stay mostly empty


def convolve(conv: nn.Conv2d, x: Tensor, bias: Tensor | None) -> Tensor:
    """Return what ``conv`` makes of ``x``, ``(N, C, H, W)``, with another bias, or none.

    Padding is the layer's; see `munit_pl.layers.padding.pad`.
    """
    n, mode = int(conv.padding[0]), conv.padding_mode
    if mode == "zeros":
        return F.conv2d(x, conv.weight, bias, conv.stride, n)
    x = pad(x, n, mode) if n else x  # type: ignore[arg-type]
    # Measured on the CPU alone: half to 0.6 of the time of a 7x7 convolution to three channels.
    if x.device.type == "cpu" and not torch.compiler.is_compiling() and _fits_fours(conv, x):
        return conv_by_fours(x, conv.weight, bias)
    return F.conv2d(x, conv.weight, bias, conv.stride)


def _fits_fours(conv: nn.Conv2d, x: Tensor) -> bool:
    side = conv.kernel_size[0]
    even = all((length - side) % 2 == 1 for length in x.shape[2:])
    return even and conv.out_channels <= FEW and side > 1 and conv.stride[0] == 1


def conv_by_fours(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``F.conv2d(x, weight, bias)``, computing four neighboring pixels as four channels.

    The kernel is laid into one a pixel larger, once for each pixel of a square of four, and moves
    in steps of two. That takes a little more arithmetic, but fills vectors of output channels.

    Args:
        x: Features, ``(N, C, H, W)``.
        weight: Kernels of side ``k``, ``(C_out, C, k, k)``; ``H - k`` and ``W - k`` are odd.
        bias: ``(C_out,)``, or none.

    Returns:
        Features, ``(N, C_out, H - k + 1, W - k + 1)``.
    """
    out_dim, in_dim, side, _ = weight.shape
    shifted = [F.pad(weight, (j, 1 - j, i, 1 - i)) for i in (0, 1) for j in (0, 1)]
    kernels = torch.stack(shifted, 1).reshape(4 * out_dim, in_dim, side + 1, side + 1)
    biases = None if bias is None else bias.repeat_interleave(4)
    return F.pixel_shuffle(F.conv2d(x, kernels, biases, 2), 2)
