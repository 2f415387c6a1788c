"""Reading image files: upright, as 8-bit gray, RGB or RGBA in sRGB, large JPEGs at a fraction."""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from annotated_types import Interval, Len
from PIL import Image, JpegImagePlugin, TiffImagePlugin

from munit_pl.data.images.bit_depth import FULL, to_8_bit
from munit_pl.data.images.color_profiles import to_srgb
from munit_pl.data.images.opening import MAX_PIXELS, ImageFile, open_image, orientation
from munit_pl.data.sizes import Size, format_size, resized_size

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # Pillow's names, by number of channels

Color = tuple[int, int, int]
Rgb = Annotated[Sequence[Annotated[int, Interval(ge=0, le=255)]], Len(3, 3)]
Channels = Literal[1, 3, 4]  # gray, RGB, RGB and alpha


class Decoded(NamedTuple):
    """An upright image that may have fewer pixels than its file.

    Attributes:
        image: Its pixels.
        size: Height and width in the file.
        box: Where in ``image`` it lies: left, top, right, bottom. A JPEG decoded at a fraction of
            its size ends within a pixel.
    """

    image: Image.Image
    size: tuple[int, int]
    box: tuple[float, float, float, float]


UPRIGHT = {  # what undoes each orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ROWS = 64  # of an image, converted at a time


def read_image(
    path: ImageFile, channels: int, background: Color = (255, 255, 255), max_value: int = FULL
) -> Image.Image:
    """Read the first frame of an image file, upright, as 8-bit gray, RGB or RGBA, in sRGB.

    Args:
        path: A file of one of ``FORMATS``, whatever its ending, or HEIC where pillow-heif is
            installed. A color profile that it carries is applied.
        channels: 1, 3 or 4; ``MODES`` says the image's mode.
        background: What shows through transparent pixels, red, green and blue in [0, 255]. Not
            used with 4 channels, which keep the transparency.
        max_value: What is white in 16-bit gray files, in [1, 65535].

    Raises:
        OSError: The file cannot be read or decoded, or declares more than ``MAX_PIXELS``.
        ValueError: Its pixels are of a kind without a known range, such as floating point.
    """
    return read_reduced(path, channels, background, None, max_value).image


def read_reduced(
    path: ImageFile,
    channels: int,
    background: Color,
    shortest: int | None,
    max_value: int = FULL,
) -> Decoded:
    """Read as `read_image` does; of a large JPEG a half, a quarter or an eighth of the size.

    A JPEG holds 8x8 blocks as sums of cosines; of the lowest ones alone a smaller block is made,
    which takes a fraction of the time and of the memory.

    Args:
        path: As of `read_image`.
        channels: As of `read_image`.
        background: As of `read_image`.
        shortest: Pixels that the shortest side keeps at least; None decodes all of them.
        max_value: As of `read_image`.

    Raises:
        OSError: As `read_image` does.
        ValueError: As `read_image` does.
    """
    with open_image(path) as image:
        width, height = image.size
        scale = _reduce(image, shortest)
        image.load()
        turned = orientation(image)
        upright = UPRIGHT.get(turned)
        decoded = _opaque(image) if upright is None else image.transpose(upright)
    if turned >= 5:
        width, height = height, width
    # What is beyond the end of the file's last row and column has been turned too.
    left = decoded.width - width / scale if turned in (2, 3, 6, 7) else 0
    top = decoded.height - height / scale if turned in (3, 4, 7, 8) else 0
    box = (left, top, left + width / scale, top + height / scale)
    try:
        converted = _converted(decoded, MODES[channels], background, max_value)
    except ValueError as error:
        raise ValueError(f"cannot use image {str(path)!r}: {error}") from error
    return Decoded(converted, (height, width), box)


def read_size(path: ImageFile) -> tuple[int, int]:
    """Read an upright image's height and width, in pixels, from the file's header.

    Raises:
        OSError: The file cannot be read, its header not decoded, or it declares more than
            ``MAX_PIXELS``.
    """
    with open_image(path, header=True) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # Some versions of Pillow have turned the size of a TIFF by now, others have not.
            width, height = image.tag_v2[256], image.tag_v2[257]
        return (width, height) if orientation(image) >= 5 else (height, width)


def from_pillow(image: Image.Image, channels: int, max_value: int = FULL) -> Image.Image:
    """Make of an image of any mode what `read_image` would have made of its file.

    Args:
        image: An image that is open or was made; it stays as it is.
        channels: As of `read_image`.
        max_value: As of `read_image`.

    Raises:
        OSError: It was opened, and cannot be decoded.
        ValueError: As `read_image` does.
    """
    image.load()
    upright = UPRIGHT.get(orientation(image))
    turned = _opaque(image).copy() if upright is None else image.transpose(upright)
    return _converted(turned, MODES[channels], (255, 255, 255), max_value)


def _opaque(image: Image.Image) -> Image.Image:
    """Drop a BMP's alpha where it is 0 everywhere: programs leave the fourth byte empty."""
    unused = image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox()
    return image.convert("RGB") if unused else image


def _reduce(image: Image.Image, shortest: int | None) -> int:
    """Have an opened image decoded at a fraction of its size; return the whole that it is of."""
    if shortest is None or not isinstance(image, JpegImagePlugin.JpegImageFile):
        return 1
    scale = next(s for s in (8, 4, 2, 1) if s == 1 or min(image.size) >= s * shortest)
    # Pillow takes the largest fraction that leaves this many pixels.
    drafted = image.draft(None, (image.width // scale, image.height // scale))
    return 1 if drafted is None else scale


def _converted(image: Image.Image, mode: str, background: Color, max_value: int) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, which have no fixed white")
    if image.mode == "P" and image.palette is None:
        raise ValueError("its palette is missing")
    if image.mode.startswith("I"):
        image = to_8_bit(image, max_value)
    image = to_srgb(image, image.info.get("icc_profile", b""))
    image.info.pop("icc_profile", None)  # which what is saved would carry on
    if mode == "RGBA" or not image.has_transparency_data:
        return image if image.mode == mode else image.convert(mode)
    return _over(image, mode, background)


def _over(image: Image.Image, mode: str, background: Color) -> Image.Image:
    """Lay a transparent image over a color.

    Dropping the alpha channel would show the noise that lies under transparent pixels. Some rows at
    a time: each step has four bytes for a pixel, and a file of 78 bytes can hold 50 megapixels.
    """
    laid = Image.new(mode, image.size)
    for top in range(0, image.height, _ROWS):
        box = (0, top, image.width, min(top + _ROWS, image.height))
        rows = image.crop(box).convert("RGBA")
        ground = Image.new("RGBA", rows.size, (*background, 255))
        laid.paste(Image.alpha_composite(ground, rows).convert(mode), box)
    return laid


def resize_image(image: Image.Image, size: Size | None) -> Image.Image:
    """Resize as images for training are: bilinear, and antialiased where they shrink.

    Args:
        image: The image.
        size: Pixels of the shortest side, or of height and width; None keeps the size.

    Raises:
        ValueError: If it would have more than ``MAX_PIXELS``.
    """
    own = image.height, image.width
    height, width = resized_size(own, size) if size is None or isinstance(size, int) else size
    if (height, width) == own:
        return image
    if height * width > MAX_PIXELS:
        raise ValueError(
            f"an image of {format_size(own)} resized to {format_size((height, width))} would have "
            f"more than {MAX_PIXELS // 10**6} million pixels"
        )
    return image.resize((width, height), Image.Resampling.BILINEAR)
