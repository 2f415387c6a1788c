"""The order of samples: a function of seed and position, never of what was read before.

The domains are unpaired unless pairs are asked for, and then domain a's stream is that of both.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count, islice
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from munit_pl.randomness import generator


class Domain(Protocol):
    """One domain's images."""

    def __len__(self) -> int:
        """Return how many there are."""

    def load(self, index: int, rng: torch.Generator | None) -> Tensor:
        """Return one, ``(C, H, W)`` in [-1, 1], augmented by ``rng`` or not at all."""


@lru_cache(maxsize=8)  # two domains, each on its way from one pass to the next, and some room
def _permutation(seed: int, domain: str, n: int, passed: int) -> Tensor:
    return torch.randperm(n, generator=generator(seed, "order", domain, passed))


def sample_at(position: int, n: int, domain: str, seed: int) -> int:
    """Return which of a domain's ``n`` images is read at a position of its endless stream.

    Each pass over the domain has a permutation of its own, from a stream of its own, so equal
    lengths or file names pair nothing.
    """
    passed, place = divmod(position, n)
    return int(_permutation(seed, domain, n, passed)[place])


class TrainingPairs(Dataset[tuple[Tensor, Tensor]]):
    """Images of both domains by position in an endless stream, each domain in its own order.

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
        self.streams = ("a", "a") if paired else ("a", "b")

    def __len__(self) -> int:
        """Return the images of the longer domain: a pass over it is an epoch."""
        return max(len(self.a), len(self.b))

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        a, b = self.streams
        return self._load(self.a, a, position), self._load(self.b, b, position)

    def _load(self, domain: Domain, stream: str, position: int) -> Tensor:
        index = sample_at(position, len(domain), stream, self.seed)
        return domain.load(index, generator(self.seed, "augment", stream, position))


class ValidationPairs(Dataset[tuple[Tensor, Tensor]]):
    """Images of both domains in the order of the files, unaugmented; the shorter starts again.

    Args:
        a: Domain a.
        b: Domain b.
    """

    def __init__(self, a: Domain, b: Domain) -> None:
        self.a = a
        self.b = b

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.a.load(index % len(self.a), None), self.b.load(index % len(self.b), None)


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
        at_once = batch_size * num_replicas
        self.iterations_per_epoch = -(-len(pairs) // at_once)

    def __len__(self) -> int:
        return self.iterations_per_epoch * self.batch_size

    def __iter__(self) -> Iterator[int]:
        return islice(self._positions(self.iteration()), len(self))

    def _positions(self, first: int) -> Iterator[int]:
        for iteration in count(first):
            start = (iteration * self.num_replicas + self.rank) * self.batch_size
            yield from range(start, start + self.batch_size)
