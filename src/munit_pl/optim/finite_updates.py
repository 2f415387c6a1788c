"""Skipping of optimizer steps whose gradients are NaN/Inf or too large."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

MAX_NORM = 1e18  # Adam's second moment holds squares, and in fp32 nothing above 3.4e38


def skip_unless_finite(optimizer: Optimizer, norm: Tensor) -> Tensor:
    """Make the optimizer's next step change nothing if its gradient is not finite, or too large.

    The step is still to be taken: weights, moments and the count of steps then stay as they are.

    Args:
        optimizer: The optimizer, its gradient complete.
        norm: The norm of that gradient, a scalar.

    Returns:
        Whether the step is one to skip, a boolean scalar on the device of ``norm``.
    """
    bad = ~(norm <= MAX_NORM)  # so that it holds of NaN too
    if is_fused_adam(optimizer):
        # What gradient scalers tell fused kernels, which look themselves: nothing waits. SGD's
        # would leave its momentum unset where the first step is skipped.
        cast(Any, optimizer).found_inf = bad.float()
    elif bad:  # Only the host can tell the other kernels. That is free on the CPU alone.
        optimizer.zero_grad()  # a step without gradients is none
    return bad


def is_fused_adam(optimizer: Optimizer) -> bool:
    """Return whether an optimizer's step can be skipped without the host knowing of it."""
    return isinstance(optimizer, Adam) and all(g.get("fused") for g in optimizer.param_groups)


def count_skipped(counts: Tensor, bad: Tensor) -> Tensor:
    """Count a step.

    Args:
        counts: Steps skipped before, in all and in a row, ``(2,)`` integers.
        bad: Whether this one is skipped, a boolean scalar.

    Returns:
        The same with this step, on the device of ``bad``.
    """
    counted = counts.to(bad.device) + bad
    counted[1] *= bad
    return counted


@contextmanager
def keep_finite(buffers: Iterable[Tensor]) -> Iterator[None]:
    """Give those elements of buffers their earlier values that are not finite afterwards.

    A forward pass updates the statistics of a batch normalization long before anyone knows whether
    its numbers are any good; one NaN would stay in an average for ever.
    """
    watched = [buffer for buffer in buffers if buffer.is_floating_point()]
    earlier = _flat(watched)
    yield
    for dtype, before in earlier.items():  # all of one type together
        of_dtype = [buffer for buffer in watched if buffer.dtype == dtype]
        now = _flat(of_dtype)[dtype]
        kept = torch.where(now.isfinite(), now, before)
        parts = torch.split(kept, [buffer.numel() for buffer in of_dtype])
        shaped = [k.view_as(b) for k, b in zip(parts, of_dtype, strict=True)]
        torch._foreach_copy_(of_dtype, shaped)


def _flat(tensors: Sequence[Tensor]) -> dict[torch.dtype, Tensor]:
    """Return a copy of all elements of tensors by their type, side by side."""
    of_dtype: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        of_dtype.setdefault(tensor.dtype, []).append(tensor.flatten())
    return {dtype: torch.cat(flat) for dtype, flat in of_dtype.items()}
