"""The comparison as a picture: in each row of pictures one method."""

from collections.abc import Mapping

import torch
from PIL import Image
from torch import Tensor

from munit_pl.evaluation.comparison.rows import ROWS
from munit_pl.evaluation.comparison.subject import Subject
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.metrics.network_metric import to_rgb
from munit_pl.reports.grid import draw_grid

_INPUTS = 2
_STYLES = 5


def draw_table(translators: Mapping[str, Translator], subject: Subject) -> Image.Image:
    """Show two inputs and their translations under random styles, method by method.

    Args:
        translators: A trained model of each row.
        subject: What they are compared on.
    """
    label, x, real = subject.show(_INPUTS, _STYLES)
    blank = torch.ones_like(real[:, :1]).expand(-1, _STYLES - real.shape[1], -1, -1, -1)
    shown = {label: torch.cat([real, blank], 1)}
    for name in (name for name in ROWS if name in translators):
        translator = translators[name]
        styles = random_styles(_STYLES, translator.style_dim("b"), 0, "table1 picture")
        shown[ROWS[name].label] = translator.translate(x, styles, "b")
    inputs = to_rgb(x)[:, None]
    return draw_grid(
        [
            (label, torch.cat([inputs, _each_rgb(row)], 1).flatten(0, 1))
            for label, row in shown.items()
        ]
    )


def _each_rgb(x: Tensor) -> Tensor:
    return torch.stack([to_rgb(images) for images in x])
