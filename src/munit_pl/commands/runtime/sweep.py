"""Hydra's sweeps: the metric that sweepers compare runs by, and folders that hold other runs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf

from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.evaluate import Evaluate
from munit_pl.commands.errors import InputError
from munit_pl.hub.model_lookup import holds_checkpoints


def swept_metric(trainer: Trainer) -> float | None:
    """Return what a sweeper of Hydra compares runs by: the best value of the metric monitored.

    It is that of `Evaluate` if the run has it, of `Checkpoints` otherwise; None if neither
    monitors any.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    watching = [c.best for c in callbacks if isinstance(c, Evaluate | Checkpoints) and c.best]
    return watching[0].value if watching else None


def check_sweep(cfg: DictConfig) -> None:
    """Refuse to sweep by a metric that no run would return, and to go on with another's run.

    Raises:
        InputError: If there is no such metric, or the folder of this run holds one of other values.
    """
    sweep: Any = HydraConfig.get()
    if sweep.mode != RunMode.MULTIRUN:
        return
    _check_folder(Path(cfg.output_dir), sweep)
    if _is_basic(sweep) or "evaluate" in cfg.callbacks:
        return
    if not OmegaConf.select(cfg, "callbacks.checkpoints.monitor"):
        raise InputError(
            "the sweeper compares runs by a metric: choose callbacks=[default,evaluate], or give "
            "callbacks.checkpoints.monitor"
        )


def _check_folder(folder: Path, sweep: Any) -> None:
    """Refuse a folder, which is named by a number alone, that holds a run of other values."""
    typed = folder / ".hydra" / "overrides.yaml"
    if not holds_checkpoints(folder) or not typed.exists():
        return
    there, here = _by_name(OmegaConf.load(typed)), _by_name(sweep.overrides.task)
    swept = _swept(sweep)
    for name, one in here.items():
        if name in swept and (name not in there or there[name].value() != one.value()):
            had = there[name].input_line if name in there else f"no {name}"
            raise InputError(
                f"{folder} holds a run of {had}, and this one is of {one.input_line}: name "
                "another sweep (run=NAME), or append new values at the end of the first list"
            )


def _swept(sweep: Any) -> set[str]:
    """Return the settings that a sweep's runs may differ in."""
    asked = Path(sweep.sweep.dir) / "multirun.yaml"  # of Hydra's own sweeper
    if not _is_basic(sweep) or not asked.exists():
        return _by_name(sweep.overrides.task).keys() - {"ckpt_path"}
    given = _by_name(OmegaConf.load(asked).hydra.overrides.task)
    return {name for name, one in given.items() if one.is_sweep_override()} | {
        *(OmegaConf.select(sweep, "sweeper.params") or {})
    }


def _by_name(overrides: Iterable[Any]) -> dict[str, Override]:
    parsed = OverridesParser.create().parse_overrides([*overrides])
    return {one.key_or_group: one for one in parsed}


def _is_basic(sweep: Any) -> bool:
    return bool(sweep.sweeper._target_.endswith(".BasicSweeper"))
