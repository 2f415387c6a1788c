"""The data set of one domain's images, of files or rows: read, resized, cropped, with masks."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.cropping import MAX_CROPS, BlankCrop, Crop, center_crop, draw_crop
from munit_pl.data.domain import LoadedImage
from munit_pl.data.file_list import FileList
from munit_pl.data.huggingface.rows import Rows
from munit_pl.data.images.bit_depth import FULL
from munit_pl.data.images.opening import ImageFile
from munit_pl.data.images.reading import MODES, Color, read_image, read_reduced, read_size
from munit_pl.data.images.tensors import from_uint8
from munit_pl.data.masks import mask_of
from munit_pl.data.sizes import Half, check_crop, fitted_size, format_size

# So many times the resized image are left of a JPEG that is decoded at a fraction of its size, for
# resizing to average over: what was not averaged would show as jagged lines.
_REDUCED_TO = 2
_ROWS_LOOKED_AT = 10_000  # of a table, which may have millions


class ImageFolder:
    """One domain's image files, loaded as tensors ``(channels, height, width)`` in [-1, 1].

    A JPEG of at least four times the resized height and width is decoded at a fraction of its size,
    which alters the resized image by less than one of 255 levels on average.

    Args:
        files: The images' paths, or a table's rows that hold them.
        channels: 1 for gray, 3 for RGB, 4 for RGB and alpha.
        resize: Pixels of the shortest side after resizing; ``None`` keeps the size.
        crop: Height and width cut out after resizing, in pixels; ``None`` keeps the whole image,
            so that images may differ in size.
        flip: Whether half of the training images are mirrored left to right.
        background: What shows through transparent pixels, red, green and blue in [0, 255].
        max_images: Use this many files, the first ones; ``None`` uses all.
        half: Use this half of each file, cut off before all else, as where two domains share a
            file. Both halves resize, crop and mirror alike under equal generators.
        bad: Files that were skipped when the folder was listed, with what is wrong with each.
        max_value: What is white in 16-bit gray files, in [1, 65535].

    Attributes:
        files: The files in use.
        masks: A folder of the masks of ``files``, in their order and resized as they are, whose
            images are not cropped; none to begin with. Not for halves.
        pair: This folder and another, both in color, whose images of equal indices are cropped and
            mirrored alike, and are of use together alone; see `make_pairs`. Empty to begin with.
        bad: Those skipped, the ones of `check_sizes` too, with what is wrong with each: file
            and reason make a sentence. Nothing that was listed is missing if ``max_images`` cuts
            the list, so there it starts empty.

    Raises:
        ValueError: A setting is out of range, or no image can hold the crop.
    """

    def __init__(
        self,
        files: Sequence[Path] | Rows,
        channels: int = 3,
        resize: int | None = 256,
        crop: tuple[int, int] | None = (256, 256),
        flip: bool = True,
        background: Color = (255, 255, 255),
        max_images: int | None = None,
        half: Half | None = None,
        bad: Mapping[Any, str] | None = None,
        max_value: int = FULL,
    ) -> None:
        if channels not in MODES:
            raise ValueError(f"channels is {channels}, but must be 1, 3 or 4")
        if resize is not None and resize < 1:
            raise ValueError(f"resize is {resize}, but must be at least 1, or None")
        if max_images is not None and max_images < 1:
            raise ValueError(f"max_images is {max_images}, but must be at least 1, or None")
        if half not in ("left", "right", None):
            raise ValueError(f"half is {half!r}, but must be 'left', 'right' or None")
        check_crop(resize, crop)
        used = files if max_images is None else files[:max_images]
        self.files = used if isinstance(used, Rows) else FileList.of(used)
        self.bad: dict[ImageFile, str] = dict(bad or {}) if len(self.files) == len(files) else {}
        self.channels = channels
        self.resize = resize
        self.crop = crop
        self.flip = flip
        self.background = background
        self.half = half
        self.max_value = max_value
        self.masks: ImageFolder | None = None
        self.pair: Sequence[ImageFolder] = ()

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int, rng: torch.Generator | None) -> Tensor:
        """Load one image, resized and cropped.

        Args:
            index: Which of the files.
            rng: Draws where the crop lies and whether the image is mirrored, for training: three
                numbers for a crop. A crop that is nearly of one color is drawn again. ``None``
                crops the center and never mirrors.

        Returns:
            ``(channels, height, width)`` in [-1, 1].

        Raises:
            OSError: The file cannot be read or decoded.
            BlankCrop: ``MAX_CROPS`` crops were drawn, each of nearly one color.
            ValueError: The image is smaller than the crop, too long to be resized, has no halves
                of equal width, or its pixels are of a kind without a known range.
        """
        return from_uint8(self.load_uint8(index, rng).x)

    def load_uint8(self, index: int, rng: torch.Generator | None) -> LoadedImage:
        """Load one image as `load` does, but as uint8 in [0, 255], and its mask if there are masks.

        Args:
            index: As of `load`.
            rng: As of `load`.

        Raises:
            OSError: As `load` does.
            ValueError: As `load` does.
        """
        if self.half is None:
            image = self.uncropped(index)
            checked = self._both(index, image) if self.pair else [image]
        else:
            image, checked = self._halved(index, rng)
        crop = self._crop(self.files[index], image, checked, rng)
        if self.masks is None:
            return LoadedImage(crop.cut(image))
        mask = mask_of(self.masks, index, self.files[index], (image.height, image.width))
        return LoadedImage(crop.cut(image), crop.cut(mask))

    def uncropped(self, index: int) -> Image.Image:
        """Return an image, resized but not cropped; not for halves.

        Raises:
            OSError: As `load` does.
            ValueError: As `load` does.
        """
        path = self.files[index]
        shortest = None if self.resize is None else _REDUCED_TO * self.resize
        decoded = read_reduced(path, self.channels, self.background, shortest, self.max_value)
        height, width = self._fitted_of(path, decoded.size)
        if decoded.image.size == (width, height):
            return decoded.image
        return decoded.image.resize((width, height), Image.Resampling.BILINEAR, decoded.box)

    def _halved(
        self, index: int, rng: torch.Generator | None
    ) -> tuple[Image.Image, list[Image.Image]]:
        """Return a half, resized, and the images that a crop must have contrast in.

        These are both halves, in color, whatever the half's channels: a crop drawn again for one
        half alone would tear a pair apart.
        """
        path = self.files[index]
        image = read_image(path, self.channels, self.background, self.max_value)
        size = self._fitted_of(path, (image.height, image.width))
        half = _half(image, self.half, size)
        if rng is None:
            return half, []
        if self.channels != 3:
            image = read_image(path, 3, self.background, self.max_value)
        return half, [_half(image, "left", size), _half(image, "right", size)]

    def _both(self, index: int, image: Image.Image) -> list[Image.Image]:
        """Return both images of a pair, of which ``image`` is this folder's."""
        both = [image if one is self else one.uncropped(index) for one in self.pair]
        first, second = ((one.height, one.width) for one in both)
        if first != second:
            raise ValueError(
                f"cannot use image {str(self.files[index])!r}: the images of its pair are resized "
                f"to {format_size(first)} and {format_size(second)}: make them of one shape"
            )
        return both

    def _crop(
        self,
        path: ImageFile,
        image: Image.Image,
        checked: Sequence[Image.Image],
        rng: torch.Generator | None,
    ) -> Crop:
        size = image.height, image.width
        if rng is None:
            return center_crop(size, self.crop or size)
        crop = draw_crop(checked, self.crop or size, self.flip, rng)
        if crop is None:
            raise BlankCrop(
                f"cannot use image {str(path)!r}: each of {MAX_CROPS} crops drawn is of one color"
            )
        return crop

    def check_sizes(self) -> None:
        """Leave out the images of `find_misfits`.

        Raises:
            ValueError: None is left.
        """
        self.leave_out(self.find_misfits())

    def find_misfits(self) -> dict[int, str]:
        """Return which images cannot be used as they are, and what is wrong with each.

        These are images that cannot hold the crop, are too long to be resized or have no halves of
        equal width. The files' headers are read at most, and none if the settings make each
        image hold the crop. Of more than ``_ROWS_LOOKED_AT`` rows of a table so many are, and the
        others if one of these cannot be used; what is not seen here is replaced when it is read.
        """
        fits_all = self.crop is None or (self.resize is not None and max(self.crop) <= self.resize)
        if fits_all and self.half is None:
            return {}
        few = isinstance(self.files, Rows) and len(self) > _ROWS_LOOKED_AT
        if few and not self._faults(range(0, len(self), len(self) // _ROWS_LOOKED_AT)):
            return {}
        return self._faults(range(len(self)))

    def leave_out(self, faults: Mapping[int, str]) -> None:
        """Move images, and their masks, from ``files`` to ``bad``.

        Args:
            faults: What is wrong with each image, by its index.

        Raises:
            ValueError: None is left.
        """
        if not faults:
            return
        bad: dict[ImageFile, str] = {self.files[i]: fault for i, fault in faults.items()}
        if len(faults) == len(self.files):
            first, fault = next(iter(bad.items()))
            raise ValueError(
                f"none of the {len(bad)} images can be used; the first: {str(first)!r} {fault}"
            )
        for folder in (self, self.masks):
            if folder is not None:
                folder.files = _without(folder.files, faults)
        self.bad |= bad

    def _faults(self, indices: range) -> dict[int, str]:
        """Return which images cannot be used as they are, and why."""
        faults = ((index, self._fault(self.files[index])) for index in indices)
        return {index: fault for index, fault in faults if fault is not None}

    def _fault(self, path: ImageFile) -> str | None:
        """Say in what way an image's header rules it out; None if it does not."""
        try:
            self._fitted_size(read_size(path))
        except OSError as error:
            cause = error.strerror or str(error).removeprefix(f"cannot read image {str(path)!r}: ")
            return f"cannot be read: {cause}"
        except ValueError as error:
            return str(error)
        return None

    def _fitted_of(self, path: ImageFile, size: tuple[int, int]) -> tuple[int, int]:
        try:
            return self._fitted_size(size)
        except ValueError as error:
            raise ValueError(f"cannot use image {str(path)!r}: it {error}") from error

    def _fitted_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return fitted_size(size, self.resize, self.crop, self.half)


def _without(files: FileList | Rows, places: Collection[int]) -> FileList | Rows:
    """Leave files out, by their places."""
    if isinstance(files, Rows):
        return files.without(places)
    return FileList.of([file for place, file in enumerate(files) if place not in places])


def _half(image: Image.Image, half: Half | None, size: tuple[int, int]) -> Image.Image:
    """Return a half of an image, resized to a height and width."""
    width = image.width // 2
    left = width if half == "right" else 0
    image = image.crop((left, 0, left + width, image.height))
    if (image.height, image.width) == size:
        return image
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
