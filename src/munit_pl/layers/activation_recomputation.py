"""Activation recomputation (gradient checkpointing): computed again in the backward pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.utils.checkpoint import checkpoint


class Recomputable(nn.Module):
    """A network of blocks that need not keep what they compute.

    Activation checkpointing (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016):
    of a block only the inputs are kept, and the backward pass computes the rest a second time. The
    gradients are the same to the bit, for about a third more work.

    Attributes:
        recompute: Whether that is done where a gradient is wanted. No part of the state, nor of
            what the network is made with.
    """

    recompute: bool = False

    def run(self, block: nn.Module, *inputs: Any) -> Any:
        """Return what ``block`` makes of ``inputs``."""
        if not (self.recompute and torch.is_grad_enabled()):
            return block(*inputs)
        parametrized = any(isinstance(m, ParametrizationList) for m in block.modules())
        passes: dict[str, Any] = {"context_fn": partial(_passes, block)} if parametrized else {}
        # No block draws random numbers, so there is no generator to be set back.
        return checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False, **passes)


def recompute_blocks(network: nn.Module) -> None:
    """Have every `Recomputable` network within ``network`` recompute its blocks from now on."""
    for module in network.modules():
        if isinstance(module, Recomputable):
            module.recompute = True


def _passes(block: nn.Module) -> tuple[Any, Any]:
    """Return a context for each of a block's two passes, the second with the first's weights."""
    second = _SecondPass(block)
    return second.noted(), second


class _SecondPass:
    """The context in which a block is computed again, though its weights have moved on.

    Spectral normalization moves its vectors on at each use, and a block has other uses between the
    two passes. So they are those of the first pass, and stay.
    """

    def __init__(self, block: nn.Module) -> None:
        lists = [module for module in block.modules() if isinstance(module, ParametrizationList)]
        self._normalizations = [module for of_layer in lists for module in of_layer]
        self._first: list[dict[str, Tensor]] = []
        self._before: list[tuple[bool, dict[str, Tensor | None]]] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the vectors that the first pass leaves, which are those that it used."""
        yield
        self._first = [
            {name: buffer.clone() for name, buffer in module.named_buffers()}
            for module in self._normalizations
        ]

    def __enter__(self) -> None:
        self._before = [(module.training, module._buffers) for module in self._normalizations]
        for module, buffers in zip(self._normalizations, self._first, strict=True):
            module.training, module._buffers = False, {**buffers}

    def __exit__(self, *_: object) -> None:
        for module, (training, buffers) in zip(self._normalizations, self._before, strict=True):
            module.training, module._buffers = training, buffers
