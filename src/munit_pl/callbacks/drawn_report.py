"""What a run on the drawn shoes came to: a picture, and metrics against the ground truth."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image

from munit_pl.callbacks.evaluate import task_of
from munit_pl.callbacks.stopping import final_metrics
from munit_pl.checks import Seed, checked
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.datamodules.drawn import DrawnDataModule
from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.evaluation.measuring import measure
from munit_pl.evaluation.protocols.drawn_ground_truth import Drawn
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.reports.grid import draw_grid, surviving

_log = logging.getLogger(__name__)


class DrawnReport(Callback):
    """Measure the finished model on test drawings, log the metrics and draw a picture.

    The metrics are those of the protocol "drawn", saved as ``drawn.json``; the picture is
    ``drawn.png``.

    Args:
        folder: Where both go.
        seed: What the styles depend on.
    """

    @checked
    def __init__(self, folder: str | Path, seed: Seed = 0) -> None:
        self.folder = Path(folder)
        self.seed = seed

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse other data now, and not when days of training are over."""
        _datamodule(trainer)

    def check_data(self, datamodule: TwoDomains) -> Iterator[str]:
        """Yield why these images cannot be measured, if they cannot."""
        if not isinstance(datamodule, DrawnDataModule):
            yield (
                "the drawn report measures runs on the drawn shoes (data=drawn); on other data "
                "leave it out: ~callbacks.report"
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, log, draw and save."""
        with final_metrics(trainer):
            self._report(trainer, pl_module)

    def _report(self, trainer: Trainer, pl_module: LightningModule) -> None:
        datamodule = _datamodule(trainer)
        task = task_of(trainer, pl_module, self.seed)
        test = datamodule.make_domains("test")
        protocol = Drawn(inputs=min(Drawn.inputs, *map(len, test)))
        metrics = {f.key: f.value for f in measure(protocol, task).metrics}
        if not trainer.is_global_zero:
            return
        for line in _sentences(metrics, task.translator, protocol.inputs):
            _log.info("%s", line)
        with surviving("the drawn report"):
            (self.folder / "drawn.json").write_text(json.dumps(metrics, indent=1))
            self._picture(task.translator, *test).save(self.folder / "drawn.png")

    def _picture(
        self, translator: Translator, drawings: DrawnShoes, shoes: DrawnShoes
    ) -> Image.Image:
        """Show a drawing of each kind under random styles, then in the styles of examples."""
        kinds = {drawings.truth(i).shoe.kind: i for i in reversed(range(len(drawings)))}
        x = torch.stack([drawings.load(i) for i in sorted(kinds.values())])  # the first of each
        examples = torch.stack([shoes.load(i) for i in range(min(Drawn.styles, len(shoes)))])
        dim = translator.style_dim("b")
        k = Drawn.styles if dim else 1
        styles = torch.stack(
            [random_styles(k, dim, self.seed, "picture", i) for i in range(len(x))]
        )
        random = translator.translate(x, styles, "b")
        rows = [("random styles", torch.cat([x[i : i + 1], random[i]])) for i in range(len(x))]
        if not translator.reads_styles:
            return draw_grid(rows)
        guided = translator.translate(x, translator.encode_style(examples, "b"), "b")
        return draw_grid(
            [
                *rows,
                ("examples", torch.cat([torch.ones_like(x[:1]), examples])),
                *(("their styles", torch.cat([x[i : i + 1], guided[i]])) for i in range(len(x))),
            ]
        )


def _datamodule(trainer: Trainer) -> DrawnDataModule:
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, DrawnDataModule):
        raise TypeError("the drawn report measures runs on the drawn shoes (data=drawn)")
    return datamodule


def _sentences(metrics: dict[str, float], translator: Translator, inputs: int) -> list[str]:
    a2b = {key.removeprefix("a2b/"): value for key, value in metrics.items()}
    styled = translator.style_dim("b") > 0
    lines = [
        f"On {inputs} test drawings{f', {Drawn.styles} random styles each' if styled else ''}:",
        f"  the shape is kept: silhouette IoU {a2b['silhouette_iou']:.3f} (1 is exact)",
    ]
    if translator.reads_styles:
        lines.append(
            f"  the example is followed: body color off by {a2b['guided_error']:.1f} of 255, "
            f"by {a2b['chance_error']:.1f} if it were ignored"
        )
    if styled:
        spread = f"{a2b['color_spread']:.2f} of the real shoes' spread"
        lines.append(f"  one drawing gets many colors: {spread}")
    return lines
