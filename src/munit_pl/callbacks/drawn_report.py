"""What a run on the drawn shoes came to: a picture, and figures against the known truth."""

import json
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch import Tensor

from munit_pl.callbacks.grids import draw_grid
from munit_pl.data.datamodule import DrawnDataModule
from munit_pl.data.drawn import Truth
from munit_pl.metrics.drawn import DrawnFigures, drawn_figures
from munit_pl.module import MUNITModule
from munit_pl.randomness import generator


class DrawnReport(Callback):
    """Measure the finished model on test drawings, print the figures and draw a picture.

    The figures are saved as ``drawn.json``, see `DrawnFigures`; the picture as ``drawn.png``.

    Args:
        folder: Where both go.
        num_shapes: Test drawings measured, and examples.
        num_styles: Random styles for each of them.
        seed: What the styles depend on.
    """

    def __init__(
        self, folder: str | Path, num_shapes: int = 64, num_styles: int = 8, seed: int = 0
    ) -> None:
        if min(num_shapes, num_styles) < 2:
            raise ValueError("num_shapes and num_styles must be at least 2, to have a spread")
        self.folder = Path(folder)
        self.num_shapes = num_shapes
        self.num_styles = num_styles
        self.seed = seed

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse other data now, and not when days of training are over."""
        _datamodule(trainer)

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, print, draw and save."""
        datamodule = _datamodule(trainer)
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, MUNITModule)
        drawings, shoes = (
            [domain.truth(i) for i in range(min(self.num_shapes, len(domain)))]
            for domain in datamodule.make_domains("test")
        )
        with trainer.precision_plugin.forward_context():
            translations, guided = self._translate(pl_module, drawings, shoes)
        figures = drawn_figures(
            translations,
            guided,
            torch.stack([truth.silhouette for truth in drawings]),
            torch.stack([truth.upper for truth in drawings]),
            torch.stack([truth.x_b for truth in shoes]),
            torch.stack([truth.upper for truth in shoes]),
        )
        (self.folder / "drawn.json").write_text(json.dumps(figures._asdict(), indent=1))
        picture = self._picture(pl_module, drawings, shoes, translations)
        picture.save(self.folder / "drawn.png")
        print(_sentences(figures, translations.shape[:2], self.folder / "drawn.png"))

    def _translate(
        self, module: MUNITModule, drawings: list[Truth], shoes: list[Truth]
    ) -> tuple[Tensor, Tensor]:
        """Return translations under random styles, ``(N, K, 3, H, W)``, and under examples."""
        content, _ = module.encode(_stack(drawings, "x_a", module), "a")
        _, guide = module.encode(_stack(shoes, "x_b", module), "b")
        n, k = len(drawings), self.num_styles
        rng = generator(self.seed, "drawn report")
        styles = torch.randn(n, k, module.style_dim, generator=rng).to(module.device)
        translations = [module.decode(content, styles[:, i], "b") for i in range(k)]
        guided = module.decode(content, guide, "b")
        return torch.stack(translations, 1).float().cpu(), guided.float().cpu()

    def _picture(
        self,
        module: MUNITModule,
        drawings: list[Truth],
        shoes: list[Truth],
        translations: Tensor,
    ) -> Image.Image:
        """Show a drawing of each kind under random styles, then in the styles of examples."""
        kinds = {truth.shoe.kind: i for i, truth in reversed(list(enumerate(drawings)))}
        shown = sorted(kinds.values())  # the first of each
        x = _stack([drawings[i] for i in shown], "x_a", module)
        content, _ = module.encode(x, "a")
        examples = _stack(shoes[: self.num_styles], "x_b", module)
        _, guide = module.encode(examples, "b")
        rows = [
            ("random styles", torch.cat([x[j : j + 1].cpu(), translations[i]]))
            for j, i in enumerate(shown)
        ]
        rows.append(("examples", torch.cat([torch.ones_like(x[:1]), examples])))
        for j in range(len(shown)):
            guided = module.decode(content[j : j + 1].expand(len(guide), -1, -1, -1), guide, "b")
            rows.append(("their styles", torch.cat([x[j : j + 1], guided])))
        return draw_grid(rows)


def _datamodule(trainer: Trainer) -> DrawnDataModule:
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, DrawnDataModule):
        raise TypeError("the drawn report measures runs on the drawn shoes (data=drawn)")
    return datamodule


def _stack(truths: list[Truth], picture: str, module: MUNITModule) -> Tensor:
    return torch.stack([getattr(truth, picture) for truth in truths]).to(module.device)


def _sentences(figures: DrawnFigures, shape: tuple[int, ...], picture: Path) -> str:
    return (
        f"On {shape[0]} test drawings, {shape[1]} random styles each:\n"
        f"  the shape is kept: silhouette IoU {figures.silhouette_iou:.3f} (1 is exact)\n"
        f"  the example is followed: body colour off by {figures.guided_error:.1f} of 255, "
        f"by {figures.chance_error:.1f} if it were ignored\n"
        f"  one drawing gets many colours: {figures.colour_spread:.2f} of the real shoes' spread\n"
        f"Look at {picture}"
    )
