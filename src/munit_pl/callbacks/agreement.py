"""What all processes of a run decide together."""

from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import distributed


class Agreement:
    """A number that all processes come to agree on, over the CPU.

    A group of its own, so that neither the accelerator is waited for nor its collectives are
    disturbed. All processes make it, and call it, at the same places.

    Args:
        trainer: The run's trainer, whose processes have met already.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._group: Any = distributed.new_group(backend="gloo") if trainer.world_size > 1 else None

    def maximum(self, value: int) -> int:
        """Return the largest ``value`` of all processes."""
        if self._group is None:
            return value
        largest = torch.tensor(value)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=self._group)
        return int(largest)
