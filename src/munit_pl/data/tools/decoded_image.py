"""An image decoded before a run: its size, kind and content, or what is wrong with it."""

import hashlib
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from munit_pl.data.images.bit_depth import FULL, largest_value
from munit_pl.data.images.contrast import has_color, levels
from munit_pl.data.images.opening import ImageFile, open_image, orientation
from munit_pl.data.images.reading import read_image


class DecodedImage(NamedTuple):
    """What is known of an image that was decoded.

    Attributes:
        size: Upright height and width, in pixels; of a half, where a file holds two images.
        kind: Format and Pillow's mode, such as "JPEG RGB" or "PNG I;16".
        rotated: Whether EXIF says to turn or mirror it.
        transparent: Whether pixels may be transparent.
        frames: Whether there are more images in the file, of which only the first is used.
        levels: Gray levels between the darkest and the brightest pixel, 0 to 255, of the channel
            that has most; of the half that has fewer, where a file holds two images.
        digest: SHA-256 of the size and of the upright pixels, 8-bit RGB on white. What decodes to
            the same pixels is the same, whatever the format and the metadata.
        colored: Whether there is more than gray in the image; of each half, where a file holds two.
        largest: The largest value in a 16-bit gray file; None of other kinds.
    """

    size: tuple[int, int]
    kind: str
    rotated: bool
    transparent: bool
    frames: bool
    levels: int
    digest: str
    colored: tuple[bool, ...]
    largest: int | None = None

    @classmethod
    def from_plain(cls, values: Sequence[Any]) -> "DecodedImage":
        """Return what JSON made a list of."""
        size, *others = values
        decoded = cls(tuple(size), *others)
        return decoded._replace(colored=tuple(decoded.colored))


def inspect_image(path: ImageFile, halves: bool = False, max_value: int = FULL) -> DecodedImage:
    """Decode an image and tell what it is.

    Args:
        path: The file, or what stands for one.
        halves: Whether it holds two images of equal width side by side.
        max_value: What is white, if it is 16-bit gray.

    Raises:
        OSError: The file cannot be read or decoded.
        ValueError: It cannot be used: pixels of an unknown range, or an odd width of two halves.
    """
    image = read_image(path, 3, max_value=max_value)
    height, width = image.height, image.width
    parts = [image]
    if halves:
        if width % 2:
            raise ValueError(
                f"is {height}x{width} (height x width), but two halves have an even width"
            )
        width //= 2
        parts = [image.crop((left, 0, left + width, height)) for left in (0, width)]
    digest = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()
    least = min(map(levels, parts))
    colored = tuple(map(has_color, parts))
    header, largest = _header(path), largest_value(path)
    return DecodedImage((height, width), *header, least, digest, colored, largest)


def _header(path: ImageFile) -> tuple[str, bool, bool, bool]:
    """Return an image's kind, and whether it is rotated, transparent, of several frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken metadata, which nobody uses
        with open_image(path) as image:
            kind, transparent = f"{image.format} {image.mode}", image.has_transparency_data
            rotated, frames = 2 <= orientation(image) <= 8, False
            with suppress(Exception):  # of any kind, as the metadata's
                frames = getattr(image, "is_animated", False)  # without reading the second one
    return kind, rotated, transparent, frames


def look_at(path: ImageFile, halves: bool, max_value: int) -> DecodedImage | str | None:
    """Return what is known of an image, or what is wrong with it; None if memory runs out.

    Args:
        path: As of `inspect_image`.
        halves: As of `inspect_image`.
        max_value: As of `inspect_image`.
    """
    try:
        return inspect_image(path, halves, max_value)
    except Exception as error:  # of any kind: a report on many files does not end at one
        if isinstance(error.__cause__ or error, MemoryError):
            return None
        cause = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            cause = error.strerror
        for start in ("read", "use"):
            cause = cause.removeprefix(f"cannot {start} image {str(path)!r}: ")
        return cause if cause.startswith("is ") else f"cannot be used: {cause}"
