"""One domain's images, resized and cropped to what the networks take."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.images import MODES, Colour, read_image, read_size, to_tensor

Half = Literal["left", "right"]


class ImageFolder:
    """One domain's image files, loaded as tensors ``(channels, height, width)`` in [-1, 1].

    Args:
        files: The images' paths.
        channels: 1 for grey, 3 for RGB, 4 for RGB and alpha.
        resize: Pixels of the shortest side after resizing; ``None`` keeps the size.
        crop: Height and width cut out after resizing, in pixels; ``None`` keeps the whole image,
            so that images may differ in size.
        flip: Whether half of the training images are mirrored left to right.
        background: What shows through transparent pixels, red, green and blue in [0, 255].
        max_images: Use this many files, the first ones; ``None`` uses all.
        half: Use this half of each file, cut off before all else, as where two domains share a
            file. Both halves resize, crop and mirror alike under equal generators.

    Raises:
        ValueError: A setting is out of range, or no image can hold the crop.
    """

    def __init__(
        self,
        files: Sequence[Path],
        channels: int = 3,
        resize: int | None = 256,
        crop: tuple[int, int] | None = (256, 256),
        flip: bool = True,
        background: Colour = (255, 255, 255),
        max_images: int | None = None,
        half: Half | None = None,
    ) -> None:
        if channels not in MODES:
            raise ValueError(f"channels is {channels}, but must be 1, 3 or 4")
        if resize is not None and resize < 1:
            raise ValueError(f"resize is {resize}, but must be at least 1, or None")
        if crop is not None and min(crop) < 1:
            raise ValueError(f"crop is {_by(crop)}, but both sides must be at least 1")
        if max_images is not None and max_images < 1:
            raise ValueError(f"max_images is {max_images}, but must be at least 1, or None")
        if half not in ("left", "right", None):
            raise ValueError(f"half is {half!r}, but must be 'left', 'right' or None")
        if resize is not None and crop is not None and min(crop) > resize:
            raise ValueError(
                f"crop {_by(crop)} does not fit an image whose shortest side is resized to "
                f"{resize}: set resize to {max(crop)} or more, or choose a smaller crop"
            )
        self.files = list(files[:max_images])
        self.channels = channels
        self.resize = resize
        self.crop = crop
        self.flip = flip
        self.background = background
        self.half = half

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int, rng: torch.Generator | None) -> Tensor:
        """Load one image, resized and cropped.

        Args:
            index: Which of the files.
            rng: Draws where the crop lies and whether the image is mirrored, for training; the
                number of draws is always the same. ``None`` crops the centre and never mirrors.

        Returns:
            ``(channels, height, width)`` in [-1, 1].

        Raises:
            OSError: The file cannot be read or decoded.
            ValueError: The image is smaller than the crop, or has no halves of equal width.
        """
        path = self.files[index]
        image = read_image(path, self.channels, self.background)
        original = self._halved(path, (image.height, image.width))
        if self.half is not None:
            left = original[1] if self.half == "right" else 0
            image = image.crop((left, 0, left + original[1], original[0]))
        size = self._resized(original)
        if not self._holds_crop(size):
            raise ValueError(self._too_small([(path, original)]))
        if size != original:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        return to_tensor(self._cropped(image, rng))

    def check_sizes(self) -> None:
        """Make sure that every image can hold the crop, reading the files' headers at most.

        Raises:
            OSError: A header cannot be read.
            ValueError: Some images are smaller than the crop; the first three are named. Or one
                has no halves of equal width.
        """
        fits_all = self.crop is None or (self.resize is not None and max(self.crop) <= self.resize)
        if fits_all and self.half is None:
            return
        sizes = ((path, self._halved(path, read_size(path))) for path in self.files)
        small = (entry for entry in sizes if not self._holds_crop(self._resized(entry[1])))
        if first := list(islice(small, 3)):
            raise ValueError(self._too_small(first))

    def _halved(self, path: Path, size: tuple[int, int]) -> tuple[int, int]:
        """Return the height and width of what is used of an image."""
        if self.half is None:
            return size
        height, width = size
        if width % 2:
            raise ValueError(
                f"{str(path)!r} is {_by(size)} (height x width), but two images of equal width "
                "side by side have an even width: correct or remove it"
            )
        return height, width // 2

    def _resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the height and width after resizing, rounded as torchvision's resize does."""
        if self.resize is None:
            return size
        height, width = size
        if height <= width:
            return self.resize, int(self.resize * width / height)
        return int(self.resize * height / width), self.resize

    def _holds_crop(self, size: tuple[int, int]) -> bool:
        return self.crop is None or (size[0] >= self.crop[0] and size[1] >= self.crop[1])

    def _too_small(self, images: list[tuple[Path, tuple[int, int]]]) -> str:
        assert self.crop is not None
        of_half = "" if self.half is None else f"the {self.half} half of "
        named = ", ".join(
            f"{of_half}{str(path)!r} is {_by(size)}"
            + ("" if self.resize is None else f", resized {_by(self._resized(size))}")
            for path, size in images
        )
        return (
            f"crop {_by(self.crop)} (height x width) does not fit: {named}; set resize to "
            f"{max(self.crop)} or more, choose a smaller crop, or remove such images"
        )

    def _cropped(self, image: Image.Image, rng: torch.Generator | None) -> Image.Image:
        height, width = self.crop or (image.height, image.width)
        spare_height, spare_width = image.height - height, image.width - width
        if rng is None:
            top, left, mirrored = round(spare_height / 2), round(spare_width / 2), False
        else:
            # Three draws whatever the settings, so that they do not change each other's.
            down, along, side = torch.rand(3, generator=rng, dtype=torch.float64).tolist()
            top, left = int(down * (spare_height + 1)), int(along * (spare_width + 1))
            mirrored = self.flip and side < 0.5
        image = image.crop((left, top, left + width, top + height))
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else image


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
