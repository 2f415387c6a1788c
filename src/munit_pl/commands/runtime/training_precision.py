"""The precision of a run: asked for, kept from the checkpoint, or chosen by the machine."""

import re
from functools import partial
from pathlib import Path

from lightning.pytorch import Trainer
from omegaconf import DictConfig

from munit_pl.callbacks.auto_precision import AutoPrecision
from munit_pl.commands.runtime.processes import is_first, tell
from munit_pl.inference.precision_choice import SLOW_RATIO, describe_ratio, time_bf16_ratio
from munit_pl.io.safe_reading import read_checkpoint

_NAMES = r"(16|bf16)-(mixed|true)|(32|64)-true"


def keep_precision(cfg: DictConfig, ckpt_path: Path) -> str:
    """Let a run that chooses its precision go on in the one it had, if the checkpoint says it.

    Returns:
        Why it has that one, in a few words; nothing if it is not that.
    """
    if cfg.trainer.get("precision") != "auto":
        return ""
    noted = read_checkpoint(ckpt_path).get("munit_pl")
    had = str(noted.get("precision")) if isinstance(noted, dict) else ""
    if not re.fullmatch(_NAMES, had):
        return ""
    _record(cfg, had)
    return "as before"


def choosing_precision(cfg: DictConfig) -> list[AutoPrecision]:
    """Return the callback that chooses the run's precision, if the run wants that."""
    auto = cfg.trainer.get("precision") == "auto"
    return [AutoPrecision(partial(_record, cfg))] if auto else []


def explain_slow_precision(trainer: Trainer) -> None:
    """Say how much slower bf16 is on a processor that has no arithmetic for it."""
    on_cpu = trainer.strategy.root_device.type == "cpu"
    if on_cpu and str(trainer.precision) == "bf16-mixed" and is_first():
        ratio = time_bf16_ratio(training=True)
        if ratio > SLOW_RATIO:
            told = describe_ratio(ratio)
            tell(f"trainer.precision is bf16-mixed, though {told}: 32-true is faster")


def _record(cfg: DictConfig, precision: str) -> None:
    """Have the configuration, which goes into the run's folder, say what is trained in."""
    cfg.trainer.precision = precision
