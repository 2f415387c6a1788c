"""Keeps the run's page, ``index.html``, up to date."""

import time
import warnings
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from munit_pl.callbacks.evaluate import Evaluate
from munit_pl.callbacks.grids import ImageGrid
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.models.base.run_length import run_length
from munit_pl.reports.run_page import write_run_page


class RunPage(Callback):
    """Write ``index.html`` at each grid of `ImageGrid`, and when the run ends, however it does.

    See `write_run_page`. It stands after the grid among a trainer's callbacks, so that the newest
    grid is in the page.

    Args:
        folder: The run's, with its grids in ``grids/``.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._started = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Know that there is something to show."""
        self._started = True

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Write the page where there is a new grid."""
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        grids = [callback for callback in callbacks if isinstance(callback, ImageGrid)]
        if any(trainer.global_step % grid.every_n_steps == 0 for grid in grids):
            self._write(trainer, pl_module, "training")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it once more, when all other callbacks have written theirs."""
        self._write(trainer, pl_module, "done")

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Say in it why the run broke off."""
        if not self._started:
            return
        reason = " ".join(str(exception).split()) or type(exception).__name__
        self._write(trainer, pl_module, f"ended early: {reason}")

    def _write(self, trainer: Trainer, module: LightningModule, state: str) -> None:
        if not trainer.is_global_zero:
            return
        length = run_length(trainer)
        of = "" if length is None else f" of {length}"
        now = time.strftime("%Y-%m-%d %H:%M")
        told = f"iteration {trainer.global_step}{of}, {state} ({now})"
        try:
            for logger in trainer.loggers:
                if isinstance(logger, CSVLogger):
                    logger.save()
            self.folder.mkdir(parents=True, exist_ok=True)
            write_run_page(self.folder, told, _facts(trainer, module))
        except Exception as error:  # whatever lies in the folder, the run has another purpose
            text = " ".join(str(error).split())
            warnings.warn(f"the run's page could not be written: {text}", stacklevel=2)


def _facts(trainer: Trainer, module: LightningModule) -> dict[str, str]:
    """Return what a reader asks first of a run."""
    count = sum(parameter.numel() for parameter in module.parameters())
    facts = {"method": type(module).__name__, "parameters": f"{count:,}"}
    data = trainer.datamodule  # type: ignore[attr-defined]
    if isinstance(data, TwoDomains):
        facts["images"] = f"{type(data).__name__}, {data.size[0]}x{data.size[1]}"
        facts["batch"] = f"{data.batch_size}" + (
            f" on each of {trainer.world_size} processes" if trainer.world_size > 1 else ""
        )
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Evaluate) and (told := callback.verdict(trainer.global_step)):
            facts["evaluation"] = told
    facts["device"] = trainer.strategy.root_device.type
    facts["precision"] = str(trainer.precision)
    facts["seed"] = str(module.hparams.get("seed", ""))
    return facts
