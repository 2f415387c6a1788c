"""Checkpoints written durably and read safely, by all ranks together; the best by a metric."""

import errno
import math
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import CheckpointIO

from munit_pl.io.checkpoint_files import remove_checkpoint, verify, write_durably
from munit_pl.io.safe_reading import read_checkpoint
from munit_pl.io.training_state import check_finite, tensors_of

_MARGIN = 1 << 20  # bytes that a checkpoint has besides its tensors, generously


class DurableCheckpointIO(CheckpointIO):
    """Write checkpoints so that none is ever lost to a crash, and read only those that are whole.

    They are streamed to the disk, are there before they replace another, and are listed with their
    hash; see `write_durably`. None with a value that is not finite is written or read. Nothing but
    tensors and plain values is read. Give it to a trainer as one of its ``plugins``.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: What to save.
            path: Where; folders are made.
            storage_options: For other classes than this.

        Raises:
            ValueError: If a value is not finite, of what training goes on from.
            OSError: If it cannot be written, or there is too little space. A file that was there
                is as it was.
        """
        path = Path(path)
        check_finite(checkpoint)
        path.parent.mkdir(parents=True, exist_ok=True)
        size = sum(tensor.nbytes for tensor in tensors_of(checkpoint).values())
        _refuse_too_little_space(path.parent, size)
        write_durably(path, lambda file: torch.save(checkpoint, file))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint onto the CPU, from where Lightning takes it on.

        Args:
            path: The file.
            map_location: Of no effect.
            weights_only: Of no effect: never is more read than tensors and plain values.

        Raises:
            ValueError: If it is damaged, or something else, or could not be saved again: a value is
                not finite.
        """
        path = Path(path)
        verify(path)
        checkpoint: dict[str, Any] = read_checkpoint(path, mmap=False)
        try:
            check_finite(checkpoint)
        except ValueError as error:
            raise ValueError(f"{path}: {error}; go on from an earlier checkpoint") from None
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint and its hash."""
        remove_checkpoint(Path(path))


class SaveError(OSError):
    """The state that a run ended with is in no checkpoint."""


def save_together(trainer: Trainer, path: Path) -> str | None:
    """Save a checkpoint, in a place that all processes reach; training survives a failure.

    Returns:
        None, or in all processes alike, why there is no good checkpoint now.
    """
    failure = None
    try:
        trainer.save_checkpoint(path)
    except Exception as error:  # of any callback and any file system
        failure = " ".join(f"{type(error).__name__}: {error}".split())
        # The others wait where trainer.save_checkpoint ends.
        trainer.strategy.barrier("munit_pl.save_together")
    return trainer.strategy.broadcast(failure)


def not_saved(path: Path, failure: str) -> str:
    """Say that a checkpoint could not be saved; what follows from it goes behind."""
    return f"CHECKPOINT NOT SAVED: {path}: {failure}"


class Best:
    """The best value so far of one metric.

    Args:
        monitor: The metric's name.
        mode: "max" if more is better, "min" if less is.

    Attributes:
        value: The best so far.
        step: The iteration that had it.
    """

    def __init__(self, monitor: str, mode: Literal["min", "max"]) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode is {mode!r}, but must be min or max")
        self.monitor = monitor
        self.mode = mode
        self.value: float | None = None
        self.step = 0

    def keep(self, trainer: Trainer, value: float, path: Path) -> str | None:
        """Save a checkpoint if ``value`` is better than all before, in all processes or in none.

        Returns:
            None, or why there is none of this iteration though there should be.
        """
        # Rounding must not let the processes decide each for itself.
        value = trainer.strategy.broadcast(value)
        if math.isnan(value) or (self.value is not None and not self._is_better(value)):
            return None
        former = self.value, self.step
        self.value, self.step = value, trainer.global_step  # the checkpoint knows it is the best
        failure = save_together(trainer, path)
        if failure is not None:
            self.value, self.step = former
        return failure

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return {"monitor": self.monitor, "best": self.value, "step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there; the best by another metric says nothing of this one."""
        if state_dict.get("monitor") == self.monitor:
            self.value, self.step = state_dict["best"], state_dict.get("step", 0)

    def _is_better(self, value: float) -> bool:
        assert self.value is not None
        return value < self.value if self.mode == "min" else value > self.value


def _refuse_too_little_space(folder: Path, size: int) -> None:
    usage = shutil.disk_usage(folder)
    if usage.total and usage.free < size + _MARGIN:  # some network file systems tell of no space
        raise OSError(
            errno.ENOSPC,
            f"{os.strerror(errno.ENOSPC)}: a checkpoint takes {(size + _MARGIN) / 1e6:.0f} MB, but "
            f"{usage.free / 1e6:.0f} MB are free",
            str(folder),
        )
