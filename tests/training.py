"""Training for a few iterations in a test, and what it changed."""

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch.utils.data import DataLoader


def images(n=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, 16, 16, generator=rng) * 2 - 1


def pairs_of(steps, batch=2):
    return [(images(batch, 2 * i), images(batch, 2 * i + 1)) for i in range(steps)]


def make_trainer(**options):
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    return Trainer(**{"accelerator": "cpu", "log_every_n_steps": 1, **quiet, **options})


def fit(module, steps=2, batch=2, **options):
    loop = make_trainer(max_steps=steps, **options)
    loop.fit(module, DataLoader(pairs_of(steps, batch), batch_size=None))
    return loop


def fp16(**scaler):
    scaler = torch.amp.GradScaler("cpu", **scaler)
    return scaler, [MixedPrecision("16-mixed", "cpu", scaler)]


def weights(*networks):
    return [p.detach().clone() for network in networks for p in network.parameters()]


def moved(before, after):
    return any(not torch.equal(b, a) for b, a in zip(before, after, strict=True))
