"""Pictures laid out as a grid, each row with its label."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from PIL import Image, ImageDraw
from torch import Tensor

from munit_pl.data.images.tensors import to_pil_image
from munit_pl.reports.labels import label_width, write_label

Row = tuple[str, Tensor]
_GAP = 2  # pixels between pictures


@contextmanager
def surviving(what: str) -> Iterator[None]:
    """Warn where something beside the training cannot be written, and let the run go on."""
    try:
        yield
    except OSError as error:
        warnings.warn(f"{what} could not be written: {error}", stacklevel=3)


def draw_grid(rows: Sequence[Row]) -> Image.Image:
    """Lay rows of images below each other, labeled on the left, in their true colors.

    Args:
        rows: A label and images ``(N, C, H, W)`` in [-1, 1] each, all of one height and width.
    """
    height, width = rows[0][1].shape[2:]
    size = max(12, min(height // 6, 24))
    margin = max(label_width(label, size) for label, _ in rows) + 4 * _GAP
    columns = max(len(images) for _, images in rows)
    grid = Image.new(
        "RGB",
        (margin + columns * (width + _GAP), len(rows) * (height + _GAP)),
        "white",
    )
    pen = ImageDraw.Draw(grid)
    for i, (label, images) in enumerate(rows):
        top = i * (height + _GAP)
        write_label(pen, (margin - 2 * _GAP, top + height / 2), label, size, "rm")
        for j, image in enumerate(images):
            grid.paste(to_pil_image(image), (margin + j * (width + _GAP), top))
    return grid
