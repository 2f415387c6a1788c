"""Activations computed again for the gradient, and not kept until then."""

from typing import Any

import torch
from torch import nn
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
        # No block draws random numbers, so there is no generator to be set back.
        return checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False)


def recompute_blocks(network: nn.Module) -> None:
    """Have every `Recomputable` network within ``network`` recompute its blocks from now on."""
    for module in network.modules():
        if isinstance(module, Recomputable):
            module.recompute = True
