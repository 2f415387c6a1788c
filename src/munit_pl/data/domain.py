"""A domain: images by their index, whether they are files or drawn."""

from typing import Literal, Protocol

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
