"""The order of samples: a function of seed and position, never of what was read before.

The domains are unpaired unless pairs are asked for, and then domain a's stream is that of both.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count, islice

import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from munit_pl.data.substitutes import Domain as Domain
from munit_pl.data.substitutes import Sample, read_both, read_image_of
from munit_pl.randomness import rng_for


@lru_cache(maxsize=8)  # two domains, each on its way from one pass to the next, and some room
def _permutation(seed: int, domain: str, n: int, passed: int) -> Tensor:
    return torch.randperm(n, generator=rng_for(seed, "order", domain, passed))


def sample_at(position: int, n: int, domain: str, seed: int) -> int:
    """Return which of a domain's ``n`` images is read at a position of its endless stream.

    Each pass over the domain has a permutation of its own, from a stream of its own, so equal
    lengths or file names pair nothing.
    """
    passed, place = divmod(position, n)
    return int(_permutation(seed, domain, n, passed)[place])


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


class StreamSampler(DistributedSampler[int]):
    """One process's positions in the endless stream, from the current iteration on.

    It asks for the iteration each time it starts and keeps no count of its own, so a resumed run
    goes on where the interrupted one was, in the middle of an epoch or not. The batches of all
    processes together are the next positions of the stream, however many processes there are.
    It is a `DistributedSampler` for Lightning to leave it in place.

    Args:
        pairs: The stream.
        batch_size: Samples of one process in one iteration.
        iteration: Returns the number of iterations done.
        num_replicas: Number of processes.
        rank: This process.

    Attributes:
        ahead: By how many iterations it starts before its time.
    """

    def __init__(
        self,
        pairs: TrainingPairs,
        batch_size: int,
        iteration: Callable[[], int],
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        super().__init__(pairs, num_replicas=num_replicas, rank=rank, shuffle=False)
        self.batch_size = batch_size
        self.iteration = iteration
        self.ahead = 0
        at_once = batch_size * num_replicas
        self.iterations_per_epoch = -(-len(pairs) // at_once)

    def __len__(self) -> int:
        return self.iterations_per_epoch * self.batch_size

    def __iter__(self) -> Iterator[int]:
        return islice(self._positions(self.iteration() + self.ahead), len(self))

    def _positions(self, first: int) -> Iterator[int]:
        for iteration in count(first):
            start = (iteration * self.num_replicas + self.rank) * self.batch_size
            yield from range(start, start + self.batch_size)
