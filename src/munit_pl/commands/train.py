"""``munit-train``: compose a configuration, build what it names, fit."""

import logging
import re
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.utils import instantiate
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from omegaconf import DictConfig

from munit_pl.adversarial import AdversarialModule
from munit_pl.commands.inputs import InputError, check_checkpoint, find_last, has_wandb_key
from munit_pl.commands.overrides import check_overrides, failing_as_input_error
from munit_pl.commands.processes import find_place
from munit_pl.data.datamodule import TwoDomains

build = partial(instantiate, _convert_="all")  # plain dicts and lists: they go into checkpoints


def train(cfg: DictConfig) -> Trainer:
    """Fit the model that ``cfg`` describes.

    Args:
        cfg: A composed ``train.yaml``.

    Returns:
        The trainer, with ``callback_metrics`` of the last iteration.

    Raises:
        InputError: If something is asked for that cannot be; before anything is trained.
    """
    _quieten()
    folder = Path(cfg.output_dir)
    ckpt_path = _resolve_checkpoint(cfg, folder)
    seed_everything(cfg.seed, workers=True, verbose=False)
    with failing_as_input_error(cfg.get("data_hint")):
        datamodule: LightningDataModule = build(cfg.data)
        module: LightningModule = build(cfg.model)
        datamodule.setup("fit")
        module.setup("fit")
        if isinstance(datamodule, TwoDomains) and isinstance(module, AdversarialModule):
            module.check_size(*datamodule.size)
            _check_pairs(datamodule, module)
        if ckpt_path:
            check_checkpoint(ckpt_path, module)
        callbacks = list(build(cfg.callbacks).values())
        trainer: Trainer = build(cfg.trainer, callbacks=callbacks, logger=_loggers(cfg))
    trainer.fit(module, datamodule, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def main() -> None:
    """Train as the command line says; without a word, the demo on the drawn shoes."""
    overrides = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    chosen = {re.split("[=@]", override.lstrip("+~"))[0] for override in overrides}
    if not chosen & {"experiment", "data"}:
        sys.argv.append("+experiment=demo")
        overrides.append("+experiment=demo")
    try:
        if "run" not in chosen and find_place().world_size > 1:
            raise InputError(
                "several processes were started from outside (torchrun, SLURM), and all must know "
                "the run's folder: add run=NAME"
            )
        if len(overrides) == len(sys.argv) - 1:  # with a flag (--help, --multirun) Hydra decides
            check_overrides(overrides)
        _main()
    except InputError as error:
        sys.exit(f"munit-train: {error}")


@hydra.main(version_base="1.3", config_path="pkg://munit_pl.conf", config_name="train")
def _main(cfg: DictConfig) -> None:
    try:
        train(cfg)
    except InputError as error:
        sys.exit(f"munit-train: {error}")  # Hydra would add a traceback


def _check_pairs(datamodule: TwoDomains, module: AdversarialModule) -> None:
    """Keep a method that learns from pairs from images that are none."""
    if module.paired and not datamodule.paired:
        raise ValueError(
            f"{type(module).__name__} learns from pairs, but these images are none: use "
            "data=aligned, or data.paired=true where the data has it"
        )


def _resolve_checkpoint(cfg: DictConfig, folder: Path) -> Path | None:
    """Return the checkpoint to go on from; keep two runs from sharing a folder unawares."""
    if cfg.ckpt_path == "last":
        return find_last(folder)
    if cfg.ckpt_path is not None:
        return Path(cfg.ckpt_path)
    if (folder / "checkpoints" / "last.ckpt").exists():
        raise InputError(
            f"{folder} holds a run already: go on with it (ckpt_path=last) or name another (run=)"
        )
    return None


def _loggers(cfg: DictConfig) -> list[Any]:
    """Build the loggers; W&B goes offline where it has no key, before it first tries to connect."""
    wandb = cfg.logger.get("wandb")
    if wandb is not None and wandb.offline is None:
        wandb.offline = not has_wandb_key()
    return list(build(cfg.logger).values())


def _quieten() -> None:
    """Hide what Lightning says that is wrong of this model, or that nobody can act on."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        # The loaders start at the trainer's iteration: see StreamSampler.
        ".*your dataloader is not resumable.*",
        ".*does not have many workers.*",
        ".*`isinstance.treespec, LeafSpec.` is deprecated.*",
    ):
        warnings.filterwarnings("ignore", message)


if __name__ == "__main__":
    main()
