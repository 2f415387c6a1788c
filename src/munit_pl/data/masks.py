"""Masks of images: white where a translation may change them, black where it must not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image
from torch import Tensor

from munit_pl.data.images.opening import ImageFile
from munit_pl.data.images.reading import read_size
from munit_pl.data.images.tensors import from_uint8
from munit_pl.data.listing import scan_folder
from munit_pl.data.sizes import format_size

ENDING = "_masks"  # of a folder's name


class Uncropped(Protocol):
    """Images, resized and not cropped."""

    def uncropped(self, index: int) -> Image.Image:
        """Return one."""


def find_masks(images: Sequence[Path], folder: Path) -> list[Path]:
    """Find the mask of each image: those of trainA lie in trainA_masks.

    A mask has the image's place and name there, but for the ending, and its height and width. The
    headers of both are read, of images that can be.

    Args:
        images: Paths that start with ``folder``.
        folder: Where the images lie.

    Returns:
        The masks' paths, in the order of the images.

    Raises:
        FileNotFoundError: There is no folder of masks.
        ValueError: An image has no mask that can be used.
    """
    beside = folder.with_name(folder.name + ENDING)
    if not beside.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(beside)!r} for the masks of {str(folder)!r}: add it, or set "
            "masks to false"
        )
    listed = scan_folder(beside)
    there: dict[Path, list[Path]] = {}
    for path in (*listed.images, *listed.bad):
        there.setdefault(path.relative_to(beside).with_suffix(""), []).append(path)
    found: list[Path] = []
    faults: list[str] = []
    for image in images:
        place = image.relative_to(folder).with_suffix("")
        masks = there.get(place, [])
        fault = _fault(image, masks, listed.bad) if masks else _missing(beside / place)
        if fault is None:
            found.append(masks[0])
        else:
            faults.append(f"{str(image)!r} {fault}")
    if faults:
        raise ValueError(
            f"of {len(images)} images in {str(folder)!r} {len(faults)} cannot be used with masks; "
            f"the first: {faults[0]}, or remove the image"
        )
    return found


def mask_of(masks: Uncropped, index: int, image: ImageFile, size: tuple[int, int]) -> Image.Image:
    """Return an image's mask, gray.

    Args:
        masks: All masks.
        index: Which of them.
        image: Whose it is.
        size: The height and width of that image, resized.

    Raises:
        OSError: The system cannot read it.
        ValueError: It is none, or of another size.
    """
    try:
        mask = masks.uncropped(index)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # as when a disk is lost
            raise
        raise _unusable(image, str(error)) from error
    if (mask.height, mask.width) != size:
        other = format_size((mask.height, mask.width))
        raise _unusable(
            image, f"resized it is {other}, the image {format_size(size)}: make them of one size"
        )
    if mask.getextrema()[1] == 1:
        raise _unusable(image, "its levels are 0 and 1, but what may change is white, 255")
    return mask


def to_unit_range(mask: Tensor) -> Tensor:
    """Return masks as floats in [0, 1], of uint8 in [0, 255] or of such floats."""
    return mask if mask.is_floating_point() else (from_uint8(mask) + 1) / 2


def _missing(place: Path) -> str:
    return (
        f"has no mask '{place}.png': add it, white where the image may change and black elsewhere"
    )


def _fault(image: Path, masks: Sequence[Path], bad: Mapping[Path, str]) -> str | None:
    """Say why an image cannot be used with the masks of its name; None if it can."""
    mask = masks[0]
    if len(masks) > 1:
        return f"has two masks, {str(mask)!r} and {masks[1].name!r}: remove one"
    if mask in bad:
        return f"has a mask, {str(mask)!r}, that {bad[mask]}: correct it"
    try:
        size = read_size(image)
    except OSError:
        return None  # it is skipped when it is read
    try:
        other = read_size(mask)
    except OSError as error:
        return f"has a mask that cannot be read ({error}): correct it"
    if size == other:
        return None
    return (
        f"is {format_size(size)} (height x width) and its mask {str(mask)!r} "
        f"{format_size(other)}: make them of one size"
    )


def _unusable(image: ImageFile, cause: str) -> ValueError:
    return ValueError(f"cannot use the mask of image {str(image)!r}: {cause}")
