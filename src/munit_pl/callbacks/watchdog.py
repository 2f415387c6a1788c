"""A watchdog that ends runs that hang."""

import faulthandler
import time

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from munit_pl.checks import PositiveFloat, checked


class Watchdog(Callback):
    """End a process that has done nothing for a while, and print where each of its threads hangs.

    A collective that another process never reaches, a file system or a device that does not answer
    would otherwise hold a run for ever. Each process watches itself: where one hangs, those that
    wait for it hang too. The clock starts anew with each iteration, validated batch and checkpoint.

    Args:
        minutes: How long one iteration, validated batch, grid, evaluation or checkpoint may take.

    Raises:
        ValueError: If ``minutes`` is not positive.
    """

    @checked
    def __init__(self, minutes: PositiveFloat = 30.0) -> None:
        self.seconds = 60 * minutes
        self._armed = 0.0

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._arm()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._arm()

    def on_train_batch_start(self, *_: object) -> None:
        """Start the clock anew."""
        self._arm()

    def on_validation_batch_start(self, *_: object) -> None:
        """Start the clock anew."""
        self._arm()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Stop the clock."""
        self._disarm()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._disarm()

    def _arm(self) -> None:
        now = time.monotonic()
        if now - self._armed > self.seconds / 20:  # it starts a thread each time
            self._armed = now
            faulthandler.dump_traceback_later(self.seconds, exit=True, file=2)

    def _disarm(self) -> None:
        self._armed = 0.0
        faulthandler.cancel_dump_traceback_later()
