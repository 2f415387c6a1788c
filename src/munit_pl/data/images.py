"""Finding image files, reading them right, and turning them into tensors and back.

An image is a tensor ``(C, H, W)`` in [-1, 1]: C is 1 for grey, 3 for RGB, 4 for RGB and alpha.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, TiffImagePlugin, UnidentifiedImageError
from torch import Tensor

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # Pillow's names, by number of channels

Colour = tuple[int, int, int]

# A bitmap starts with two common letters only, so the size of its second header counts too.
_SIGNATURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|GIF8[79]a|II[*+]\0|MM\0[*+]|P[56]\s"
    rb"|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    re.DOTALL,
)
_SIGNATURE_BYTES = 18

_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {  # what undoes each orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def list_images(folder: Path) -> list[Path]:
    """Find the images in a folder and in the folders below it.

    The first bytes decide, not the ending. Hidden files and folders are passed over, and links to
    folders are not followed; links to files are.

    Returns:
        The images' paths, each starting with ``folder``, in the order of their relative paths.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No file in it is an image.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    files = list(_visible_files(folder))
    images = [path for path in files if _has_signature(path)]
    if not images:
        raise ValueError(
            f"no image in {str(folder)!r}: it holds {len(files)} files, none of them "
            f"{', '.join(FORMATS)}"
        )
    return sorted(images, key=lambda path: path.relative_to(folder).as_posix())


def _visible_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():  # not a broken link, not a pipe
                yield path


def _raise(error: OSError) -> None:
    """Make ``os.walk`` stop at an unreadable folder, which it would leave out in silence."""
    raise error


def _has_signature(path: Path) -> bool:
    with path.open("rb", buffering=0) as file:
        return _SIGNATURE.match(file.read(_SIGNATURE_BYTES)) is not None


def read_list(list_file: Path, root: Path) -> list[Path]:
    """Read a text file that names one image per line, relative to ``root``.

    Returns:
        The images' paths, each starting with ``root``, in the order of the lines.

    Raises:
        FileNotFoundError: A line names no file.
        ValueError: The list is empty.
    """
    files = []
    with list_file.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            if not (name := line.strip()):
                continue
            path = root / name
            if not path.is_file():
                raise FileNotFoundError(
                    f"{str(list_file)!r}, line {number}: there is no file {str(path)!r}"
                )
            files.append(path)
    if not files:
        raise ValueError(f"the list {str(list_file)!r} names no image")
    return files


def read_image(path: Path, channels: int, background: Colour = (255, 255, 255)) -> Image.Image:
    """Read the first frame of an image file, upright, as 8-bit grey, RGB or RGBA.

    Args:
        path: A file of one of ``FORMATS``, whatever its ending.
        channels: 1, 3 or 4; ``MODES`` says the image's mode.
        background: What shows through transparent pixels, red, green and blue in [0, 255]. Not
            used with 4 channels, which keep the transparency.

    Raises:
        OSError: The file cannot be read or decoded.
        ValueError: Its pixels are of a kind without a known range, such as floating point.
    """
    with _opened(path) as image:
        image.load()
        upright = _UPRIGHT.get(_orientation(image))
        decoded = image if upright is None else image.transpose(upright)
    try:
        return _converted(decoded, MODES[channels], background)
    except ValueError as error:
        raise ValueError(f"cannot use image {str(path)!r}: {error}") from error


def read_size(path: Path) -> tuple[int, int]:
    """Read an upright image's height and width, in pixels, from the file's header.

    Raises:
        OSError: The file cannot be read, or its header not decoded.
    """
    with _opened(path) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # Some versions of Pillow have turned the size of a TIFF by now, others have not.
            width, height = image.tag_v2[256], image.tag_v2[257]
        return (width, height) if _orientation(image) >= 5 else (height, width)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; decoders raise errors of many kinds, which become one that names the file."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except UnidentifiedImageError as error:
        raise OSError(
            f"cannot read image {str(path)!r}: its header is of none of {', '.join(FORMATS)}"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # missing or forbidden: the system's message names the file
        cause = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"cannot read image {str(path)!r}: {cause}") from error


def _orientation(image: Image.Image) -> int:
    try:
        # PNG's own getexif decodes all pixels in search of a late tag.
        return int(Image.Image.getexif(image).get(_ORIENTATION, 1))
    except Exception:  # of any kind: a photograph with broken EXIF is shown as it lies
        return 1


def _converted(image: Image.Image, mode: str, background: Colour) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, which have no fixed white")
    if image.mode.startswith("I"):
        image = _from_16_bit(image)
    if mode == "RGBA" or not image.has_transparency_data:
        return image if image.mode == mode else image.convert(mode)
    # Dropping the alpha channel would show the noise that lies under transparent pixels.
    ground = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert(mode)


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits, which Pillow's own conversion would cut off at 255."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(
            f"its pixels run from {values.min()} to {values.max()}, not within 16 bits' 0 to 65535"
        )
    grey = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if (hidden := image.info.get("transparency")) is None:
        return grey
    alpha = Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8))
    return Image.merge("LA", (grey, alpha))


def to_tensor(image: Image.Image) -> Tensor:
    """Turn a grey, RGB or RGBA image into a float32 tensor ``(C, H, W)`` in [-1, 1]."""
    if image.mode not in MODES.values():
        raise ValueError(f"an image of mode {image.mode} is none of {', '.join(MODES.values())}")
    pixels = torch.from_numpy(np.array(image))
    channels_last = pixels if pixels.ndim == 3 else pixels[:, :, None]
    return channels_last.permute(2, 0, 1).contiguous().float().div_(127.5).sub_(1)


def to_uint8(x: Tensor) -> Tensor:
    """Turn images ``(..., C, H, W)`` in [-1, 1] into uint8 in [0, 255], as they are saved.

    Values outside the range are cut off; nothing is stretched.
    """
    return x.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)


def to_picture(x: Tensor) -> Image.Image:
    """Return an image ``(C, H, W)`` in [-1, 1] as a picture; 1, 3 or 4 channels."""
    pixels = to_uint8(x.float().cpu()).permute(1, 2, 0).numpy()
    return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
