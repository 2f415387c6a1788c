"""The order of samples: a function of seed and position, never of what was read before.

The domains are unpaired unless pairs are asked for, and then domain a's stream is that of both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import torch
from torch import Tensor

from munit_pl.data.replacement import Candidate
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


@dataclass(frozen=True)
class StreamCandidates:
    """The image at a position of a domain's stream, then those that are drawn to replace it.

    Attributes:
        n: Images of the domain.
        stream: Whose order and augmentation it follows.
        seed: What these depend on, besides the position.
        position: In the stream.
    """

    n: int
    stream: str
    seed: int
    position: int

    def __iter__(self) -> Iterator[Candidate]:
        index = sample_at(self.position, self.n, self.stream, self.seed)
        yield Candidate(index, rng_for(self.seed, "augment", self.stream, self.position))
        for attempt in count(1):
            rng = rng_for(self.seed, "substitute", self.stream, self.position, attempt)
            yield Candidate(int(torch.randint(self.n, (), generator=rng)), rng)
