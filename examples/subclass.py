"""A subclass of `MUNITModule`, data of one's own, and a plain Lightning Trainer.

python examples/subclass.py [STEPS]
"""

import sys

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from munit_pl import MUNITModule

SMALL = {
    "generator": {"dim": 4, "mlp_dim": 8, "num_res_blocks": 1},
    "discriminator": {"dim": 4, "num_layers": 2, "num_scales": 2},
}


class BrightMUNIT(MUNITModule):
    """MUNIT with one more term: translations to b are as bright as their sources."""

    def generator_terms(self, part):
        terms = super().generator_terms(part)
        x_ab = self.translate(part.x_a, part.draws["gen_b"])
        darker = (x_ab.mean((1, 2, 3)) - part.x_a.mean((1, 2, 3))).abs().mean()
        terms["image"] = terms["image"] + torch.stack([darker, torch.zeros_like(darker)])
        return terms


class Noise(LightningDataModule):
    """Batches are pairs (x_a, x_b) of images (N, C, H, W) in [-1, 1]: put your own here."""

    def train_dataloader(self):
        x_a, x_b = torch.rand(2, 8, 3, 16, 16) * 2 - 1
        return DataLoader(TensorDataset(x_a, x_b), batch_size=2, shuffle=True)


if __name__ == "__main__":
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    module = BrightMUNIT(**SMALL)
    trainer = Trainer(max_steps=steps, max_epochs=-1, logger=False, enable_checkpointing=False)
    trainer.fit(module, Noise())
    print(trainer.global_step, "iterations")
