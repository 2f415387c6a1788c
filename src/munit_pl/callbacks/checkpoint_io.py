"""How Lightning writes and reads checkpoints here, and how all processes save one together."""

import errno
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import CheckpointIO
from torch import Tensor

from munit_pl.io.checkpoint_files import remove_checkpoint, verify, write_durably
from munit_pl.io.safe_reading import read_checkpoint

_MARGIN = 1 << 20  # bytes that a checkpoint has besides its tensors, generously


class DurableCheckpointIO(CheckpointIO):
    """Write checkpoints so that none is ever lost to a crash, and read only those that are whole.

    They are streamed to the disk, are there before they replace another, and are listed with their
    hash; see `write_durably`. None with a value that is not finite is written. Nothing but tensors
    and plain values is read. Give it to a trainer as one of its ``plugins``.
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
            ValueError: If a tensor has a value that is not finite, of what training goes on from.
            OSError: If it cannot be written, or there is too little space. A file that was there
                is as it was.
        """
        path = Path(path)
        tensors = dict(_tensors(checkpoint))
        _refuse_non_finite(tensors)
        path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_too_little_space(path.parent, sum(t.nbytes for t in tensors.values()))
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
            ValueError: If it is damaged, or something else.
        """
        verify(Path(path))
        return read_checkpoint(Path(path), mmap=False)

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
    """The best value so far of one figure.

    Args:
        monitor: The figure's name.
        mode: "max" if more is better, "min" if less is.

    Attributes:
        value: The best so far.
    """

    def __init__(self, monitor: str, mode: Literal["min", "max"]) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode is {mode!r}, but must be min or max")
        self.monitor = monitor
        self.mode = mode
        self.value: float | None = None

    def keep(self, trainer: Trainer, value: float, path: Path) -> str | None:
        """Save a checkpoint if ``value`` is better than all before, in all processes or in none.

        Returns:
            None, or why there is none of this iteration though there should be.
        """
        # Rounding must not let the processes decide each for itself.
        value = trainer.strategy.broadcast(value)
        if math.isnan(value) or (self.value is not None and not self._is_better(value)):
            return None
        former, self.value = self.value, value  # before: the checkpoint knows that it is the best
        failure = save_together(trainer, path)
        if failure is not None:
            self.value = former
        return failure

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return {"monitor": self.monitor, "best": self.value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there; the best by another figure says nothing of this one."""
        if state_dict.get("monitor") == self.monitor:
            self.value = state_dict["best"]

    def _is_better(self, value: float) -> bool:
        assert self.value is not None
        return value < self.value if self.mode == "min" else value > self.value


def _tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for i, item in enumerate(value):
            yield from _tensors(item, f"{name}.{i}")


def _refuse_non_finite(tensors: Mapping[str, Tensor]) -> None:
    checked = {
        name: tensor.isfinite().all()
        for name, tensor in tensors.items()
        # Callbacks keep account there: the best value so far, say, which may be infinite.
        if (tensor.is_floating_point() or tensor.is_complex()) and not name.startswith("callbacks.")
    }
    if not checked:
        return
    # One wait for the accelerator, not one for each tensor.
    device = max(
        (flag.device for flag in checked.values()), key=lambda device: device.type != "cpu"
    )
    finite = torch.stack([flag.to(device, non_blocking=True) for flag in checked.values()]).tolist()
    bad = [name for name, fine in zip(checked, finite, strict=True) if not fine]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise ValueError(f"there are values that are not finite in {', '.join(bad[:3])}{more}")


def _refuse_too_little_space(folder: Path, size: int) -> None:
    usage = shutil.disk_usage(folder)
    if usage.total and usage.free < size + _MARGIN:  # some network file systems tell of no space
        raise OSError(
            errno.ENOSPC,
            f"{os.strerror(errno.ENOSPC)}: a checkpoint takes {(size + _MARGIN) / 1e6:.0f} MB, but "
            f"{usage.free / 1e6:.0f} MB are free",
            str(folder),
        )
