"""Samples of both domains as data sets: a stream for training, the test images in order."""

from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from munit_pl.data.domain import SampleDomain
from munit_pl.data.replacement import Source, candidates_from, first_readable
from munit_pl.data.sample_order import StreamCandidates
from munit_pl.data.skipped_files import BadFile


class Sample(NamedTuple):
    """What is read at a position.

    Attributes:
        x_a: An image of domain a, ``(C, H, W)`` in [-1, 1], or uint8 in [0, 255].
        x_b: One of domain b.
        mask_a: The mask of ``x_a``, ``(1, H, W)`` in [0, 1], or uint8 in [0, 255]; None without.
        mask_b: That of ``x_b``.
        skipped: The files that could not be used, which others replaced.
    """

    x_a: Tensor
    x_b: Tensor
    mask_a: Tensor | None
    mask_b: Tensor | None
    skipped: list[BadFile]


class TrainingPairs(Dataset[Sample]):
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

    def __init__(
        self, a: SampleDomain, b: SampleDomain, seed: int = 0, paired: bool = False
    ) -> None:
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

    def __getitem__(self, position: int) -> Sample:
        """Return the sample at a position.

        Raises:
            DataError: If none that is drawn there can be used.
        """
        stream_b = "a" if self.paired else "b"
        of_a = StreamCandidates(len(self.a), "a", self.seed, position)
        of_b = StreamCandidates(len(self.b), stream_b, self.seed, position)
        sources = Source(self.a, "a", of_a), Source(self.b, "b", of_b)
        return _read(sources, position, self.paired)


class ValidationPairs(Dataset[Sample]):
    """Images of both domains in the order of the files, unaugmented; the shorter starts again.

    The next image takes the place of one that cannot be used.

    Args:
        a: Domain a.
        b: Domain b.
        paired: Equal indices show the same thing, so a pair is replaced by a pair.
    """

    def __init__(self, a: SampleDomain, b: SampleDomain, paired: bool = False) -> None:
        self.a = a
        self.b = b
        self.paired = paired

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __getitem__(self, index: int) -> Sample:
        """Return the sample at an index.

        Raises:
            DataError: If none can be used.
        """
        of_a, of_b = candidates_from(index, len(self.a)), candidates_from(index, len(self.b))
        sources = Source(self.a, "a", of_a), Source(self.b, "b", of_b)
        return _read(sources, index, self.paired)


def _read(sources: tuple[Source, Source], position: int, paired: bool) -> Sample:
    """Read both domains' images, together if they are a pair, each on its own otherwise."""
    if paired:
        (a, b), skipped = first_readable(sources, position)
    else:
        (a,), skipped_a = first_readable(sources[:1], position)
        (b,), skipped_b = first_readable(sources[1:], position)
        skipped = skipped_a + skipped_b
    return Sample(a.x, b.x, a.mask, b.mask, skipped)
