"""16-bit gray files: their value of white (many hold 9 to 15 bits), and their scaling to 8 bits."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Interval
from PIL import Image

from munit_pl.data.images.opening import ImageFile, open_image
from munit_pl.data.isolated_processes import run_all

FULL = 65535  # of 16 bits

MaxValue = Annotated[int, Interval(ge=1, le=FULL)] | Literal["auto"]

_LOOKED_AT = 64  # files of a domain, evenly spread
_ROWS = 64  # of an image, scaled at a time


def gray_values(image: Image.Image) -> npt.NDArray[np.integer]:
    """Return the values of an image of Pillow's modes of more than 8 bits, ``(H, W)``.

    Raises:
        ValueError: Some do not lie within 16 bits.
    """
    values: npt.NDArray[np.integer] = np.asarray(image)
    if values.min() < 0 or values.max() > FULL:
        raise ValueError(
            f"its pixels run from {values.min()} to {values.max()}, not within 16 bits' 0 to {FULL}"
        )
    return values


def largest_value(path: ImageFile) -> int | None:
    """Return the largest value in a 16-bit gray file; None if it is another kind, or unreadable."""
    try:
        with open_image(path, header=True) as image:
            if not image.mode.startswith("I"):
                return None
        with open_image(path) as image:
            return int(gray_values(image).max())
    except (OSError, ValueError):  # told of when it is read as an image
        return None


def white_above(largest: int) -> int:
    """Return the smallest of 255, 511, ... 65535 that is no less than a value."""
    return int(2 ** min(max(largest.bit_length(), 8), 16) - 1)


def find_max_value(files: Sequence[ImageFile], workers: int = 0) -> int:
    """Return what white is in a domain's 16-bit gray files, as some of its files tell.

    Args:
        files: All of the domain's files; up to 64 of them are looked at.
        workers: Processes that do so; 0 is this one.

    Returns:
        2^n - 1 of the fewest bits, 8 to 16, that hold all their values; 65535 if none is 16-bit.
    """
    sample = files[:: max(1, -(-len(files) // _LOOKED_AT))]
    largest = None
    for value in run_all(largest_value, sample, workers):
        largest = value if largest is None else max(largest, value or 0)
        if largest is not None and white_above(largest) == FULL:
            break
    return FULL if largest is None else white_above(largest)


def to_8_bit(image: Image.Image, max_value: int) -> Image.Image:
    """Scale 16-bit gray to 8 bits, which Pillow's own conversion would cut off at 255."""
    values = gray_values(image)
    levels = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):  # in 32 bits a large image would take much memory
        rows = values[top : top + _ROWS].astype(np.uint32).clip(max=max_value)
        levels[top : top + _ROWS] = (255 * rows + max_value // 2) // max_value
    gray = Image.fromarray(levels)
    if (hidden := image.info.get("transparency")) is None:
        return gray
    alpha = Image.fromarray((values != hidden) * np.uint8(255))
    return Image.merge("LA", (gray, alpha))
