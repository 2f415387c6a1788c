"""Checkpoints of a run."""

import os
import shutil
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from munit_pl.layers import at_least_one


class Checkpoints(Checkpoint):
    """Save the run every so many iterations, and at its end.

    ``00010000.ckpt`` and its like, named after the iterations done, are kept; ``last.ckpt`` is
    always the newest. Lightning's own callback warns at each save under manual optimisation, and
    saves nothing at the end if it comes between two saves.

    Args:
        folder: Where checkpoints go.
        every_n_steps: Iterations from one to the next.
    """

    def __init__(self, folder: str | Path, every_n_steps: int = 10_000) -> None:
        at_least_one(every_n_steps=every_n_steps)
        self.folder = Path(folder)
        self.every_n_steps = every_n_steps
        self._saved_step: int | None = None

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Save every ``every_n_steps`` iterations."""
        if trainer.global_step % self.every_n_steps == 0:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what the run ends with, unless that has just been saved."""
        if trainer.global_step != self._saved_step:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        self._saved_step = trainer.global_step
        file = self.folder / f"{trainer.global_step:08d}.ckpt"
        trainer.save_checkpoint(file)
        if trainer.is_global_zero:
            _link(file, self.folder / "last.ckpt")


def _link(file: Path, name: Path) -> None:
    """Make ``name`` the same file; at no instant is there none."""
    new = name.with_suffix(".new")
    new.unlink(missing_ok=True)
    try:
        os.link(file, new)
    except OSError:  # a file system without hard links
        shutil.copyfile(file, new)
    new.replace(name)
