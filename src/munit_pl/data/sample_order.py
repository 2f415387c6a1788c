"""The order of samples: a function of seed and position, never of what was read before."""

from functools import lru_cache

import torch
from torch import Tensor

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
