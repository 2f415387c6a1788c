"""Conversion to sRGB from the color profile that an image carries."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # Pillow's, by a profile's own names
_NEAR = 1  # levels: a profile that moves no color by more is sRGB, written with other roundings


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert an 8-bit image to sRGB; transparency stays as it is.

    Args:
        image: Gray, RGB or CMYK, with or without alpha, or with a palette.
        profile: Its ICC profile. An empty or broken one, or one of another kind of image, counts as
            sRGB.

    Returns:
        The image itself, if nothing changes; else a gray or RGB one.
    """
    plain = {"LA": "L", "RGBA": "RGB", "P": "RGB", "PA": "RGB"}.get(image.mode, image.mode)
    transform = _transform(profile, plain) if profile else None
    if transform is None:
        return image
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    converted = ImageCms.applyTransform(image.convert(plain), transform)
    assert converted is not None  # it is, unless the image is changed in place
    if plain == "L":
        converted = converted.convert("L")
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from a profile to sRGB; None if it would change nothing."""
    try:
        source = ImageCms.getOpenProfile(BytesIO(profile))
        if _MODES.get(source.profile.xcolor_space) != mode:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    if mode == "CMYK":
        return transform
    probe = _probe(mode)
    moved = ImageCms.applyTransform(probe, transform)
    assert moved is not None
    change = np.abs(np.asarray(moved, int) - np.asarray(probe.convert("RGB"), int))
    return transform if change.max() > _NEAR else None


def _probe(mode: str) -> Image.Image:
    """Return an image of colors from everywhere in a cube, or of all grays."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1)
    return Image.fromarray(cube.reshape(16, 256, 3))
