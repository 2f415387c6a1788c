"""A project with a Hydra configuration of its own that takes groups from this package's.

python examples/own_project/train.py trainer.max_steps=10 model.shared_styles=true
"""

import hydra
from omegaconf import DictConfig

from munit_pl.commands.config.building import build


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """Build what the configuration names, and train it."""
    callbacks = [build(callback) for callback in cfg.get("callbacks", {}).values()]
    trainer = build(cfg.trainer, callbacks=callbacks)  # model=munit_modern brings its average
    trainer.fit(build(cfg.model), build(cfg.data))
    print(trainer.global_step, "iterations")


if __name__ == "__main__":
    main()
