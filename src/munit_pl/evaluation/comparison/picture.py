"""The comparison as a picture: in each row of pictures one method."""

from collections.abc import Mapping

import torch
from PIL import Image

from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.evaluation.comparison.rows import ROWS
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.reports.grid import draw_grid

_DRAWINGS = 2
_STYLES = 5


def draw_table(translators: Mapping[str, Translator], drawings: DrawnShoes) -> Image.Image:
    """Show two drawings and their translations under random styles, method by method.

    Args:
        translators: A trained model of each row.
        drawings: Test images of domain a, at least two.
    """
    truths = [drawings.truth(i) for i in range(_DRAWINGS)]
    x = torch.stack([truth.x_a for truth in truths])
    colored = torch.stack([truth.x_b for truth in truths])[:, None]
    blank = torch.ones_like(colored).expand(-1, _STYLES - 1, -1, -1, -1)
    shown = {"drawing, its shoe": torch.cat([colored, blank], 1)}
    for name in (name for name in ROWS if name in translators):
        translator = translators[name]
        styles = random_styles(_STYLES, translator.style_dim("b"), 0, "table1 picture")
        shown[ROWS[name].label] = translator.translate(x, styles, "b")
    return draw_grid(
        [(label, torch.cat([x[:, None], row], 1).flatten(0, 1)) for label, row in shown.items()]
    )
