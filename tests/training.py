"""Training for a few iterations in a test, and what it changed."""

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch.utils.data import DataLoader

from munit_pl import DrawnDataModule, MUNITModule


def images(n=2, seed=0, channels=3, side=16):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, side, side, generator=rng) * 2 - 1


def pairs_of(steps, batch=2, channels=(3, 3), side=16):
    seeds = [(2 * i, 2 * i + 1) for i in range(steps)]
    return [
        tuple(images(batch, s, c, side) for s, c in zip(pair, channels, strict=True))
        for pair in seeds
    ]


def make_trainer(**options):
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    return Trainer(**{"accelerator": "cpu", "log_every_n_steps": 1, **quiet, **options})


def fit(module, steps=2, batch=2, channels=(3, 3), side=16, pairs=None, **options):
    loop = make_trainer(max_steps=steps, **options)
    pairs = pairs_of(steps, batch, channels, side) if pairs is None else pairs
    loop.fit(module, DataLoader(pairs, batch_size=None))
    return loop


# The smallest of all, for what hangs on the loop around a module and not on its networks.
LEAST = {
    "generator": {"dim": 2, "mlp_dim": 4, "num_res_blocks": 1, "num_downsample": 1},
    "discriminator": {"dim": 2, "num_layers": 1, "num_scales": 1},
}


def fit_least(steps, *callbacks, ckpt_path=None, **options):
    """Train MUNIT on eight drawings, without a validation but where options ask for one."""
    endless = {"max_epochs": -1, "limit_val_batches": 0}
    loop = make_trainer(max_steps=steps, callbacks=[*callbacks], **{**endless, **options})
    data = DrawnDataModule(size=(16, 16), length=8, test_length=4, batch_size=1, num_workers=0)
    loop.fit(MUNITModule(**LEAST), data, ckpt_path=ckpt_path, weights_only=True)
    return loop


def fp16(**scaler):
    scaler = torch.amp.GradScaler("cpu", **scaler)
    return scaler, [MixedPrecision("16-mixed", "cpu", scaler)]


def weights(*networks):
    return [p.detach().clone() for network in networks for p in network.parameters()]


def moved(before, after):
    return any(not torch.equal(b, a) for b, a in zip(before, after, strict=True))
