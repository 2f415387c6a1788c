"""The contrast of an image, or of a crop, and its colors: a single one cannot be trained on."""

import numpy as np
from PIL import Image, ImageChops

Box = tuple[int, int, int, int]  # left, top, right, bottom

_GRAY = 16  # of 255: how far a gray pixel's channels may lie apart, as JPEG makes them
BLANK = 2  # gray levels: with fewer in each channel an image is of one color


def has_contrast(image: Image.Image, box: Box) -> bool:
    """Return whether a part of an image is more than one color."""
    left, top, right, bottom = box
    middle = (top + bottom) // 2
    # One row that has contrast spares a look at all of them.
    parts = ((left, middle, right, middle + 1), box)
    return any(levels(image.crop(part)) >= BLANK for part in parts)


def levels(image: Image.Image) -> int:
    """Return how far the darkest and the brightest pixel lie apart, where a channel has most.

    Returns:
        Gray levels, 0 to 255, of an image of 8 bits a channel.
    """
    return int(np.ptp(np.reshape(image.getextrema(), (-1, 2)), axis=1).max())


def has_color(image: Image.Image) -> bool:
    """Return whether any pixel of an RGB image is more than gray."""
    red, green, blue = image.split()
    apart = (ImageChops.difference(red, green), ImageChops.difference(green, blue))
    return any(int(np.max(difference.getextrema())) > _GRAY for difference in apart)
