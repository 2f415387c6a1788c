"""Parts of a run that fail when they are told to; see `FaultInjection`."""

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from torch import Tensor

from munit_pl.data.cropping import BlankCrop
from munit_pl.data.domain import Domain

_BYTES_THAT_FIT = 5000  # into a checkpoint of any model


class FaultyDomain:
    """A domain one of whose images cannot be read.

    Args:
        domain: The domain.
        kind: How it fails; see `munit_pl.testing.fault_injection.READING`.
        index: Which image.
    """

    def __init__(self, domain: Domain, kind: str, index: int) -> None:
        self.domain = domain
        self.kind = kind
        self.index = index
        self._lost = torch.zeros(1, dtype=torch.bool)
        self._lost.share_memory_()  # type: ignore[no-untyped-call]  # workers are processes

    def __getattr__(self, name: str) -> Any:
        if name == "domain":  # asked for while a copy is being made
            raise AttributeError(name)
        return getattr(self.domain, name)

    def __len__(self) -> int:
        return len(self.domain)

    def load(self, index: int, rng: torch.Generator | None) -> Tensor:
        """Return an image, or fail."""
        if index == self.index:
            self._lost.fill_(self.kind == "lost_images")
            self._fail()
        if self._lost:
            raise FileNotFoundError("a fault was injected: no file is there")
        return self.domain.load(index, rng)

    def _fail(self) -> None:
        if self.kind == "bad_image":
            raise OSError("a fault was injected: the file cannot be decoded")
        if self.kind == "blank_image":
            raise BlankCrop("a fault was injected: the image is blank")
        if self.kind == "vanished_image":
            raise FileNotFoundError("a fault was injected: the file is gone")
        if self.kind == "worker_killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "worker_hangs":
            time.sleep(1e6)


class FaultyCheckpointIO(CheckpointIO):
    """Saves one way or another not at all, from an iteration on.

    Args:
        inner: What saves.
        kind: How it fails; see `munit_pl.testing.fault_injection.SAVING`.
        step: The iteration.
    """

    def __init__(self, inner: CheckpointIO, kind: str, step: int) -> None:
        self.inner = inner
        self.kind = kind
        self.step = step
        self._failed = False

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Save, or fail."""
        again = self.kind == "disk_full_for_good"
        if checkpoint["global_step"] < self.step or (self._failed and not again):
            self.inner.save_checkpoint(checkpoint, path, storage_options)
            return
        self._failed = True
        if self.kind == "damaged_checkpoint":
            self.inner.save_checkpoint(checkpoint, path, storage_options)
            _truncate_and_die(Path(path))
        if self.kind == "killed_in_save":
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # kills, where Python would raise
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (_BYTES_THAT_FIT, limits[1]))
        try:
            self.inner.save_checkpoint(checkpoint, path, storage_options)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """Load."""
        return self.inner.load_checkpoint(*args, **kwargs)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove."""
        self.inner.remove_checkpoint(path)


def _truncate_and_die(path: Path) -> NoReturn:
    os.truncate(path, path.stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
