"""Decisions that all ranks of a run take together, by an all-reduce."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, distributed

_KEY = "munit_pl_consensus"


class ProcessConsensus:
    """Numbers whose maximum all ranks learn, in one all-reduce an iteration.

    It goes over the CPU in a group of its own, so that neither the accelerator is waited for nor
    its collectives are disturbed. It is begun before an iteration and looked at after it, when it
    is over in all likelihood: what a process says while it trains the others learn an iteration
    later. A process that is alone learns it at once.

    All processes do the same with it at the same places. Callbacks share one: see `consensus_of`.

    Args:
        trainer: The run's trainer, whose processes have met already.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._group: Any = distributed.new_group(backend="gloo") if trainer.world_size > 1 else None
        self._own: dict[str, Callable[[], int]] = {}
        self._values: dict[str, int] = {}
        self._pending: tuple[Any, Tensor] | None = None

    def join(self, name: str, own: Callable[[], int]) -> None:
        """Exchange a number from now on.

        Args:
            name: What it is called.
            own: Returns this process's.
        """
        self._own[name] = own

    def begin(self) -> None:
        """Send this process's numbers, unless an exchange is under way."""
        if self._group is None or self._pending is not None:
            return
        numbers = torch.tensor([own() for own in self._own.values()])
        work = distributed.all_reduce(
            numbers, distributed.ReduceOp.MAX, group=self._group, async_op=True
        )
        self._pending = work, numbers

    def finish(self) -> None:
        """Wait for the exchange that is under way, if one is."""
        if self._pending is None:
            return
        work, numbers = self._pending
        work.wait()
        self._pending = None
        self._values = dict(zip(self._own, numbers.tolist(), strict=True))

    def maximum(self, name: str) -> int:
        """Return the largest of all processes' numbers, as they were when the exchange began."""
        if self._group is None:
            return self._own[name]()
        self.finish()
        return self._values[name]


def consensus_of(trainer: Trainer) -> ProcessConsensus:
    """Return the run's `ProcessConsensus`; all processes ask for it first at the same place."""
    held = vars(trainer)  # a table of trainers would keep them alive
    if _KEY not in held:
        held[_KEY] = ProcessConsensus(trainer)
    consensus: ProcessConsensus = held[_KEY]
    return consensus
