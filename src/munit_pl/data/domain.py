"""A domain: images by their index, whether they are files or drawn."""

from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

DomainName = Literal["a", "b"]
Split = Literal["train", "test"]


class Domain(Protocol):
    """One domain's images."""

    def __len__(self) -> int:
        """Return how many there are."""

    def load(self, index: int, rng: torch.Generator | None) -> Tensor:
        """Return one, ``(C, H, W)`` in [-1, 1], augmented by ``rng`` or not at all.

        Raises:
            OSError: If it cannot be read.
            ValueError: If it cannot be used.
        """


class LoadedImage(NamedTuple):
    """An image as a sample has it.

    Attributes:
        x: ``(C, H, W)`` in [-1, 1], or uint8 in [0, 255].
        mask: ``(1, H, W)`` in [0, 1], or uint8 in [0, 255], cropped and flipped as the image is: 0
            where a translation must not change it. None without masks.
    """

    x: Tensor
    mask: Tensor | None = None


class SampleDomain(Protocol):
    """One domain's images as samples are made of them: what a `Domain` is, or with masks."""

    def __len__(self) -> int:
        """Return how many there are."""

    def load(self, index: int, rng: torch.Generator | None) -> Tensor | LoadedImage:
        """Return one, as a `Domain` does."""
