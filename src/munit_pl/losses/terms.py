"""Terms of an objective, by name: one value for each domain."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from munit_pl.layers.autocast import to_float32

Terms = dict[str, Tensor]


class Discriminator(Protocol):
    """One domain's discriminator, at several scales."""

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Return logits, one map per scale."""

    def score_batches(self, *batches: Tensor) -> list[list[Tensor]]:
        """Return the logits of each of several batches."""


def total(terms: Terms, weights: Mapping[str, float] | tuple[float, ...]) -> Tensor:
    """Return the sum of ``terms`` over both domains, weighted by name: equation 5.

    Args:
        terms: The terms.
        weights: Their weights by name; also as a named tuple.
    """
    by_name: Any = weights if isinstance(weights, Mapping) else cast(Any, weights)._asdict()
    weighted = [by_name[term] * pair.sum() for term, pair in terms.items()]
    return torch.stack(weighted).sum()


def l1(x: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference, summed in fp32 under mixed precision."""
    return F.l1_loss(to_float32(x), to_float32(target))
