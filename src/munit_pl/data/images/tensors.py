"""Images as tensors ``(C, H, W)`` in [-1, 1], or as uint8 in [0, 255], and back.

C is 1 for gray, 3 for RGB, 4 for RGB and alpha.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.images.reading import MODES


def to_tensor(image: Image.Image) -> Tensor:
    """Turn a gray, RGB or RGBA image into a float32 tensor ``(C, H, W)`` in [-1, 1]."""
    return from_uint8(pil_to_tensor(image))


def pil_to_tensor(image: Image.Image) -> Tensor:
    """Turn a gray, RGB or RGBA image into a uint8 tensor ``(C, H, W)`` in [0, 255]."""
    if image.mode not in MODES.values():
        raise ValueError(f"an image of mode {image.mode} is none of {', '.join(MODES.values())}")
    pixels = torch.from_numpy(np.array(image))
    channels_last = pixels if pixels.ndim == 3 else pixels[:, :, None]
    return channels_last.permute(2, 0, 1).contiguous()


def from_uint8(x: Tensor) -> Tensor:
    """Turn uint8 images ``(..., C, H, W)`` in [0, 255] into float32 in [-1, 1], on any device.

    All devices come to the same numbers.
    """
    # By a number CUDA would multiply with the inverse, which is rounded; by a tensor it divides.
    return x.float().div_(torch.full((), 127.5, dtype=torch.float32, device=x.device)).sub_(1)


def to_uint8(x: Tensor) -> Tensor:
    """Turn images ``(..., C, H, W)`` in [-1, 1] into uint8 in [0, 255], as they are saved.

    Values outside the range are cut off; nothing is stretched.
    """
    return x.float().clamp(-1, 1).add(1).mul(127.5).round().byte()


def to_pil_image(x: Tensor) -> Image.Image:
    """Return an image ``(C, H, W)`` in [-1, 1] as a picture; 1, 3 or 4 channels."""
    pixels = to_uint8(x.float().cpu()).permute(1, 2, 0).numpy()
    return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
