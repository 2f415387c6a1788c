"""Stopping a run early with all of it saved: on a signal, or on a request."""

import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import NoReturn

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.consensus import ProcessConsensus, consensus_of
from munit_pl.callbacks.stop_request import RunStopped
from munit_pl.data.skipped_files import StopReason
from munit_pl.models.base.run_length import run_length

_log = logging.getLogger(__name__)
_SIGNALS = [  # Windows has no SIGUSR1
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name)
]
_KEYSTROKE = 1.0  # seconds in which a terminal and a launcher may both deliver one Ctrl-C


class GracefulStop(Checkpoint):
    """End the run after the current iteration, saved, when a signal or a callback asks for it.

    SIGTERM, SIGINT (Ctrl-C) and SIGUSR1 (what SLURM can send ahead of a time limit) are such
    requests; a second Ctrl-C ends the process at once, and touches no file. All processes agree
    after each iteration, so it does not matter which of them got a signal, or when: of several,
    they end after the next iteration if it came during one. Then every `Checkpoints` saves, and
    `RunStopped` is raised in all processes.

    It counts as one of Lightning's checkpoint callbacks so that it comes after all others.
    """

    def __init__(self) -> None:
        self._request: StopReason | None = None
        self._at_once: Trainer | None = None
        self._interrupted: float | None = None
        self._consensus: ProcessConsensus | None = None

    def request(self, code: int, message: str) -> None:
        """Ask for the end after the current iteration; the first request counts."""
        self._request = self._request or StopReason(code, message)

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals from Lightning as soon as it has them."""
        self._take_signals(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals, and meet the other processes."""
        self._take_signals(trainer)
        self._consensus = consensus_of(trainer)
        self._consensus.join("stop", lambda: own.code if (own := self._asked(trainer)) else 0)

    def on_train_batch_start(self, *_: object) -> None:
        """Let the other processes know what was asked for."""
        assert self._consensus is not None
        self._consensus.begin()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Agree whether to go on; if not, save and raise `RunStopped`."""
        assert self._consensus is not None
        code = self._consensus.maximum("stop")
        if not code or trainer.global_step == run_length(trainer):  # then nothing lies ahead
            return
        own = self._asked(trainer)
        _forget_processes(trainer)
        why = own.message if own and own.code == code else "another process asked for the end"
        outcome = "saved" if _save(trainer) else "NOT saved"
        message = f"{why}: stopped after iteration {trainer.global_step}, {outcome}"
        if trainer.is_global_zero or (own and own.code == code):
            _log.warning("%s", message)
        raise RunStopped(code, message)

    @contextmanager
    def ending_at_once(self, trainer: Trainer) -> Iterator[None]:
        """Save the run's last iteration, and let a signal end what follows in mid-computation.

        No other process need agree, for nothing is trained any more.

        Raises:
            RunStopped: If a signal comes within the block, or came before.
        """
        if _save(trainer):  # else a signal waits until it has been tried again
            self._at_once = trainer
            if self._request is not None:
                self._end_at_once(trainer, self._request)
        try:
            yield
        finally:
            self._at_once = None

    def _end_at_once(self, trainer: Trainer, request: StopReason) -> NoReturn:
        self._at_once = None
        if isinstance(launcher := trainer.strategy.launcher, _SubprocessScriptLauncher):
            launcher.kill(signal.SIGTERM)  # those that it started have saved, too
        _forget_processes(trainer)
        message = f"{request.message}: all {trainer.global_step} iterations are saved, no metrics"
        _log.warning("%s", message)
        raise RunStopped(request.code, message)

    def _asked(self, trainer: Trainer) -> StopReason | None:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        return self._request or getattr(datamodule, "stop_reason", None)

    def _take_signals(self, trainer: Trainer) -> None:
        """Replace Lightning's handlers, which call collectives and so hang where processes differ.

        The poll that belongs to them goes too. Lightning puts back what was there before the run.
        """
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing  # type: ignore[method-assign]
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if number == signal.SIGINT:
            if self._interrupted is not None and now - self._interrupted > _KEYSTROKE:
                os._exit(128 + number)
            self._interrupted = self._interrupted or now
        self.request(128 + number, signal.Signals(number).name)
        if self._at_once is not None and self._request is not None:
            self._end_at_once(self._at_once, self._request)


def final_metrics(trainer: Trainer) -> AbstractContextManager[None]:
    """Return the block in which metrics of a finished run are computed: a signal ends it."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    stops = [callback for callback in callbacks if isinstance(callback, GracefulStop)]
    return stops[0].ending_at_once(trainer) if stops else nullcontext()


def _save(trainer: Trainer) -> bool:
    """Save this iteration, and tell whether there is a good checkpoint of it."""
    savers = [c for c in trainer.callbacks if isinstance(c, Checkpoints)]  # type: ignore[attr-defined]
    saved = [saver.save(trainer, at_end=True) for saver in savers]
    return bool(saved) and all(saved)


def _forget_processes(trainer: Trainer) -> None:
    """Keep a launcher from killing this process once one that it started leaves with a status."""
    if isinstance(launcher := trainer.strategy.launcher, _SubprocessScriptLauncher):
        launcher.procs.clear()


def _nothing() -> None:
    """Stand in for Lightning's poll."""
