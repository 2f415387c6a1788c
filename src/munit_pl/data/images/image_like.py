"""Images as programs hold them: paths, Pillow's images, arrays, tensors."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.images.bit_depth import FULL
from munit_pl.data.images.reading import MODES, from_pillow, read_image
from munit_pl.data.images.tensors import from_uint8

PilLike: TypeAlias = str | os.PathLike[str] | Image.Image | npt.NDArray[Any]
ImageLike: TypeAlias = PilLike | Tensor


def as_pil_image(image: PilLike, channels: int, max_value: int = FULL) -> Image.Image:
    """Return an image as `read_image` would have read it from a file.

    Args:
        image: A path; an image of Pillow's, of any mode; or an array ``(H, W)``, ``(H, W, 1)``,
            ``(H, W, 3)`` (RGB) or ``(H, W, 4)``, of uint8 or of floats in [0, 1].
        channels: 1, 3 or 4; transparent pixels are laid over white, unless it is 4.
        max_value: What is white in 16-bit gray, in [1, 65535].

    Raises:
        OSError: A file cannot be read or decoded.
        TypeError: It is none of these.
        ValueError: An array has another shape, type or range, or pixels have no known range.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(Path(image), channels, max_value=max_value)
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    if not isinstance(image, Image.Image):
        raise TypeError(
            "an image is a path, an image of Pillow's, an array or a tensor, and not a "
            f"{type(image).__name__}; give several one by one, or as a tensor (N, C, H, W)"
        )
    return from_pillow(image, channels, max_value)


def as_list(images: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    """Return one image, or several, as a list.

    Raises:
        ValueError: There is none.
    """
    if isinstance(images, str | os.PathLike | Image.Image | np.ndarray | Tensor):
        return [images]
    if not images:
        raise ValueError("there is no image in the list")
    return list(images)


def as_batch(x: Tensor) -> Tensor:
    """Return a tensor ``(C, H, W)`` or ``(N, C, H, W)`` as float32 images ``(N, C, H, W)``.

    Args:
        x: Floats in [-1, 1], or uint8.

    Raises:
        ValueError: It has another shape, type or range.
    """
    if x.ndim not in (3, 4) or not x.numel():
        raise ValueError(f"a tensor is (C, H, W) or (N, C, H, W), but this one is {tuple(x.shape)}")
    batch = x if x.ndim == 4 else x[None]
    if batch.dtype == torch.uint8:
        return from_uint8(batch)
    if not batch.is_floating_point():
        raise ValueError(f"a tensor is of floats in [-1, 1] or of uint8, but this is {x.dtype}")
    low, high = (value.item() for value in batch.float().aminmax())
    if not (low >= -1.01 and high <= 1.01):  # nor NaN; a little more is rounding
        raise ValueError(
            f"a tensor's floats lie in [-1, 1], but these run from {low:.4g} to {high:.4g}"
        )
    return batch.float()


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    channels = 1 if array.ndim == 2 else array.shape[-1]
    if array.ndim not in (2, 3) or channels not in MODES or not array.size:
        raise ValueError(
            "an array is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), but this one is "
            f"{array.shape}; channels come last, unless it is a tensor"
        )
    if np.issubdtype(array.dtype, np.floating):
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= 1):  # nor NaN
            raise ValueError(
                f"an array's floats lie in [0, 1], but these run from {low:.4g} to {high:.4g}"
            )
        array = (255 * array).round().astype(np.uint8)
    if array.dtype != np.uint8:
        raise ValueError(f"an array is of uint8 or of floats in [0, 1], but this is {array.dtype}")
    return Image.fromarray(array[:, :, 0] if array.ndim == 3 and channels == 1 else array)
