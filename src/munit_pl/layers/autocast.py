"""Under autocast: what must be computed in fp32."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def to_float32(x: Tensor) -> Tensor:
    """Return ``x`` in fp32 if it is of a half type, which can hold no sum over many values."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def to_autocast_dtype(x: Tensor) -> Tensor:
    """Return ``x`` as autocast has convolutions take it, where it is on."""
    kind = x.device.type
    on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return x.to(torch.get_autocast_dtype(kind)) if on and x.dtype != torch.float64 else x


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which autocast leaves tensors on the device of ``x`` alone."""
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()
