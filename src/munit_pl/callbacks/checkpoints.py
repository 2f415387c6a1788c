"""Saving checkpoints: every so many iterations or minutes, and at a run's end."""

import logging
import math
import time
import warnings
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from munit_pl.callbacks.checkpoint_io import Best, SaveError, not_saved, save_together
from munit_pl.callbacks.consensus import ProcessConsensus, consensus_of
from munit_pl.callbacks.resume_conditions import changed_conditions, run_conditions
from munit_pl.callbacks.rich_logs import log_checkpoint
from munit_pl.callbacks.stop_request import request_stop
from munit_pl.checks import PositiveFloat, PositiveInt, checked
from munit_pl.exits import ExitCode
from munit_pl.io.checkpoint_files import (
    SCHEMA,
    check_schema,
    link_durably,
    remove_checkpoint,
    remove_leftovers,
    step_files,
    verify,
)

_log = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Save the run every so many iterations or minutes, and at its end.

    ``00010000.ckpt`` and its like are named after the iterations done; ``last.ckpt`` is always the
    newest. A save that fails is told of, and training goes on. Lightning's own callback warns at
    each save under manual optimization, and saves nothing at the end if it comes between two saves.

    Args:
        folder: Where checkpoints go.
        every_n_steps: Iterations from one to the next.
        every_n_minutes: Minutes from one to the next at most, by process 0's clock.
        keep_last: How many of the newest stay, besides ``last.ckpt`` and ``best.ckpt``; all if not
            given.
        monitor: A metric that validation logs, such as "val/image". The checkpoint of the
            validation with the best is ``best.ckpt``.
        mode: "max" if more of it is better, "min" if less is.
        max_failures: After so many failures in a row the run stops.
        artifacts: Give W&B, if the run logs to it, a copy of each numbered checkpoint.
    """

    @checked
    def __init__(
        self,
        folder: str | Path,
        every_n_steps: PositiveInt = 10_000,
        every_n_minutes: PositiveFloat | None = None,
        keep_last: PositiveInt | None = None,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        max_failures: PositiveInt = 3,
        artifacts: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.keep_last = keep_last
        self.max_failures = max_failures
        self.artifacts = artifacts
        best = Best(monitor or "", mode)
        self.best = best if monitor else None
        self._consensus: ProcessConsensus | None = None
        self._saved_step: int | None = None
        self._saved_at = 0.0
        self._failures = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find out whether the folder can be written to, before anything is trained."""
        if stage != "fit":
            return
        failure = _prepare(self.folder) if trainer.is_global_zero else None
        if (failure := trainer.strategy.broadcast(failure)) is not None:
            raise OSError(failure)

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a metric that validation does not log, before anything is trained."""
        self._monitored(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        if self.best is not None and not trainer.enable_validation:
            raise ValueError(f"monitor is {self.best.monitor}, but the run has no validation")
        _validate_if_due(trainer)
        self._saved_at = time.monotonic()
        if self.every_n_minutes is not None:
            self._consensus = consensus_of(trainer)
            self._consensus.join("time", lambda: self._is_time(trainer))

    def on_train_batch_start(self, *_: object) -> None:
        """Let the other processes know whether it is time to save."""
        if self._consensus is not None:
            self._consensus.begin()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Save every ``every_n_steps`` iterations and every ``every_n_minutes`` minutes."""
        is_time = self._consensus is not None and self._consensus.maximum("time")
        if trainer.global_step % self.every_n_steps == 0 or is_time:
            self.save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the best."""
        if trainer.sanity_checking or self.best is None:
            return
        failure = self.best.keep(trainer, self._monitored(trainer), self.folder / "best.ckpt")
        if failure is not None:
            self._tell(trainer, self.folder / "best.ckpt", failure)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what the run ends with, unless that has just been saved."""
        if not self.save(trainer, at_end=True):
            raise SaveError(f"the run's end, iteration {trainer.global_step}, could not be saved")

    def save(self, trainer: Trainer, at_end: bool = False) -> bool:
        """Save this iteration, unless that has been done; all processes call it.

        Args:
            trainer: The run's.
            at_end: Whether this iteration is the run's last.

        Returns:
            Whether there is a good checkpoint of it.
        """
        if trainer.global_step == self._saved_step:
            return True
        self._saved_at = time.monotonic()
        _flush(trainer)
        file = self.folder / f"{trainer.global_step:08d}.ckpt"
        failure = save_together(trainer, file)
        if failure is None:
            self._saved_step = trainer.global_step
            if self.artifacts:
                log_checkpoint(trainer, file)
            failure = trainer.strategy.broadcast(
                self._tidy(file) if trainer.is_global_zero else None
            )
        if failure is None:
            self._failures = 0
        else:
            self._tell(trainer, file, failure, at_end)
        return self._saved_step == trainer.global_step

    def outdate(self) -> None:
        """Have this iteration saved again, since what a checkpoint holds beside weights changed."""
        self._saved_step = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return {} if self.best is None else self.best.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        if self.best is not None:
            self.best.load_state_dict(state_dict)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note what the checkpoint was made with."""
        checkpoint["munit_pl"] = {"schema": SCHEMA, **run_conditions(trainer)}

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse what a newer version wrote; say what differs, since results may then."""
        check_schema(checkpoint)
        changes = changed_conditions(checkpoint.get("munit_pl"), trainer)
        if changes and trainer.is_global_zero:
            warnings.warn(
                f"the run goes on under other conditions: {', '.join(changes)}", stacklevel=2
            )

    def _is_time(self, trainer: Trainer) -> int:
        assert self.every_n_minutes is not None
        over = time.monotonic() - self._saved_at >= 60 * self.every_n_minutes
        return int(over and trainer.is_global_zero)

    def _monitored(self, trainer: Trainer) -> float:
        if self.best is None:
            return math.nan
        known = trainer.callback_metrics
        if self.best.monitor not in known:
            raise ValueError(
                f"monitor is {self.best.monitor}, but must be one of {', '.join(sorted(known))}"
            )
        return float(known[self.best.monitor])

    def _tidy(self, file: Path) -> str | None:
        """Let ``last.ckpt`` be the new checkpoint, and remove those that are too many."""
        try:
            link_durably(file, self.folder / "last.ckpt")
            old = [path for path in step_files(self.folder) if path != file]
            too_many = old[self.keep_last - 1 :] if self.keep_last else []
            if too_many:
                verify(file)
            for path in too_many:
                remove_checkpoint(path)
        except (OSError, ValueError) as error:
            return " ".join(str(error).split())
        return None

    def _tell(self, trainer: Trainer, file: Path, failure: str, at_end: bool = False) -> None:
        """Say loudly that a checkpoint could not be saved; after too many, have the run stop."""
        self._failures += 1
        left = self.max_failures - self._failures
        row = f"{self._failures} in a row"
        if at_end:
            outcome = ""
        elif left > 0:
            outcome = (
                f" ({row}); training goes on until it is {self.max_failures}: free or repair what "
                "is in the way"
            )
        else:
            outcome = f" ({row}); the run stops"
        if trainer.is_global_zero:
            _log.error("%s%s", not_saved(file, failure), outcome)
        if left <= 0 and not at_end:
            message = f"{self._failures} checkpoints in a row could not be saved"
            request_stop(trainer, ExitCode.CANNOT_SAVE, message)


def _prepare(folder: Path) -> str | None:
    """Make the folder, and tell why it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"x")
        probe.unlink()
        remove_leftovers(folder)
    except OSError as error:
        return f"checkpoints cannot be written to {folder}: {error.strerror or error}"
    return None


def _validate_if_due(trainer: Trainer) -> None:
    """Validate what the run goes on from if that was due: a checkpoint is saved just before."""
    loop = trainer.fit_loop.epoch_loop
    if not trainer.global_step or not trainer.enable_validation:
        return
    if loop.restarting and loop._should_check_val_fx(trainer.fit_loop._data_fetcher):  # type: ignore[arg-type]
        trainer.validating = True
        loop.val_loop.restarting = False  # what the checkpoint counted was the one before
        loop.val_loop.run()
        trainer.training = True


def _flush(trainer: Trainer) -> None:
    """Have the curves on the disk up to where a resumed run goes on from.

    Lightning gives an iteration's values to the loggers after its callbacks only.
    """
    if trainer._logger_connector._first_loop_iter is not None:  # it is within an iteration
        trainer._logger_connector.update_train_step_metrics()
    for logger in trainer.loggers:
        try:
            logger.save()
        except Exception as error:  # a broken logger is no reason to lose the checkpoint
            warnings.warn(f"{type(logger).__name__} could not be saved: {error}", stacklevel=2)
