"""Upsampling and convolution in one, with less arithmetic, and on a GPU in few operations."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from munit_pl.layers.autocast import to_autocast_dtype, without_autocast
from munit_pl.layers.padding import PaddingMode, pad


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
    size = x.shape[2:]
    if padding_mode == "reflect" and _few_launches_count(x) and min(size) >= 4:
        return _Upsampled.apply(to_autocast_dtype(x), weight, bias)
    return _upsample_conv(x, weight, bias, padding_mode)


def _upsample_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding_mode: PaddingMode
) -> Tensor:
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
        y[:, :, :: y.shape[2] - 1].add_(of_rows)
        y[:, :, :, :: y.shape[3] - 1].add_(of_columns)
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


def _few_launches_count(x: Tensor) -> bool:
    """Return whether Python is slower than the device, so that each operation costs time."""
    free = not (torch.compiler.is_compiling() or torch.are_deterministic_algorithms_enabled())
    return free and x.device.type == "cuda"


class _Upsampled(torch.autograd.Function):
    """`upsample_conv` with reflection, in half of its operations, and a third for the gradient.

    All four borders pass one convolution, as strips of doubled differences, ``(N, 4, C, L, 2)``:
    the first row, the last one, the first column, the last one. Sides are of four pixels or more.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        (n, c, height, width), out_dim = x.shape, weight.shape[0]
        padded, kernels, edges = pad(x, 1, "replicate"), _folded(weight, x), _edges(weight, x)
        strips = x.new_zeros(n, 4, c, max(height, width) + 2, 2)
        for way, of_way in _both_ways(padded, strips):
            inner, outer = (lines.unsqueeze(-1) for lines in _lines(way))
            # Both copies of a pixel at once.
            torch.sub(inner.expand(-1, -1, -1, -1, 2), outer, out=of_way.transpose(1, 2))
        ends, seconds = _ends_of_rows(strips, width)
        ends.copy_(seconds)
        biases = None
        if bias is not None:
            biases = x.new_empty(out_dim, 4).copy_(bias[:, None]).flatten()
        y = F.pixel_shuffle(F.conv2d(padded, kernels, biases), 2)
        beyond = F.conv1d(strips.view(n, 4 * c, -1), edges, groups=4).view(n, 4, out_dim, -1)
        for border, of_way in _borders(y, beyond):
            border.add_(of_way)
        ctx.save_for_backward(x, weight, bias, padded, strips, kernels, edges)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, padded, strips, kernels, edges = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again
            given = [t for t in (x, weight, bias) if t is not None and t.requires_grad]
            with torch.autocast(x.device.type, x.dtype, enabled=x.dtype != weight.dtype):
                y = _upsample_conv(x, weight, bias, "reflect")
            found = iter(torch.autograd.grad(y, given, grad, create_graph=True))
            return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)
        (n, c, _, width), out_dim = x.shape, weight.shape[0]
        conv_backward = torch.ops.aten.convolution_backward
        of_padded, of_kernels, of_biases = conv_backward(
            F.pixel_unshuffle(grad, 2), padded, kernels, [4 * out_dim], [1, 1], [0, 0], [1, 1],
            False, [0, 0], 1, [True, True, bias is not None],
        )  # fmt: skip
        beyond = grad.new_zeros(n, 4, out_dim, 2 * strips.shape[3] - 4)
        for border, of_way in _borders(grad, beyond):
            of_way.copy_(border)
        of_strips, of_edges, _ = conv_backward(
            beyond.flatten(1, 2), strips.view(n, 4 * c, -1), edges, None, [1], [0], [1],
            False, [0], 4, [True, True, False],
        )  # fmt: skip
        of_strips = of_strips.reshape(strips.shape)
        ends, seconds = _ends_of_rows(of_strips, width)
        seconds.add_(ends)
        ends.zero_()
        for way, of_way in _both_ways(of_padded, of_strips.sum(-1)):
            inner, outer = _lines(way)
            inner.add_(of_way.transpose(1, 2))
            outer.sub_(of_way.transpose(1, 2))
        of_x = torch.ops.aten.replication_pad2d_backward(of_padded, x, [1] * 4)
        of_weight = _unfolded(of_kernels, weight)
        both = of_edges.reshape(2, 2, out_dim, c, 5).permute(0, 2, 3, 1, 4)
        for kernel, of_way in zip((of_weight, of_weight.mT), both, strict=True):
            kernel[:, :, ::4].add_(of_way)
        of_bias = None if bias is None else of_biases.view(-1, 4).sum(1, dtype=bias.dtype)
        return of_x, of_weight, of_bias


def _both_ways(padded: Tensor, strips: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a map with the strips of its rows, and then with its sides swapped those of columns."""
    height, width = padded.shape[2:]
    yield padded, strips[:, :2, :, :width]
    yield padded.mT, strips[:, 2:, :, :height]


def _lines(padded: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows beside the first and the last one, and these, of a map padded by one."""
    height = padded.shape[2] - 2
    return padded[:, :, 2 : height : height - 3], padded[:, :, 1 : height + 1 : height - 1]


def _ends_of_rows(strips: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return of rows' strips the outermost pixels, and those that reflection has in their place."""
    length = 2 * width + 4
    rows = strips.view(*strips.shape[:3], -1)[:, :2, :, :length]
    return rows[..., :: length - 1], rows[..., 4 : length - 4 : length - 9]


def _borders(y: Tensor, beyond: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the first and last rows of ``y``, then columns, with what belongs to them."""
    height, width = y.shape[2:]
    yield y[:, :, :: height - 1], beyond[:, :2, :, :width].transpose(1, 2)
    yield y.mT[:, :, :: width - 1], beyond[:, 2:, :, :height].transpose(1, 2)


def _folded(weight: Tensor, x: Tensor) -> Tensor:
    """Return `_fold` of kernels in the type of ``x``; their sums are those of a pooling."""
    out_dim, in_dim = weight.shape[:2]
    sums = F.avg_pool2d(weight, 2, stride=1, padding=1, divisor_override=1)
    sums = sums.view(out_dim, in_dim, 3, 2, 3, 2).flip(3, 5).permute(0, 3, 5, 1, 2, 4)
    return x.new_empty(sums.shape).copy_(sums).view(4 * out_dim, in_dim, 3, 3)


def _unfolded(kernels: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of ``weight`` from that of what `_folded` made of it."""
    out_dim, in_dim = weight.shape[:2]
    sums = kernels.reshape(out_dim, 2, 2, in_dim, 3, 3).permute(0, 3, 4, 1, 5, 2).flip(3, 5)
    wide = weight.new_empty(sums.shape).copy_(sums).view(out_dim, in_dim, 6, 6)
    square, one = [2, 2], [1, 1]
    pooled: Tensor = torch.ops.aten.avg_pool2d_backward(
        wide, weight, square, one, one, False, True, 1
    )
    return pooled


def _edges(weight: Tensor, x: Tensor) -> Tensor:
    """Return the kernels of `_Upsampled`'s strips, ``(4 * C_out, C, 5)``, in the type of ``x``."""
    out_dim, in_dim = weight.shape[:2]
    edges = x.new_empty(2, 2, out_dim, in_dim, 5)
    for of_way, kernel in zip(edges, (weight, weight.mT), strict=True):
        of_way.copy_(kernel[:, :, ::4].permute(2, 0, 1, 3))
    return edges.view(4 * out_dim, in_dim, 5)
