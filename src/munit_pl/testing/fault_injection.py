"""Fault injection: one fault at a chosen moment, to see that a run survives it."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from munit_pl.checks import NonNegativeInt, PositiveInt, checked
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.sample_order import sample_at
from munit_pl.models.base.module import AdversarialModule
from munit_pl.testing.faulty_parts import FaultyCheckpointIO, FaultyDomain

MOMENTARY = {
    "sigterm": "the process gets SIGTERM",
    "sigint": "the process gets SIGINT (Ctrl-C)",
    "sigint_twice": "it gets SIGINT again two seconds later",
    "sigusr1": "the process gets SIGUSR1, as SLURM can send it",
    "sigkill": "the process is killed",
    "exception": "the iteration raises a RuntimeError",
    "out_of_memory": "the iteration raises torch.OutOfMemoryError",
    "hang": "the process sleeps for ever",
    "nan_batch": "the images are NaN",
    "nan_gradient": "one gradient of the generators is NaN",
    "inf_gradient": "one gradient of the discriminators is infinite",
    "huge_gradient": "one gradient of the generators is 1e25: finite, but not its square",
    "nan_gradients": "one gradient is NaN, from there on in each iteration",
    "nan_weight": "one weight of the generators is NaN",
}
SAVING = {
    "disk_full": "the next checkpoint does not fit on the disk",
    "disk_full_for_good": "no checkpoint fits on the disk from there on",
    "killed_in_save": "the process is killed while it writes the next checkpoint",
    "damaged_checkpoint": "the next checkpoint loses its second half; then the process is killed",
}
READING = {
    "bad_image": "the image that is read for the iteration cannot be decoded",
    "blank_image": "the image that is read for the iteration is blank",
    "vanished_image": "the image that is read for the iteration is gone",
    "lost_images": "no image can be read from there on",
    "worker_killed": "the worker that reads for the iteration is killed",
    "worker_hangs": "the worker that reads for the iteration never returns",
}
LOGGING = {"logger_fails": "loggers raise errors, from there on"}
KINDS = MOMENTARY | SAVING | READING | LOGGING


class FaultInjection(Callback):
    """Let one thing go wrong in one iteration of one process.

    Args:
        kind: What; `KINDS` says in words what each does.
        step: The iteration in which it happens, counted from 1 as checkpoints' names are.
        rank: The process to which it happens.

    Raises:
        ValueError: If ``kind`` is unknown or ``step`` below 1.
    """

    @checked
    def __init__(self, kind: str, step: PositiveInt, rank: NonNegativeInt = 0) -> None:
        if kind not in KINDS:
            told = "; ".join(f"{name}: {what}" for name, what in KINDS.items())
            raise ValueError(f"kind is {kind!r}, but must be one of these: {told}")
        self.kind = kind
        self.step = step
        self.rank = rank
        self._hook: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prepare what happens in workers and while saving."""
        if trainer.global_rank != self.rank:
            return
        if self.kind in READING:
            self._prepare_reading(trainer)
        if self.kind in SAVING:
            inner = trainer.strategy.checkpoint_io
            trainer.strategy.checkpoint_io = FaultyCheckpointIO(inner, self.kind, self.step)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Let it happen."""
        iteration = trainer.global_step + 1
        lasting = self.kind == "nan_gradients" and iteration > self.step
        if trainer.global_rank != self.rank or not (iteration == self.step or lasting):
            return
        assert isinstance(pl_module, AdversarialModule)
        if self.kind in LOGGING:
            for logger in trainer.loggers:
                _break_logger(logger)
        elif self.kind == "nan_batch":
            for images in batch:
                images.fill_(torch.nan)
        elif self.kind == "nan_weight":
            with torch.no_grad():
                next(pl_module.gen_b.parameters()).view(-1)[0] = torch.nan
        elif self.kind.endswith(("_gradient", "_gradients")):
            self._hook = _poison_gradient(self.kind, pl_module)
        elif self.kind in MOMENTARY:
            _EVENTS[self.kind]()

    def on_train_batch_end(self, *_: object) -> None:
        """Let gradients be."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _prepare_reading(self, trainer: Trainer) -> None:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(datamodule, TwoDomains):
            raise TypeError(f"{self.kind} takes one of this package's data modules")
        if datamodule.masks:
            raise ValueError(f"{self.kind} takes images without masks: set data.masks to false")
        if self.kind.startswith("worker") and not datamodule.num_workers:
            raise ValueError(f"{self.kind} takes workers: set data.num_workers to 1 or more")
        a, b = datamodule.domains["train"]
        batches_before = (self.step - 1) * trainer.world_size + self.rank
        place = sample_at(batches_before * datamodule.batch_size, len(a), "a", datamodule.seed)
        datamodule.domains["train"] = (FaultyDomain(a, self.kind, place), b)


def _poison_gradient(kind: str, module: AdversarialModule) -> Any:
    network = module.dis_a if kind == "inf_gradient" else module.gen_a
    value = {"inf_gradient": torch.inf, "huge_gradient": 1e25}.get(kind, torch.nan)

    def poison(grad: Tensor) -> Tensor:
        grad = grad.clone()
        grad.view(-1)[0] = value
        return grad

    return next(network.parameters()).register_hook(poison)  # type: ignore[no-untyped-call]


def _break_logger(logger: Any) -> None:
    """Make the logger fail below whatever shields it."""

    def fail(*_: object, **__: object) -> None:
        raise OSError("a fault was injected: the logger cannot write")

    logger.experiment.log_metrics = fail
    logger.experiment.save = fail


def _send(name: str) -> None:
    os.kill(os.getpid(), signal.Signals[name])


def _interrupt_twice() -> None:
    _send("SIGINT")
    time.sleep(2)
    _send("SIGINT")


def _hang() -> None:
    while True:
        time.sleep(3600)


def _fail(error: BaseException) -> None:
    raise error


_EVENTS: dict[str, Callable[[], None]] = {
    "sigterm": partial(_send, "SIGTERM"),
    "sigint": partial(_send, "SIGINT"),
    "sigint_twice": _interrupt_twice,
    "sigusr1": partial(_send, "SIGUSR1"),
    "sigkill": partial(_send, "SIGKILL"),
    "exception": partial(_fail, RuntimeError("a fault was injected")),
    "out_of_memory": partial(_fail, torch.OutOfMemoryError("a fault was injected")),
    "hang": _hang,
}
