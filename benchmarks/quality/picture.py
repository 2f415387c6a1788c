"""What rows look like: inputs, random styles, an example and what it leads to."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from benchmarks.quality.layout import read_truth
from benchmarks.quality.measures import SEED
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.reports.grid import Row, draw_grid

_INPUTS = 3
_STYLES = 3


def draw_rows(root: Path, folder: Path, names: Sequence[str]) -> Image.Image:
    """Show the first inputs, each with three translations, an example, and what it leads to.

    Args:
        root: The set's folder.
        folder: Holds the rows' runs, of which the lowest seed is shown.
        names: The rows.
    """
    truth = read_truth(root)
    # Not the first ones: neighbors in name show much the same.
    places = torch.linspace(0, len(truth.x) - 1, _INPUTS).long()
    x = truth.x[places]
    if truth.examples is None:
        examples, wanted = truth.real[places - 1], torch.ones_like(x)
    else:
        chosen = torch.arange(_INPUTS) % truth.examples.shape[1]
        examples = truth.real[truth.examples[places, chosen]]
        wanted = truth.versions[places, chosen]
    versions = truth.versions[places, -_STYLES:]
    blank = torch.ones_like(x)[:, None].expand(-1, _STYLES - versions.shape[1], -1, -1, -1)
    shown: list[Row] = []

    def add(label: str, random: torch.Tensor, guided: torch.Tensor) -> None:
        cells = torch.cat([x[:, None], random, examples[:, None], guided[:, None]], 1)
        shown.append((label, cells.flatten(0, 1)))

    add("truth", torch.cat([versions, blank], 1), wanted)
    for name in names:
        first = min((folder / name).glob("*/metrics.json"), key=lambda path: int(path.parent.name))
        translator = Translator.load(first.parent / "checkpoints" / "last.ckpt", device="cpu")
        dim = translator.style_dim("b")
        random = translator.translate(x, random_styles(_STYLES, dim, SEED, "picture"))
        guided = torch.ones_like(x)
        if translator.reads_styles:
            styles = translator.encode_style(examples, "b")[:, None]
            guided = translator.translate(x, styles)[:, 0]
        add(name, random, guided)
    return draw_grid(shown)
