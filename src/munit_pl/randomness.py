"""Random numbers as a function of where they are used, never of what was drawn before.

A run that is resumed, split over more processes or read by more workers draws the same numbers
in the same places, because each place has a generator of its own.
"""

import hashlib

import torch


def rng_for(seed: int, *key: int | str) -> torch.Generator:
    """Return the CPU generator that belongs to one place.

    Args:
        seed: The run's seed.
        *key: What names the place, such as a stream's name and a sample's position.

    Returns:
        A fresh generator; equal arguments give equal numbers, on any machine and in any process.
    """
    text = repr((seed, *key)).encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big", signed=True))
