"""A domain's images as bytes, which loaders hand over."""

import torch

from munit_pl.data.domain import LoadedImage
from munit_pl.data.file_list import FileList
from munit_pl.data.huggingface.rows import Rows
from munit_pl.data.image_folder import ImageFolder


class Uint8Images:
    """An image folder's images as uint8 tensors in [0, 255], with their masks if it has masks.

    They are cropped and mirrored where they are decoded: what is cut off then need not be sent, and
    a crop of one color has to be known there, for another image to replace it.

    Args:
        images: The folder.
    """

    def __init__(self, images: ImageFolder) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    @property
    def files(self) -> FileList | Rows:
        """The files in use."""
        return self.images.files

    def load(self, index: int, rng: torch.Generator | None) -> LoadedImage:
        """Load one image, as `ImageFolder.load_uint8` does."""
        return self.images.load_uint8(index, rng)
