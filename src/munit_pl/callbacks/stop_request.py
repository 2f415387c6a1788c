"""A request that a run stops, which any callback can make."""

from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import Trainer


class RunStopped(SystemExit):
    """A run ended before its last iteration, at the end of one, with all of it saved.

    Attributes:
        code: The exit status.
        message: Why.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code)
        self.message = message

    def __str__(self) -> str:
        return self.message


@runtime_checkable
class Stopper(Protocol):
    """What ends a run: `munit_pl.callbacks.stopping.GracefulStop`."""

    def request(self, code: int, message: str) -> None:
        """Ask for the end after the current iteration; the first request counts."""


def request_stop(trainer: Trainer, code: int, message: str) -> None:
    """Ask that the run ends after the current iteration.

    Args:
        trainer: The run's trainer.
        code: The exit status.
        message: Why, and what to do.

    Raises:
        RuntimeError: If the run has no `GracefulStop`; nothing is saved then.
    """
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    stopper = next((callback for callback in callbacks if isinstance(callback, Stopper)), None)
    if stopper is None:
        raise RuntimeError(message)
    stopper.request(code, message)
