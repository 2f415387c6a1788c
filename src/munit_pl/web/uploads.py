"""Pictures that somebody sent, read in a process of its own: of any kind, within its limits.

What is imported here is imported there: nothing that takes seconds.
"""

from functools import partial
from pathlib import Path

from PIL import Image

from munit_pl.data.images.opening import FORMATS
from munit_pl.data.images.reading import read_reduced, read_size
from munit_pl.data.isolated_processes import run_alone
from munit_pl.data.sizes import MAX_ASPECT, format_size, is_too_long, resized_size

PIXELS = 24_000_000  # decoded they take 72 MB for as long as they are read

_WHITE = (255, 255, 255)
_REDUCED_TO = 2  # a JPEG is decoded at no less than so many times the size that it is shrunk to
_DAMAGED = "This image is damaged or of an unusual kind, and cannot be read to its end."


def read_upload(path: Path, channels: int, size: int, max_value: int) -> Image.Image:
    """Read an image that somebody sent, resized as images for training are.

    Args:
        path: The file; it may be anything.
        channels: 1, 3 or 4.
        size: Pixels of the shortest side afterwards.
        max_value: What is white in 16-bit gray files.

    Raises:
        ValueError: What to tell the sender. It names no file or folder of this machine.
    """
    read = partial(read_or_tell, channels=channels, size=size, max_value=max_value)
    outcome = run_alone(read, path, "spawn")
    if isinstance(outcome, Image.Image):
        return outcome
    raise ValueError(outcome or _DAMAGED)


def read_or_tell(path: Path, channels: int, size: int, max_value: int) -> Image.Image | str:
    """Read an image as `read_upload` does, or return what to tell the sender."""
    try:
        height, width = read_size(path)
    except OSError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            return _too_many_pixels("It")
        return (
            f"This is no image that can be read here: choose a file of {', '.join(FORMATS[:-1])} "
            f"or {FORMATS[-1]}."
        )
    if height * width > PIXELS:
        return _too_many_pixels(f"It is {format_size((height, width))} pixels and")
    if is_too_long((height, width)):
        return (
            f"It is {format_size((height, width))} pixels: one side may be {MAX_ASPECT} times the "
            "other at most. Cut it."
        )
    try:
        decoded = read_reduced(path, channels, _WHITE, _REDUCED_TO * size, max_value)
    except (OSError, ValueError):
        return _DAMAGED
    height, width = resized_size(decoded.size, size)
    return decoded.image.resize((width, height), Image.Resampling.BILINEAR, decoded.box)


def _too_many_pixels(subject: str) -> str:
    return f"{subject} has too many pixels: {PIXELS // 10**6} million are taken. Make it smaller."
