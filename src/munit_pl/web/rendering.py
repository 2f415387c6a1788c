"""What the web page shows: images and settings in, images out. Knows nothing of gradio."""

import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.domain import DomainName
from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.inference.animation import animate, even_times
from munit_pl.inference.styles import slerp
from munit_pl.inference.translator import Translator

MAX_STYLE_VALUE = 4.0  # that the page's sliders reach; styles are drawn from N(0, 1)

_AT_ONCE = 8  # images that are held before they are pictures


def show(translator: Translator, x: Tensor, styles: Tensor, to: DomainName) -> list[Image.Image]:
    """Show an image ``(1, C, H, W)`` of the other domain in styles ``(K, style_dim)`` of ``to``.

    Raises:
        ValueError: If shapes do not fit.
    """
    parts = (translator.translate(x, part, to)[0] for part in torch.split(styles, _AT_ONCE))
    return [to_pil_image(y) for part in parts for y in part]


def from_values(values: Sequence[float], style_dim: int) -> Tensor:
    """Return a style ``(1, style_dim)`` made of the first of ``values``."""
    return torch.tensor([list(values[:style_dim])], dtype=torch.float32)


def to_values(style: Tensor, count: int) -> list[float]:
    """Return a style ``(style_dim,)`` as ``count`` values, within what the page can set.

    Values are clamped to ``MAX_STYLE_VALUE``, rounded to hundredths, and 0 beyond the style's
    length.
    """
    values = [round(float(value), 2) for value in style.clamp(-MAX_STYLE_VALUE, MAX_STYLE_VALUE)]
    return values + [0.0] * (count - len(values))


def closed_path(styles: Tensor, steps: int) -> Tensor:
    """Go from each style to the next, and from the last to the first.

    Args:
        styles: ``(K, style_dim)``, two or more.
        steps: Styles on each way, its first among them.

    Returns:
        Styles, ``(K * steps, style_dim)``; shown over and over they move without a jump.
    """
    fractions = torch.arange(steps, dtype=torch.float64) / steps
    ways = zip(styles, styles.roll(-1, 0), strict=True)
    return torch.cat([slerp(start, end, fractions) for start, end in ways])


def write_animation(pictures: Sequence[Image.Image], path: Path, fps: int) -> None:
    """Write pictures of one size as an animation that repeats for ever.

    Args:
        pictures: Its frames.
        path: What to write, ``.gif`` or ``.webp``.
        fps: Frames per second.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{i:04}.png") for i in range(len(pictures))]
        for picture, file in zip(pictures, files, strict=True):
            picture.save(file, compress_level=1)
        animate(files, even_times(len(files), Fraction(fps)), path)


def draw_examples(folder: Path, domain: DomainName, count: int, size: int) -> list[Path]:
    """Draw shoes that no model has been trained on, ``size`` pixels high and wide, as PNG files."""
    shoes = DrawnShoes(domain, "test", count, (size, size))
    files = [folder / f"{domain}_{i}.png" for i in range(count)]
    for i, file in enumerate(files):
        to_pil_image(shoes.load(i)).save(file)
    return files
