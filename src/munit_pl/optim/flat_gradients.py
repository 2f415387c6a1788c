"""Gradients averaged over all processes by one all-reduce."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, distributed, nn

# Elements at whose multiples gradients begin, so that kernels can read them in blocks.
_ALIGNED = 16


class FlatGradients:
    """The gradients of one player's parameters, side by side in one piece of memory.

    Each update's gradients are copied there, averaged by a single all-reduce and left in place: the
    parameters' ``grad`` are views of it. Autograd could add to such views by itself, but a copy of
    all at once passes over less memory, and is no kernel for each parameter.

    Which parameters have a gradient is agreed at the first average: those that have one in no
    process keep none. All processes make it and call it at the same places.

    Args:
        parameters: Those of one optimizer, all of one dtype and on one device.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._used: list[nn.Parameter] = []
        self._views: list[Tensor] = []
        self._flat: Tensor | None = None

    @torch.no_grad()
    def average(self) -> None:
        """Replace each gradient by its mean over all processes, equal to the bit in all of them.

        Raises:
            RuntimeError: If a parameter has a gradient that had none in any process at first.
        """
        if self._flat is None:
            self._flat = self._lay_out()
        given = {p: p.grad for p in self._parameters if p.grad is not None}
        places = dict(zip(self._used, self._views, strict=True))
        if not places.keys() >= given.keys():
            raise RuntimeError(
                "a parameter has its first gradient after the first iteration, and has no place in "
                "the one all-reduce for all: use trainer=ddp"
            )
        torch._foreach_copy_([places[p] for p in given], list(given.values()))
        for missing in places.keys() - given.keys():
            places[missing].zero_()
        self._flat.div_(distributed.get_world_size())  # first, or large sums would overflow
        distributed.all_reduce(self._flat)
        for parameter, place in places.items():
            parameter.grad = place

    def _lay_out(self) -> Tensor:
        """Give each parameter that some process has a gradient for its place."""
        first = self._parameters[0]
        used = torch.tensor([p.grad is not None for p in self._parameters], device=first.device)
        used = used.int()
        distributed.all_reduce(used, distributed.ReduceOp.MAX)
        self._used = [p for p, u in zip(self._parameters, used.tolist(), strict=True) if u]
        starts = [0]
        for parameter in self._used:
            starts.append(starts[-1] + -(-parameter.numel() // _ALIGNED) * _ALIGNED)
        flat = torch.zeros(starts[-1], dtype=first.dtype, device=first.device)
        # In the weights' own memory format, which the optimizer's kernels want of both.
        self._views = [
            flat.as_strided(p.size(), p.stride(), start)
            for p, start in zip(self._used, starts[:-1], strict=True)
        ]
        return flat


@torch.no_grad()
def broadcast_together(tensors: Sequence[Tensor]) -> None:
    """Give tensors the first process's values, by one broadcast for each dtype."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        same = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.reshape(-1) for tensor in same])
        distributed.broadcast(flat, 0)
        sizes = [tensor.numel() for tensor in same]
        for tensor, values in zip(same, torch.split(flat, sizes), strict=True):
            tensor.copy_(values.view_as(tensor))
