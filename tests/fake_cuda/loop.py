"""Training on fake CUDA tensors, by Lightning's own loop."""

from copy import copy

import torch
from fake_cuda.device import fake_cuda
from fake_cuda.operations import Operations
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch.utils.data import DataLoader

from munit_pl import DrawnDataModule


def train_on_fake_cuda(make, steps=2, precision="bf16-mixed", batches=None, truth=False, **options):
    """Train a module for some iterations; return the `Operations` of each.

    An iteration's are those from its start to the next one's.

    Args:
        make: Makes the module.
        steps: How many iterations.
        precision: The trainer's.
        batches: Returns that many batches of images; by default two of 32x32 pixels in each
            domain, in pinned memory as from this package's loaders.
        truth: See `Operations`.
        **options: Of Lightning's `Trainer`.
    """
    with fake_cuda(), Operations(truth) as seen:
        each = _EachIteration(seen)
        quiet = dict.fromkeys(
            ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
        )
        callbacks = [each, *options.pop("callbacks", ())]
        trainer = Trainer(
            strategy=_on_fake_cuda(precision),
            callbacks=callbacks,
            **{**quiet, "max_steps": steps, "limit_val_batches": 0, **options},
        )
        trainer.fit(make(), datamodule=_Loaded((batches or _batches)(steps)))
    return each.iterations


def _batches(steps):
    return [tuple(torch.zeros(2, 3, 32, 32).pin_memory() for _ in "ab") for _ in range(steps)]


class _Loaded(DrawnDataModule):
    def __init__(self, batches):
        super().__init__(size=batches[0][0].shape[2:])
        self._batches = batches

    def train_dataloader(self):
        return DataLoader(self._batches, batch_size=None)


class _EachIteration(Callback):
    def __init__(self, seen):
        self.iterations = []
        self._seen = seen

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step:
            self.iterations.append(copy(self._seen))
        self._seen.clear()

    def on_train_end(self, *_):
        self.iterations.append(copy(self._seen))
        self._seen.clear()  # weights go back to the CPU


def _on_fake_cuda(precision):
    plugin = MixedPrecision(precision, "cuda") if precision.endswith("-mixed") else Precision()
    device = torch.device("cuda", 0)
    return SingleDeviceStrategy(device, _FakeCudaAccelerator(), precision_plugin=plugin)


class _FakeCudaAccelerator(CPUAccelerator):
    def setup_device(self, device):
        pass
