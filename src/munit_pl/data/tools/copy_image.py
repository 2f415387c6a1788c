"""One image, upright and resized, for a data set's copy."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.bit_depth import gray_values
from munit_pl.data.images.opening import open_image, orientation
from munit_pl.data.images.reading import UPRIGHT, resize_image

Format = Literal["jpg", "png"]

_KINDS = {"jpg": "JPEG", "png": "PNG"}
_GRAY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")  # Pillow's modes


class CopySettings(NamedTuple):
    """How images are copied.

    Attributes:
        size: Pixels of the shortest side, to which larger images are resized as for training.
        format: "jpg", of quality 95 without coarser colors; or "png", which loses nothing.
    """

    size: int = 256
    format: Format = "jpg"


def resized_copy(path: Path, settings: CopySettings) -> tuple[Image.Image | None, bool, Format]:
    """Return an image as it is to be, None if it is so; if it lost its transparency; and as what.

    JPEG has 8 bits.
    """
    with open_image(path) as image:
        if image.format != "JPEG":
            image.load()  # some kinds tell of transparency only now
        kind, mode, shortest = image.format, image.mode, min(image.size)
        transparent, turned = image.has_transparency_data, orientation(image) != 1
        profiled = "icc_profile" in image.info
    deep = mode.startswith("I") and not transparent
    format: Format = "png" if deep else settings.format
    as_asked = kind == _KINDS[format] and (deep or mode in ("L", "RGB")) and not profiled
    if as_asked and shortest <= settings.size and not turned and not transparent:
        with open_image(path) as image:
            image.load()  # all of it must be sound
        return None, False, format
    resize = settings.size if shortest > settings.size else None
    if deep:
        return _deep(path, resize), False, format
    on_white = transparent and settings.format == "jpg"
    channels = 4 if transparent and not on_white else 1 if mode in _GRAY else 3
    return ImageFolder([path], channels, resize, crop=None).uncropped(0), on_white, format


def _deep(path: Path, resize: int | None) -> Image.Image:
    """Return 16-bit gray upright and resized, with its values."""
    with open_image(path) as image:
        image.load()
        transpose = UPRIGHT.get(orientation(image))
        values = gray_values(image if transpose is None else image.transpose(transpose))
    resized = resize_image(Image.fromarray(values.astype(np.float32)), resize)
    return Image.fromarray(np.asarray(resized).round().astype(np.uint16))
