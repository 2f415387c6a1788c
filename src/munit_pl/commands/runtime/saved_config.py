"""The configuration that a run was started with: its files ``.hydra``, and what was typed."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from munit_pl.commands.runtime.processes import is_first


def save_config(cfg: DictConfig) -> None:
    """Write the files of ``.hydra``, where all settings stand and those that were typed.

    Hydra itself would write them before anyone knows whether the run can start, over those of
    another run (``hydra.output_subdir`` is null).

    Args:
        cfg: A composed ``train.yaml``, of a run that is about to train.
    """
    if not is_first():
        return
    kept: dict[str, Any] = {"config": cfg, "overrides": OmegaConf.create([])}
    if HydraConfig.initialized():
        hydra: Any = HydraConfig.instance().cfg
        kept |= {"hydra": hydra, "overrides": hydra.hydra.overrides.task}
    folder = Path(cfg.output_dir, ".hydra")
    folder.mkdir(parents=True, exist_ok=True)
    for name, node in kept.items():
        (folder / f"{name}.yaml").write_text(OmegaConf.to_yaml(node), encoding="utf-8")


def typed_settings() -> list[str]:
    """Return the command line that Hydra was started with: a folder of configurations, settings."""
    cfg = HydraConfig.get()
    own = [
        source.path for source in cfg.runtime.config_sources if source.provider == "command-line"
    ]
    return [*(f"--config-dir={folder}" for folder in own), *cfg.overrides.task]
