"""Crops and flips: from the center, or drawn so that a crop is more than one color."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.images.contrast import Box, has_contrast
from munit_pl.data.images.tensors import pil_to_tensor

MAX_CROPS = 10  # drawn of one image


class BlankCrop(ValueError):
    """Every crop that was drawn from an image is nearly of one color.

    A discriminator's gradient of such an image may be beyond any number.
    """


class Crop(NamedTuple):
    """Which part of an image is used, and whether mirrored; it is the same for the image's mask.

    Attributes:
        box: Left, top, right and bottom, in pixels.
        flip: Whether it is mirrored left to right.
    """

    box: Box
    flip: bool = False

    def cut(self, image: Image.Image) -> Tensor:
        """Return this part of an image as uint8, ``(C, H, W)`` in [0, 255]."""
        part = image.crop(self.box)
        return pil_to_tensor(part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.flip else part)


def center_crop(size: tuple[int, int], crop: tuple[int, int]) -> Crop:
    """Return the crop from the center of an image; both sizes are height and width."""
    height, width = crop
    top, left = round((size[0] - height) / 2), round((size[1] - width) / 2)
    return Crop((left, top, left + width, top + height))


def draw_crop(
    images: Sequence[Image.Image], crop: tuple[int, int], flip: bool, rng: torch.Generator
) -> Crop | None:
    """Draw a crop that has contrast in all of several images of one size.

    Args:
        images: The images.
        crop: Height and width.
        flip: Whether half of the crops are mirrored.
        rng: Gives three numbers for each crop.

    Returns:
        The first of ``MAX_CROPS`` that has; None if none has.
    """
    height, width = crop
    down, across = images[0].height - height + 1, images[0].width - width + 1
    for _ in range(MAX_CROPS):
        # Three draws whatever the settings, so that they do not change each other's.
        y, x, side = torch.rand(3, generator=rng, dtype=torch.float64).tolist()
        top, left = int(y * down), int(x * across)
        box = (left, top, left + width, top + height)
        if all(has_contrast(image, box) for image in images):
            return Crop(box, flip and side < 0.5)
    return None
