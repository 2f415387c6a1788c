"""Reflection, replication and zero padding of feature maps."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from munit_pl.layers.autocast import without_autocast

PaddingMode = Literal["reflect", "replicate", "zeros"]

ROWS, COLUMNS = 2, 3

LARGE = 2**17  # values from which on a CPU spends its time on memory and not on calls


def pad(x: Tensor, n: int, mode: PaddingMode) -> Tensor:
    """Add ``n`` pixels on each side of every map.

    PyTorch's own kernels have three drawbacks: on CUDA their gradients are not deterministic, on
    the CPU autocast gives them fp32 maps, and there their gradients of large maps take up to four
    times as long as a copy. Where one of these matters, what this module has of its own is used,
    which gives the same numbers.

    Args:
        x: Features, ``(N, C, H, W)``; to be reflected, ``n`` must be less than ``H`` and ``W``.
        n: Pixels.
        mode: What they hold.

    Returns:
        Features, ``(N, C, H + 2 * n, W + 2 * n)``.
    """
    if mode == "zeros":
        return F.pad(x, (n, n, n, n))
    # Compilers fuse PyTorch's kernels with what follows, and make their gradients of other ones;
    # but of replication, not on the CPU (torch 2.15).
    if torch.compiler.is_compiling():
        return F.pad(x, (n, n, n, n), mode) if mode == "reflect" else _replicated(x, n)
    if min(x.shape[2:]) <= n:  # to be refused, where it is too small
        return F.pad(x, (n, n, n, n), mode)
    large = x.device.type == "cpu" and x.numel() >= LARGE
    if not large and not torch.are_deterministic_algorithms_enabled():
        with without_autocast(x):
            return F.pad(x, (n, n, n, n), mode)
    return _Pad.apply(x, n, mode == "reflect")


def _replicated(x: Tensor, n: int) -> Tensor:
    for dim in (ROWS, COLUMNS):
        first, last = x.narrow(dim, 0, 1), x.narrow(dim, x.shape[dim] - 1, 1)
        x = torch.cat((*[first] * n, x, *[last] * n), dim)
    return x


class _Pad(torch.autograd.Function):
    """One copy in each direction, beside the strips along the border."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: int, reflect: bool) -> Tensor:
        ctx.n, ctx.reflect = n, reflect
        samples, channels, height, width = x.shape
        padded = x.new_empty(samples, channels, height + 2 * n, width + 2 * n)
        padded[:, :, n:-n, n:-n] = x
        _fill(padded[:, :, :, n:-n], ROWS, n, reflect)
        _fill(padded, COLUMNS, n, reflect)
        return padded

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Unpad.apply(grad, ctx.n, ctx.reflect), None, None


class _Unpad(torch.autograd.Function):
    """The adjoint of `_Pad`; each is the other's gradient, as often as one is asked for."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, n: int, reflect: bool) -> Tensor:
        ctx.n, ctx.reflect = n, reflect
        inside = grad[:, :, n:-n, n:-n].contiguous()
        # What lies beyond the border comes from inside: columns first, then rows with what their
        # own ends, the corners, add to them.
        _fold(inside, COLUMNS, grad[:, :, n:-n, :n], grad[:, :, n:-n, -n:], reflect)
        above, below = (
            _folded_columns(rows, n, reflect) for rows in (grad[:, :, :n], grad[:, :, -n:])
        )
        _fold(inside, ROWS, above, below, reflect)
        return inside

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Pad.apply(grad, ctx.n, ctx.reflect), None, None


def _fill(padded: Tensor, dim: int, n: int, reflect: bool) -> None:
    """Give the first and last ``n`` rows or columns their values from those inside."""
    length = padded.shape[dim]
    if reflect:
        before = padded.narrow(dim, n + 1, n).flip(dim)
        after = padded.narrow(dim, length - 2 * n - 1, n).flip(dim)
    else:
        before = padded.narrow(dim, n, 1)
        after = padded.narrow(dim, length - n - 1, 1)
    padded.narrow(dim, 0, n).copy_(before)
    padded.narrow(dim, length - n, n).copy_(after)


def _fold(inside: Tensor, dim: int, before: Tensor, after: Tensor, reflect: bool) -> None:
    """Add the gradients of the added rows or columns to those they were taken from."""
    n, length = before.shape[dim], inside.shape[dim]
    if reflect:
        inside.narrow(dim, 1, n).add_(before.flip(dim))
        inside.narrow(dim, length - 1 - n, n).add_(after.flip(dim))
    else:
        inside.narrow(dim, 0, 1).add_(before.sum(dim, keepdim=True))
        inside.narrow(dim, length - 1, 1).add_(after.sum(dim, keepdim=True))


def _folded_columns(rows: Tensor, n: int, reflect: bool) -> Tensor:
    inside = rows[:, :, :, n:-n].clone()
    _fold(inside, COLUMNS, rows[:, :, :, :n], rows[:, :, :, -n:], reflect)
    return inside
