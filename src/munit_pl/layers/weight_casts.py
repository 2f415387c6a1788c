"""Weights cast to a half type once, and not at each use."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from munit_pl.layers.blocks import autocast_layers


@contextmanager
def cast_weights(networks: Iterable[nn.Module], dtype: torch.dtype | None) -> Iterator[None]:
    """Let convolutions and linear maps find their weights in ``dtype``, cast together beforehand.

    Autocast makes such a cast for each call of a layer, or keeps the first one; and if that was
    made where nothing is differentiated, the calls that it is kept for have no gradient. These
    casts are made before the first call, so they always have one, and serve under `torch.no_grad`
    as well. They are those of the weights as they are at the beginning: leave the context after
    a step, and enter it anew.

    The gradients of several uses are added up in ``dtype``, as with autocast's own cache.

    Args:
        networks: Those whose layers are meant; but see `autocast_layers`.
        dtype: A floating type; with None nothing happens.
    """
    places = [place for network in networks for place in _places(network)] if dtype else []
    weights = [module._parameters[name] for module, name in places]
    casts = _Cast.apply(dtype, *weights) if places else ()
    try:
        for (module, name), cast in zip(places, casts, strict=True):
            module._parameters[name] = cast
        yield
    finally:
        for (module, name), weight in zip(places, weights, strict=True):
            module._parameters[name] = weight


def _places(network: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yield where the parameters lie that autocast would cast: a layer and a name."""
    for layer in autocast_layers(network):
        for name, parameter in layer._parameters.items():
            if parameter is not None:
                yield layer, name


class _Cast(torch.autograd.Function):
    """Many casts in few kernels, and back."""

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)  # a weight that is not used has no gradient, not zeros
        ctx.dtypes = [weight.dtype for weight in weights]
        casts = [torch.empty_like(weight, dtype=dtype) for weight in weights]
        torch._foreach_copy_(casts, list(weights))
        return tuple(casts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        wide = [
            None if grad is None else torch.empty_like(grad, dtype=dtype)
            for grad, dtype in zip(grads, ctx.dtypes, strict=True)
        ]
        targets = [grad for grad in wide if grad is not None]
        if targets:
            torch._foreach_copy_(targets, [grad for grad in grads if grad is not None])
        return (None, *wide)
