"""What is evaluated: a model, and the images that it is evaluated on."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from munit_pl.data.domain import Domain, DomainName
from munit_pl.data.file_identity import files_of
from munit_pl.inference.translator import Translator
from munit_pl.randomness import rng_for


class Direction(NamedTuple):
    """From which domain to which."""

    source: DomainName
    target: DomainName

    def __str__(self) -> str:
        return f"{self.source}2{self.target}"


DOMAINS: tuple[DomainName, DomainName] = ("a", "b")
DIRECTIONS = (Direction("a", "b"), Direction("b", "a"))


@dataclass(frozen=True)
class EvaluationTask:
    """A model and its data, of which each process takes its share.

    Args:
        translator: The model.
        train: Training images of domains a and b.
        test: Test images of domains a and b.
        seed: Where random styles and pairs come from.
        rank: This process: it takes every ``world_size``-th image, from this one on.
        world_size: How many processes there are.
        paired: Equal places in the test domains show the same thing, as in edges and their photos.
        progress: Show on the terminal how far it is.
        real_features: What a network makes of real images, by split, domain and place: kept by a
            caller who evaluates again, since they stay the same.
    """

    translator: Translator
    train: tuple[Domain, Domain]
    test: tuple[Domain, Domain]
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    paired: bool = False
    progress: bool = False
    real_features: dict[tuple[str, DomainName, int], tuple[Tensor, Tensor]] | None = None

    @property
    def device(self) -> torch.device:
        """Where metrics keep their sums: they need float64, which Apple's GPUs lack."""
        device = self.translator.device
        return device if device.type == "cuda" else torch.device("cpu")

    def test_images(self, domain: DomainName, n: int | None = None) -> Domain:
        """Return a domain's test images, of which ``n`` are there for the processes to share.

        Raises:
            ValueError: If there are fewer, or fewer than processes.
        """
        images = self.test[DOMAINS.index(domain)]
        if n is not None and len(images) < n:
            there = len(images)
            raise ValueError(
                f"the protocol takes {n} test images of domain {domain}, but there are {there}: "
                f"limit it (--limit {there}; in training callbacks.evaluate.limit={there}), and "
                "the report will say so"
            )
        if (shared := len(images) if n is None else n) < self.world_size:
            raise ValueError(
                f"{self.world_size} processes cannot share {shared} test images of domain "
                f"{domain}: start {shared} at most"
            )
        return images

    def train_images(self, domain: DomainName) -> Domain:
        """Return a domain's training images."""
        return self.train[DOMAINS.index(domain)]

    def has_test_images(self, domain: DomainName) -> bool:
        """Return whether a domain's test images are others than its training images."""
        train, test = files_of(self.train_images(domain)), files_of(self.test_images(domain))
        return not train or train != test

    def share(self, n: int, what: str) -> Iterable[int]:
        """Return which of ``n`` samples this process takes; ``what`` is shown meanwhile."""
        hidden = None if self.progress and self.rank == 0 else True  # None: unless in a terminal
        return tqdm(range(self.rank, n, self.world_size), what, disable=hidden, leave=False)

    def in_order(self, values: Tensor) -> list[float]:
        """Return one value of each sample, as gathered process by process, in samples' order."""
        n = len(values)
        processes = [range(rank, n, self.world_size) for rank in range(self.world_size)]
        places = torch.tensor([i for share in processes for i in share])
        return values.cpu()[places.argsort()].tolist()

    def choose(self, n: int, k: int, *where: int | str) -> list[int]:
        """Draw ``k`` of ``n`` indices at random, none again before all were drawn."""
        rng = rng_for(self.seed, "choose", *where)
        rounds = [torch.randperm(n, generator=rng) for _ in range(-(-k // n))]
        return torch.cat(rounds)[:k].tolist()
