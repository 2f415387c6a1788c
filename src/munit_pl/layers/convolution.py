"""Convolutions in forms that take less arithmetic, or fewer passes, for the same result."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munit_pl.layers.autocast import without_autocast
from munit_pl.layers.padding import PaddingMode, pad

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


def upsample_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding_mode: PaddingMode
) -> Tensor:
    """Double the side by repeating pixels, pad by two and convolve with 5x5 kernels, all in one.

    Each of the four pixels that stand for one sees five repeated rows, which are three different
    ones: so it is a 3x3 convolution of the map as it was, whose kernels are sums of the 5x5's. That
    takes 9 products where 25 were. The outermost pixels see what padding adds: zeros and replicas
    come to the same either way, and for reflection the difference is added.

    Args:
        x: Features, ``(N, C, H, W)``.
        weight: ``(C_out, C, 5, 5)``.
        bias: ``(C_out,)``, or none.
        padding_mode: What the padding of the doubled map holds.

    Returns:
        Features, ``(N, C_out, 2 * H, 2 * W)``.
    """
    kernels = _fold(weight)
    biases = None if bias is None else bias.repeat_interleave(4)
    if padding_mode == "zeros":
        return F.pixel_shuffle(F.conv2d(x, kernels, biases, padding=1), 2)
    y = F.pixel_shuffle(F.conv2d(pad(x, 1, "replicate"), kernels, biases), 2)
    if padding_mode == "reflect":
        # Two rows beyond the first, replication has the first and reflection the second. Whatever
        # is added for the rows is reflected along them; for the columns, replicated.
        of_rows = _beyond(x, weight, "reflect")
        of_columns = _beyond(x.mT, weight.mT, "replicate").mT
        y[:, :, :: y.shape[2] - 1] += of_rows
        y[:, :, :, :: y.shape[3] - 1] += of_columns
    return y


def _fold(weight: Tensor) -> Tensor:
    """Sum what falls on one pixel of 5x5 kernels, for each pixel of a square of four.

    Args:
        weight: ``(C_out, C, 5, 5)``.

    Returns:
        ``(4 * C_out, C, 3, 3)``, in the order of `F.pixel_shuffle`.
    """
    out_dim, in_dim = weight.shape[:2]
    five, three, two = (torch.arange(n, device=weight.device) for n in (5, 3, 2))
    # Of five rows, the copy p of a pixel, 0 or 1, sees the row i on the pixel (i + p) // 2.
    seen = (five + two[:, None]).div(2, rounding_mode="floor")[:, None] == three[:, None]
    both = seen[:, None, :, None, :, None] & seen[None, :, None, :, None]  # (2, 2, 3, 3, 5, 5)
    with without_autocast(weight):  # which would round before it sums
        sums = weight.reshape(-1, 25) @ both.view(36, 25).to(weight.dtype).T
    sums = sums.view(out_dim, in_dim, 4, 3, 3).transpose(1, 2)
    return sums.reshape(4 * out_dim, in_dim, 3, 3)


def _beyond(x: Tensor, weight: Tensor, mode: PaddingMode) -> Tensor:
    """Return what reflection adds to the first and the last row, ``(N, C_out, 2, 2 * W)``."""
    ends = torch.cat((x[:, :, :2], x[:, :, -2:]), 2)
    rows = ends[:, :, 1:3] - ends[:, :, ::3]  # the second less the first, the last but one less it
    if mode == "reflect":
        left, right = rows[..., :2].flip(3), rows[..., -2:].flip(3)
    else:
        left, right = rows[..., :1].expand(-1, -1, -1, 2), rows[..., -1:].expand(-1, -1, -1, 2)
    rows = torch.cat((left, rows.repeat_interleave(2, 3), right), 3).transpose(1, 2)
    kernels = weight[:, :, ::4].permute(2, 0, 1, 3).flatten(0, 1)  # the first rows, then the last
    of_rows = F.conv1d(rows.flatten(1, 2), kernels, groups=2)
    # Not len(x), which would fix the batch of an exported program.
    return of_rows.view(x.shape[0], 2, weight.shape[0], -1).transpose(1, 2)
