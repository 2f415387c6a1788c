"""A recipe and data of one's own, and a plain Lightning Trainer.

python examples/own_recipe.py [STEPS]
"""

import sys

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from munit_pl import MUNITModule, Recipe

SMALL = {
    "generator": {"dim": 4, "mlp_dim": 8, "num_res_blocks": 1},
    "discriminator": {"dim": 4, "num_layers": 2, "num_scales": 2},
}


class Brightness(Recipe):
    """One more term of the generators: translations are as bright as their sources.

    Its name is that of its arguments in `MUNITModule`, of its term in logs, and of what checkpoints
    say of it; a program that loads them must have imported this class.
    """

    name = "brightness"

    def __init__(self, weight=1.0):
        self.weight = weight

    def generator_term(self, done):
        pairs = (done.x_ba, done.x_b), (done.x_ab, done.x_a)  # domain a's term, then b's
        differences = [x.mean((1, 2, 3)) - source.mean((1, 2, 3)) for x, source in pairs]
        return torch.stack([difference.abs().mean() for difference in differences])


class Noise(LightningDataModule):
    """Batches are pairs (x_a, x_b) of images (N, C, H, W) in [-1, 1]: put your own here."""

    def train_dataloader(self):
        x_a, x_b = torch.rand(2, 8, 3, 16, 16) * 2 - 1
        return DataLoader(TensorDataset(x_a, x_b), batch_size=2, shuffle=True)


if __name__ == "__main__":
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    module = MUNITModule(**SMALL, recipes={"brightness": {"weight": 5.0}, "r1": {}})
    trainer = Trainer(max_steps=steps, max_epochs=-1, logger=False, enable_checkpointing=False)
    trainer.fit(module, Noise())
    print(trainer.global_step, "iterations")
