"""The metric that Hydra's sweepers compare runs by."""

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf

from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.evaluate import Evaluate
from munit_pl.commands.errors import InputError


def swept_metric(trainer: Trainer) -> float | None:
    """Return what a sweeper of Hydra compares runs by: the best value of the metric monitored.

    It is that of `Evaluate` if the run has it, of `Checkpoints` otherwise; None if neither
    monitors any.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    watching = [c.best for c in callbacks if isinstance(c, Evaluate | Checkpoints) and c.best]
    return watching[0].value if watching else None


def check_sweep(cfg: DictConfig) -> None:
    """Refuse to sweep by a metric that no run would return."""
    sweep = HydraConfig.get()
    if sweep.mode != RunMode.MULTIRUN or sweep.sweeper._target_.endswith(".BasicSweeper"):
        return
    if "evaluate" not in cfg.callbacks and not OmegaConf.select(
        cfg, "callbacks.checkpoints.monitor"
    ):
        raise InputError(
            "the sweeper compares runs by a metric: choose callbacks=[default,evaluate], or give "
            "callbacks.checkpoints.monitor"
        )
