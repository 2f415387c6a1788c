"""Pictures, tables, histograms and checkpoints, given to each logger that takes them."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from PIL import Image
from torch import Tensor

from munit_pl.data.images.tensors import to_pil_image

_BINS = 64


def log_grid(
    trainer: Trainer, direction: str, rows: Sequence[tuple[str, Tensor]], picture: Image.Image
) -> None:
    """Give a grid to the loggers that take pictures; W&B gets a table of its images besides.

    A row of the table is an input with all that was made of it, a column what the label says.

    Args:
        trainer: The run's trainer.
        direction: "a2b" or "b2a".
        rows: Labels and images ``(N, C, H, W)`` in [-1, 1] each.
        picture: The same, drawn.
    """
    name, step = f"grid/{direction}", trainer.global_step
    for logger in trainer.loggers:
        with _surviving(logger):
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(name, np.asarray(picture), step, dataformats="HWC")
            elif isinstance(logger, WandbLogger):
                logger.log_image(name, [picture], step)
                logger.log_table(f"table/{direction}", **_table(rows, step), step=step)
            elif isinstance(logger, MLFlowLogger):
                file = f"grids/{step:08d}_{direction}.png"
                logger.experiment.log_image(logger.run_id, picture, file)


def log_histograms(trainer: Trainer, values: Mapping[str, Tensor]) -> None:
    """Give histograms to the loggers that take any.

    Args:
        trainer: The run's trainer.
        values: By name, at least one each; those that are not finite are left out.
    """
    step = trainer.global_step
    takers = [x for x in trainer.loggers if isinstance(x, TensorBoardLogger | WandbLogger)]
    for name, tensor in values.items() if takers else ():
        counts, edges, moments = _histogram(tensor)
        for logger in takers:
            with _surviving(logger):
                if isinstance(logger, WandbLogger):
                    from wandb import Histogram

                    drawn = Histogram(np_histogram=(np.array(counts), np.array(edges)))
                    logger.log_metrics({name: drawn}, step)  # type: ignore[dict-item]
                else:
                    logger.experiment.add_histogram_raw(
                        name, **moments, bucket_limits=edges[1:], bucket_counts=counts,
                        global_step=step,
                    )  # fmt: skip


def log_checkpoint(trainer: Trainer, file: Path) -> None:
    """Give W&B a copy of a checkpoint, as a version of the run's one artifact."""
    for logger in trainer.loggers if trainer.is_global_zero else ():
        if isinstance(logger, WandbLogger):
            with _surviving(logger):
                from wandb import Artifact

                about = {"iteration": trainer.global_step}
                artifact = Artifact(f"checkpoint-{logger.experiment.id}", "model", metadata=about)
                # A copy, of its own: the file may be gone before it has been sent.
                artifact.add_file(str(file), file.name, policy="mutable")
                logger.experiment.log_artifact(artifact, aliases=["latest", file.stem])


@contextmanager
def _surviving(logger: Logger) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of a server, for instance
        text = " ".join(str(error).split()) or type(error).__name__
        name = type(logger).__name__
        warnings.warn(f"{name} failed, training goes on: {text}", stacklevel=4)


def _table(rows: Sequence[tuple[str, Tensor]], step: int) -> dict[str, list]:  # type: ignore[type-arg]
    from wandb import Image as Picture

    columns = zip(*([Picture(to_pil_image(x)) for x in images] for _, images in rows), strict=False)
    return {
        "columns": ["iteration", *(label for label, _ in rows)],
        "data": [[step, *pictures] for pictures in columns],
    }


def _histogram(values: Tensor) -> tuple[list[float], list[float], dict[str, float]]:
    """Return counts, the bins' edges, and what TensorBoard wants to know besides."""
    values = values.detach().flatten().float()
    values = values[values.isfinite()]
    if not len(values):
        values = values.new_zeros(1)
    low, high = values.min().item(), values.max().item()
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(values, _BINS, low, high).tolist()
    edges = torch.linspace(low, high, _BINS + 1, dtype=torch.float64).tolist()
    wide = values.double()
    moments = {
        "min": low,
        "max": high,
        "num": float(len(values)),
        "sum": wide.sum().item(),
        "sum_squares": wide.square().sum().item(),
    }
    return counts, edges, moments
