"""Loggers that cannot stop a run."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig

from munit_pl.commands.config.building import build
from munit_pl.commands.errors import InputError
from munit_pl.commands.runtime.processes import is_first
from munit_pl.commands.runtime.wandb_connection import run_id, why_offline

_CALLS = (
    "log_metrics",
    "log_hyperparams",
    "log_image",
    "log_table",
    "save",
    "after_save_checkpoint",
    "finalize",
)
_EXTRAS = ("mlflow", "tensorboard")  # loggers, called as what they need and as the extra
_PATIENCE = 3  # failures in a row; one may take W&B minutes


def make_loggers(cfg: DictConfig) -> list[Logger]:
    """Build what ``cfg.logger`` names, each shielded.

    W&B goes offline where it has no key or no route, before it first tries to connect: a later
    change of mind would wait for its time-outs too. It goes on with the run of the same folder.

    Raises:
        InputError: If a package is missing, or a logger cannot be made.
    """
    for name in _EXTRAS:
        if name in cfg.logger and find_spec(name) is None:
            raise InputError(
                f"logger.{name} needs a package that is not installed: pip install "
                f"'munit-pl[{name}]'"
            )
    wandb = cfg.logger.get("wandb")
    if wandb is not None and wandb.offline is None:
        reason = why_offline()
        wandb.offline = reason is not None
        if reason is not None:
            warnings.warn(f"W&B logs offline, for `wandb sync` later: {reason}", stacklevel=2)
    if wandb is not None and wandb.get("id", "") is None and is_first():
        wandb.id = run_id(Path(cfg.output_dir))
    try:
        loggers: list[Logger] = list(build(cfg.logger).values())
    except Exception as error:  # what MLflow raises is of no kind but its own
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"a logger could not be created: {text}") from error
    for logger in loggers:
        shield(logger)
    return loggers


@contextmanager
def finishing(loggers: Sequence[Logger]) -> Iterator[None]:
    """Close the run at W&B when this one ends: another in this process would log to it too."""
    status = 1
    try:
        yield
        status = 0
    finally:
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                _finish(logger, status)


def _finish(logger: WandbLogger, status: int) -> None:
    import wandb

    try:
        if wandb.run is not None and wandb.run.id == logger.version:
            wandb.finish(exit_code=status)
    except Exception as error:
        warnings.warn(f"W&B could not be closed: {error}", stacklevel=2)


def shield(logger: Logger) -> None:
    """Turn a logger's errors into a warning; one that only fails is not asked again.

    Values that it has just been given are not given to it again: they come early where a checkpoint
    is saved.
    """
    failures = [0]
    for name in _CALLS:
        if call := getattr(logger, name, None):
            once = _unless_repeated(call) if name == "log_metrics" else call
            setattr(logger, name, _shielded(once, type(logger).__name__, failures))


def _unless_repeated(log_metrics: Callable[..., None]) -> Callable[..., None]:
    latest: list[Any] = [None]

    @wraps(log_metrics)
    def log(metrics: Any, step: int | None = None) -> None:
        if (dict(metrics), step) != latest[0]:
            log_metrics(metrics, step)
        latest[0] = (dict(metrics), step)

    return log


def _shielded(call: Callable[..., Any], logger: str, failures: list[int]) -> Callable[..., Any]:
    @wraps(call)
    def shielded(*args: Any, **kwargs: Any) -> Any:
        if failures[0] >= _PATIENCE:
            return None
        try:
            result = call(*args, **kwargs)
        except Exception as error:
            failures[0] += 1
            ends = "; it is not asked again" if failures[0] == _PATIENCE else ""
            text = " ".join(str(error).split()) or type(error).__name__
            warnings.warn(f"{logger} failed, training goes on{ends}: {text}", stacklevel=2)
            return None
        failures[0] = 0
        return result

    return shielded
