"""The progress bar, and iterations and images per second."""

import time
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ProgressBar
from torch import Tensor
from tqdm import tqdm

from munit_pl.checks import PositiveInt, checked
from munit_pl.models.base.run_length import run_length


class Speed(Callback):
    """Log iterations and images per second, averaged since the last time they were logged.

    An image is one that was read, of either domain, by any process; checkpoints, grids and
    validation count as time.

    Args:
        every_n_steps: Iterations from one measurement to the next.
    """

    @checked
    def __init__(self, every_n_steps: PositiveInt = 10) -> None:
        self.every_n_steps = every_n_steps
        self._images = 0
        self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._images, self._since = 0, time.monotonic()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: tuple[Tensor, Tensor],
        batch_idx: int,
    ) -> None:
        """Count, and log every ``every_n_steps`` iterations."""
        self._images += 2 * len(batch[0]) * trainer.world_size
        if trainer.global_step % self.every_n_steps:
            return
        now = time.monotonic()
        images, seconds = self._images, now - self._since
        self._images, self._since = 0, now
        iterations = images / (2 * len(batch[0]) * trainer.world_size)
        # On the CPU, where Lightning reads them in each iteration; it puts numbers on the device.
        pl_module.log("speed/iterations_per_second", torch.tensor(iterations / seconds))
        pl_module.log("speed/images_per_second", torch.tensor(images / seconds), prog_bar=True)


class IterationBar(ProgressBar):
    """A bar over all iterations of the run, with the losses and the speed behind it."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None
        self._enabled = True

    def disable(self) -> None:
        """Show nothing: Lightning calls this in all processes but the first."""
        self._enabled = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar, from the iteration that is resumed."""
        self._bar = tqdm(
            initial=trainer.global_step,
            total=run_length(trainer),
            desc="training",
            unit="it",
            dynamic_ncols=True,
            disable=not self._enabled,
        )

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Move the bar."""
        values = self.get_metrics(trainer, pl_module)
        shown = {
            name.replace("images_per_second", "images/s").removeprefix("speed/"): f"{value:.3g}"
            for name, value in values.items()
            if name != "v_num" and isinstance(value, int | float)
        }
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the finished bar standing."""
        self._bar.close()

    def print(self, *args: Any, sep: str = " ", **kwargs: Any) -> None:
        """Print above the bar."""
        if self._enabled:
            tqdm.write(sep.join(map(str, args)))
