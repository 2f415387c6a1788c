"""Weights cast to autocast's type once, and not at each use."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from munit_pl.layers.blocks import autocast_layers

# On the CPU the gradients of few large casts take longer than many small casts.
DEVICES = ("cuda",)


class WeightCasts:
    """Lets a network's layers find their weights cast, all in one pass over memory.

    Autocast casts a weight for each call of a layer, or keeps the first cast; and if that was made
    where nothing is differentiated, the calls that it is kept for have no gradient (torch < 2.12).
    These casts are made before the first call, so they always have one.

    Only reading a weight of a layer gives its cast, and only where autocast is on: parameters,
    state dicts and what leaves autocast find the weights themselves.

    Args:
        network: Its layers are found once; `autocast_layers` says which.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._layers = list(autocast_layers(network))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Cast the weights as they are; leave the context before they change.

        Nothing happens without autocast to a half type on a device of `DEVICES`, nor where
        `torch.compile` runs the network or a part of it, whose graphs have casts of their own. The
        gradients of several uses are added up in the half type.
        """
        parameters = [layer._parameters for layer in self._layers]
        dtype = self._dtype()
        if dtype is None:
            yield
            return
        weights = [weight for own in parameters for weight in own.values() if weight is not None]
        casts = dict(zip(weights, _Cast.apply(dtype, *weights), strict=True))
        weight_of = {cast: weight for weight, cast in casts.items()}
        kind = weights[0].device.type
        try:
            for layer, own in zip(self._layers, parameters, strict=True):
                layer.__dict__["_parameters"] = _Casts(own, casts, weight_of, kind)
            yield
        finally:
            for layer, own in zip(self._layers, parameters, strict=True):
                layer.__dict__["_parameters"] = own

    def _dtype(self) -> torch.dtype | None:
        """Return the type to cast to, or None."""
        kind = next(self._network.parameters()).device.type
        parts = (self._network, *self._network.children())
        compiled = any(part._compiled_call_impl is not None for part in parts)
        if compiled or kind not in DEVICES or not torch.is_autocast_enabled(kind):
            return None
        dtype = torch.get_autocast_dtype(kind)
        return dtype if dtype.itemsize == 2 and self._layers else None


class _Casts(dict[str, Any]):
    """A layer's parameters, of which reading one by its name gives the cast."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        casts: Mapping[Any, Tensor],
        weight_of: Mapping[Any, Tensor],
        kind: str,
    ) -> None:
        super().__init__(parameters)
        self._casts, self._weight_of, self._kind = casts, weight_of, kind

    def __getitem__(self, name: str) -> Any:
        weight = super().__getitem__(name)
        return self._casts.get(weight, weight) if torch.is_autocast_enabled(self._kind) else weight

    def __setitem__(self, name: str, weight: Any) -> None:
        # `torch.func.functional_call` puts other weights here for a while, then what it has read.
        super().__setitem__(name, self._weight_of.get(weight, weight))


class _Cast(torch.autograd.Function):
    """Many casts in one pass, and back."""

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)  # a weight that is not used has no gradient, not zeros
        ctx.dtypes = [weight.dtype for weight in weights]
        casts = [torch.empty_like(weight, dtype=dtype) for weight in weights]
        torch._foreach_copy_(casts, list(weights))
        frozen = [cast for cast, w in zip(casts, weights, strict=True) if not w.requires_grad]
        ctx.mark_non_differentiable(*frozen)
        return tuple(casts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        wide = [
            None if grad is None else torch.empty_like(grad, dtype=dtype)
            for grad, dtype in zip(grads, ctx.dtypes, strict=True)
        ]
        targets = [grad for grad in wide if grad is not None]
        if targets:
            torch._foreach_copy_(targets, [grad for grad in grads if grad is not None])
        return (None, *wide)
