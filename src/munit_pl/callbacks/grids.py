"""Grids of translations of the same few test images, over the course of a run."""

from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from munit_pl.callbacks.ema import averaged
from munit_pl.callbacks.rich_logs import log_grid
from munit_pl.checks import PositiveInt, Seed, checked
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.domain import DomainName
from munit_pl.models.base.module import AdversarialModule
from munit_pl.optim.freezing import evaluating
from munit_pl.randomness import rng_for
from munit_pl.reports.grid import Row, draw_grid, surviving


class ImageGrid(Callback):
    """Save a grid of test images and their translations, in both directions.

    Rows are the inputs, their reconstructions, translations under styles that stay the same all
    through the run, one under fresh styles, examples, and translations in the examples' styles. A
    row of fixed styles has one style for all inputs, so a column shows one input's variety. Of a
    method without styles, or without codes, the rows are fewer.

    Args:
        folder: Where the pictures go.
        every_n_steps: Iterations from one grid to the next.
        num_images: Inputs, or as many as there are.
        num_styles: Rows of fixed styles.
        seed: What the styles depend on.
    """

    @checked
    def __init__(
        self,
        folder: str | Path,
        every_n_steps: PositiveInt = 1000,
        num_images: PositiveInt = 8,
        num_styles: PositiveInt = 3,
        seed: Seed = 0,
    ) -> None:
        self.folder = Path(folder)
        self.every_n_steps = every_n_steps
        self.num_images = num_images
        self.num_styles = num_styles
        self.seed = seed

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse data that has no test images to show, before anything is trained."""
        _datamodule(trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Save both grids every ``every_n_steps`` iterations."""
        step = trainer.global_step
        if step % self.every_n_steps or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, AdversarialModule)
        x_a, x_b = self._inputs(trainer, next(pl_module.parameters()))
        networks = evaluating(pl_module.gen_a, pl_module.gen_b)
        average = averaged(trainer, pl_module)
        with torch.no_grad(), networks, average, trainer.precision_plugin.forward_context():
            grids = {
                "a2b": self.rows(pl_module, x_a, x_b, "a", "b", step),
                "b2a": self.rows(pl_module, x_b, x_a, "b", "a", step),
            }
        with surviving("a grid"):
            self.folder.mkdir(parents=True, exist_ok=True)
            for direction, rows in grids.items():
                picture = draw_grid(rows)
                picture.save(self.folder / f"{step:08d}_{direction}.png")
                log_grid(trainer, direction, rows, picture)

    def rows(
        self,
        module: AdversarialModule,
        x: Tensor,
        examples: Tensor,
        source: DomainName,
        target: DomainName,
        step: int,
    ) -> list[Row]:
        """Return the grid's rows.

        Args:
            module: The model.
            x: Images of domain ``source``, ``(N, C, H, W)`` in [-1, 1].
            examples: As many images of domain ``target``.
            source: The domain that is translated.
            target: The domain that it is translated to.
            step: What the fresh styles depend on, besides the seed.
        """
        n = len(x)
        content, style = module.encode(x, source)
        rows = [("input", x)]
        if module.gen_a.has_content_code:
            rows.append(("reconstruction", module.decode(content, style, source)))
        if not module.style_dim:
            return [*rows, ("translation", module.decode(content, x.new_empty(n, 0), target))]
        for i in range(self.num_styles):
            z = self._styles(module, 1, "fixed", i).expand(n, -1)
            rows.append((f"style {i + 1}", module.decode(content, z, target)))
        fresh = self._styles(module, n, "fresh", step)
        rows.append(("new styles", module.decode(content, fresh, target)))
        if module.gen_a.style_encoder is None:
            return rows
        _, guide = module.encode(examples, target)
        return [*rows, ("example", examples), ("its style", module.decode(content, guide, target))]

    def _inputs(self, trainer: Trainer, like: Tensor) -> list[Tensor]:
        datamodule = _datamodule(trainer)
        x_a = datamodule.first_images("test", "a", self.num_images)
        x_b = datamodule.first_images("test", "b", self.num_images)
        n = min(len(x_a), len(x_b))
        return [x_a[:n].to(like), x_b[:n].to(like)]

    def _styles(self, module: AdversarialModule, n: int, *where: int | str) -> Tensor:
        rng = rng_for(self.seed, "grid", *where)
        return torch.randn(n, module.style_dim, generator=rng).to(next(module.parameters()))


def _datamodule(trainer: Trainer) -> TwoDomains:
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, TwoDomains):
        raise TypeError("the picture grid shows test images of this package's data modules")
    return datamodule
