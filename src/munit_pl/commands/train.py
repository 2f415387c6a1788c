"""``munit-train``: compose a configuration, build what it names, fit."""

import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

import torch
from hydra.core.hydra_config import HydraConfig
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, Checkpoint, ProgressBar
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from munit_pl.callbacks.checkpoint_io import SaveError
from munit_pl.callbacks.stop_request import RunStopped
from munit_pl.commands.config.building import build
from munit_pl.commands.config.overrides import failing_as_input_error
from munit_pl.commands.config.validation import check_config
from munit_pl.commands.errors import InputError
from munit_pl.commands.options.train import configured, parse
from munit_pl.commands.runtime.lock import locked
from munit_pl.commands.runtime.loggers import finishing, make_loggers
from munit_pl.commands.runtime.out_of_memory import explain_out_of_memory
from munit_pl.commands.runtime.processes import explain_lost_process, is_first
from munit_pl.commands.runtime.resume import (
    check_checkpoint,
    checkpoint_to_resume,
    explaining_restore,
    refuse_used_folder,
)
from munit_pl.commands.runtime.run_log import logged
from munit_pl.commands.runtime.run_summary import StartSummary, summarize_end, tell_if_done
from munit_pl.commands.runtime.saved_config import save_config, typed_settings
from munit_pl.commands.runtime.sweep import check_sweep, swept_metric
from munit_pl.commands.runtime.training_precision import (
    choosing_precision,
    explain_slow_precision,
    keep_precision,
)
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.loader import explain_loader_error
from munit_pl.data.skipped_files import DataError
from munit_pl.exits import ExitCode
from munit_pl.inference.generator_loading import start_from
from munit_pl.models.base.module import AdversarialModule
from munit_pl.models.base.pair import DomainPair
from munit_pl.models.base.training_checks import data_faults


class RunFailed(Exception):
    """A run broke off; one line says why.

    Attributes:
        code: The exit status.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class _Started(Callback):
    """Know whether training began: errors before are mistakes in what was asked for.

    From then on the run's folder tells of ``cfg``, and no longer of a run before it.
    """

    yes = False

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg

    def on_train_start(self, *_: object) -> None:
        save_config(self.cfg)
        self.yes = True


def train(cfg: DictConfig) -> Trainer:
    """Fit the model that ``cfg`` describes.

    Args:
        cfg: A composed ``train.yaml``.

    Returns:
        The trainer, with ``callback_metrics`` of the last iteration.

    Raises:
        InputError: If something is asked for that cannot be; before anything is trained.
        RunStopped: If a signal or a guard ended the run early; it is saved.
        RunFailed: If it broke off, for a reason that has an explanation.
    """
    _quieten()
    check_config(cfg)
    folder = Path(cfg.output_dir)
    with locked(folder) if is_first() else nullcontext():
        refuse_used_folder(cfg.ckpt_path, folder)
        with logged(folder, explained=(InputError, RunFailed)):
            return _fit(cfg, folder)


def _fit(cfg: DictConfig, folder: Path) -> Trainer:
    ckpt_path = checkpoint_to_resume(cfg.ckpt_path, folder)
    seed_everything(cfg.seed, workers=True, verbose=False)
    started = _Started(cfg)
    with failing_as_input_error(cfg.get("data_hint")):
        datamodule: LightningDataModule = build(cfg.data)
        module: LightningModule = build(cfg.model)
        datamodule.setup("fit")
        module.setup("fit")
        if isinstance(datamodule, TwoDomains) and isinstance(module, AdversarialModule):
            for fault in data_faults(module, datamodule):
                raise InputError(fault)
        summary = StartSummary(folder, ckpt_path)
        if cfg.init_from and not ckpt_path:
            summary.init_from = _start_from(cfg.init_from, module)
        if ckpt_path:
            check_checkpoint(ckpt_path, module)
            summary.why_precision = keep_precision(cfg, ckpt_path)
        trainer, loggers = _make_trainer(cfg, summary, started)
    try:
        explained = _explained(started, datamodule, module, trainer)
        with finishing(loggers), explained, explaining_restore(ckpt_path):
            trainer.fit(module, datamodule, ckpt_path=ckpt_path, weights_only=True)
    finally:
        if trainer.state.finished and not started.yes:
            tell_if_done(trainer)
        if started.yes or trainer.state.finished:
            typed = typed_settings() if HydraConfig.initialized() else None
            summarize_end(trainer, datamodule, folder, typed, cfg.name)
    return trainer


def _start_from(path: str, module: LightningModule) -> str:
    """Give the module the weights of a trained model, and say of which."""
    if not isinstance(module, DomainPair):
        raise InputError(
            "init_from is for this package's methods: they say what their networks are"
        )
    with failing_as_input_error(None):  # what is missing is no data
        fresh = start_from(module, path)
    return f"{path}, with fresh {' and '.join(fresh)}" if fresh else path


def _make_trainer(cfg: DictConfig, *last: Callback) -> tuple[Trainer, list[Logger]]:
    choosing = choosing_precision(cfg)
    callbacks = [*choosing, *build(cfg.callbacks).values(), *last]
    loggers = make_loggers(cfg)
    given: dict[str, Any] = {"precision": "32-true"} if choosing else {}  # until it is chosen
    # Lightning would put its own in the place of those that are left out.
    for argument, kind in (("progress_bar", ProgressBar), ("checkpointing", Checkpoint)):
        given[f"enable_{argument}"] = any(isinstance(callback, kind) for callback in callbacks)
    trainer: Trainer = build(cfg.trainer, callbacks=callbacks, logger=loggers, **given)
    explain_slow_precision(trainer)
    return trainer, loggers


@contextmanager
def _explained(
    started: _Started, datamodule: LightningDataModule, module: LightningModule, trainer: Trainer
) -> Iterator[None]:
    """Say in one line what ended a run, where that can be said."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise RunFailed(explain_out_of_memory(error, module, datamodule, trainer)) from error
    except DataError as error:
        raise RunFailed(str(error), error.stop_reason.code) from error
    except RuntimeError as error:
        explanation = explain_loader_error(error, datamodule)
        if explanation is None and trainer.world_size > 1:
            explanation = explain_lost_process(error)
        if explanation is None:
            raise
        raise RunFailed(explanation) from error
    except SaveError as error:
        raise RunFailed(str(error), ExitCode.CANNOT_SAVE) from error
    except (ValueError, TypeError, OSError):
        if started.yes:
            raise
        with failing_as_input_error(None):
            raise
    except MisconfigurationException as error:
        if started.yes:
            raise
        raise InputError(f"trainer: {' '.join(str(error).split())}") from error


def main() -> None:
    """Train as the command line says; without arguments, the demo on the drawn shoes."""
    parse()
    run()


def run(_: None = None) -> None:
    """Let Hydra read what `parse` looked at, and train."""
    with _leaving():
        _main()


@configured
def _main(cfg: DictConfig) -> float | None:
    with _leaving():  # Hydra would add a traceback
        check_sweep(cfg)
        return swept_metric(train(cfg))


@contextmanager
def _leaving() -> Iterator[None]:
    """Turn what ended a run into one line and an exit status."""
    try:
        yield
    except InputError as error:
        _leave(error, ExitCode.BAD_INPUT)
    except RunFailed as error:
        _leave(error, error.code)
    except RunStopped:
        # A scheduler may send its signal again, which would turn the status into another.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise
    except KeyboardInterrupt as error:  # before training, when there is nothing to save
        _leave(error, 128 + signal.SIGINT)


def _leave(error: BaseException, code: int) -> NoReturn:
    if str(error):
        print(f"munit-train: {error}", file=sys.stderr)
    sys.exit(code)


def _quieten() -> None:
    """Hide what Lightning says that is wrong of this model, or that nobody can act on."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        # The loaders start at the trainer's iteration: see StreamSampler.
        ".*your dataloader is not resumable.*",
        ".*does not have many workers.*",
        ".*DataLoader will create .* worker processes.*",  # more than cores: they wait, no more
        ".*number of training batches .* is smaller than the logging interval.*",  # over epochs
        ".*`isinstance.treespec, LeafSpec.` is deprecated.*",
    ):
        warnings.filterwarnings("ignore", message)


if __name__ == "__main__":
    main()
