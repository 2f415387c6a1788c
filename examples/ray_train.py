"""Train with Ray Train: each of its workers, on whatever machines, is a process of one run.

Run it as ``python ray_train.py FOLDER [WORKERS [STEPS]]``. The folder, for checkpoints, must be one
that all machines share.
"""

import sys
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.lightning import RayDDPStrategy, RayLightningEnvironment, prepare_trainer
from ray.train.torch import TorchTrainer

from munit_pl import DrawnDataModule, MUNITModule
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.hub.model_lookup import holds_checkpoints, newest_of_run


def train(config):
    """Be one of the workers."""
    folder = config["folder"]
    trainer = Trainer(
        max_steps=config["steps"],
        accelerator="auto",
        devices="auto",
        # The updates take turns: in each, half of the parameters get no gradient.
        strategy=RayDDPStrategy(find_unused_parameters=True),
        plugins=[RayLightningEnvironment()],
        callbacks=[Checkpoints(folder / "checkpoints", every_n_steps=1000)],
        enable_progress_bar=False,
        logger=False,
        use_distributed_sampler=False,  # the data module shares the images out itself
    )
    module = MUNITModule(generator={"dim": 16}, discriminator={"dim": 16, "num_scales": 2})
    data = DrawnDataModule(batch_size=1)  # or UnpairedDataModule("my_data"), where all find it
    # After a failure Ray starts the workers again, which go on from the newest checkpoint.
    newest = newest_of_run(folder) if holds_checkpoints(folder) else None
    prepare_trainer(trainer).fit(module, data, ckpt_path=newest, weights_only=True)


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    workers, steps = (int(word) for word in [*sys.argv[2:], "2", "1000"][:2])
    TorchTrainer(
        train,
        train_loop_config={"folder": folder, "steps": steps},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=torch.cuda.is_available()),
        run_config=RunConfig(
            name="munit", storage_path=str(folder), failure_config=FailureConfig(max_failures=3)
        ),
    ).fit()
