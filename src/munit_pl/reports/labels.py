"""Labels written into pictures."""

import math
from functools import cache

from PIL import ImageDraw, ImageFont

# Linux's, macOS's and Windows': Pillow's own font has no accents, and hardly a space between words.
_FONTS = ("DejaVuSans.ttf", "Arial.ttf", "arial.ttf")


def label_width(text: str, size: int) -> int:
    """Return how many pixels a label takes in a font of ``size`` pixels."""
    font, space = _font(size)
    return math.ceil(font.getlength(text.replace(" ", space)))


def write_label(
    pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, anchor: str
) -> None:
    """Write a label in black.

    Args:
        pen: Of the picture.
        place: Pixels from the left and from the top.
        text: The label.
        size: Of the font, in pixels.
        anchor: Which point of the text is at ``place``, as Pillow has it, such as "mm".
    """
    font, space = _font(size)
    pen.text(place, text.replace(" ", space), "black", font, anchor)


@cache
def _font(size: int) -> tuple[ImageFont.FreeTypeFont, str]:
    """Return a font, and what is a space in it."""
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size), " "
        except OSError:
            continue
    own = ImageFont.load_default(size)
    assert isinstance(own, ImageFont.FreeTypeFont)
    return own, "  "
