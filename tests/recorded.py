"""The numbers recorded from the original: where they lie, and training on their inputs."""

from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

REFERENCE = Path(__file__).parent / "reference"


class Losses(Callback):
    def __init__(self):
        self.iterations = []

    def on_train_batch_end(self, trainer, *_):
        self.iterations.append({k: float(v) for k, v in trainer.callback_metrics.items()})


def train_three_iterations(module):
    pairs = [(module.inputs[f"x_a.{i}"], module.inputs[f"x_b.{i}"]) for i in range(3)]
    losses = Losses()
    Trainer(
        max_steps=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        callbacks=[losses],
    ).fit(module, DataLoader(pairs, batch_size=None))
    return losses.iterations


def score_apart(discriminator, *batches):
    return [discriminator(batch) for batch in batches]
