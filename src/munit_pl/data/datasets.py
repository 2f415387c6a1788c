"""The order of samples: a function of seed and position, never of what was read before.

The domains are unpaired unless pairs are asked for, and then domain a's stream is that of both.
"""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from munit_pl.data.domain import Domain
from munit_pl.data.replacement import Sample, read_both, read_image_of
from munit_pl.data.sample_order import sample_at
from munit_pl.randomness import rng_for


class TrainingPairs(Dataset[tuple[Tensor, Tensor]]):
    """Images of both domains by position in an endless stream, each domain in its own order.

    Where an image cannot be used another is drawn, again as a function of seed and position; a pair
    is replaced by a pair.

    Args:
        a: Domain a.
        b: Domain b.
        seed: What order, crops and flips depend on, besides the position.
        paired: Equal indices show the same thing. Domain b then follows domain a's order, crops
            and flips.

    Raises:
        ValueError: If pairs are asked for of domains of different lengths.
    """

    def __init__(self, a: Domain, b: Domain, seed: int = 0, paired: bool = False) -> None:
        if paired and len(a) != len(b):
            raise ValueError(
                f"domain a has {len(a)} images and domain b {len(b)}, but pairs need as many of "
                "each: complete the pairs, or set paired to false"
            )
        self.a = a
        self.b = b
        self.seed = seed
        self.paired = paired

    def __len__(self) -> int:
        """Return the images of the longer domain: a pass over it is an epoch."""
        return max(len(self.a), len(self.b))

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        return self.read(position)[:2]

    def read(self, position: int) -> Sample:
        """Return the images at a position, and which files were passed over for them.

        Raises:
            DataError: If none that is drawn there can be used.
        """
        stream_b = "a" if self.paired else "b"

        def load_a(attempt: int) -> Tensor:
            return self._load("a", self.a, "a", position, attempt)

        def load_b(attempt: int) -> Tensor:
            return self._load("b", self.b, stream_b, position, attempt)

        return read_both(load_a, load_b, self.paired)

    def _load(self, name: str, domain: Domain, stream: str, position: int, attempt: int) -> Tensor:
        if attempt == 0:
            index = sample_at(position, len(domain), stream, self.seed)
            rng = rng_for(self.seed, "augment", stream, position)
        else:
            rng = rng_for(self.seed, "substitute", stream, position, attempt)
            index = int(torch.randint(len(domain), (), generator=rng))
        return read_image_of(domain, name, index, rng, position)


class ValidationPairs(Dataset[tuple[Tensor, Tensor]]):
    """Images of both domains in the order of the files, unaugmented; the shorter starts again.

    The next image takes the place of one that cannot be used.

    Args:
        a: Domain a.
        b: Domain b.
        paired: Equal indices show the same thing, so a pair is replaced by a pair.
    """

    def __init__(self, a: Domain, b: Domain, paired: bool = False) -> None:
        self.a = a
        self.b = b
        self.paired = paired

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.read(index)[:2]

    def read(self, index: int) -> Sample:
        """Return the images at an index, and which files were passed over for them.

        Raises:
            DataError: If none can be used.
        """

        def load_a(attempt: int) -> Tensor:
            return read_image_of(self.a, "a", (index + attempt) % len(self.a), None, index)

        def load_b(attempt: int) -> Tensor:
            return read_image_of(self.b, "b", (index + attempt) % len(self.b), None, index)

        return read_both(load_a, load_b, self.paired)
