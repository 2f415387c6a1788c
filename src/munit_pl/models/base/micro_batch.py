"""Batches in parts, whose gradients are added up before each step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from munit_pl.models.base.objective import Images

Batch = Sequence[Tensor]  # x_a and x_b; from data with masks also m_a and m_b


@dataclass
class MicroBatch:
    """A part of a batch, on its way through both updates of an iteration.

    Attributes:
        images: The images of both domains.
        draws: The method's and its recipes' random numbers for these images, each ``(N, ...)``.
        fraction: The part's share of the batch.
        is_whole_batch: Whether it is the whole batch, so that what the first update computes may
            stay in memory for the second.
        cached: What the first update leaves for the second to use again.
        statistics: What the updates measure for after both, without a graph.
    """

    images: Images
    draws: Mapping[str, Tensor]
    fraction: float = 1.0
    is_whole_batch: bool = True
    cached: Any = None
    statistics: dict[str, Tensor] = field(default_factory=dict)


def split(
    images: Images, draws: Mapping[str, Tensor], parts: int, alone: bool = True
) -> list[MicroBatch]:
    """Split a batch and its random numbers.

    Args:
        images: The images.
        draws: The random numbers, each ``(N, ...)``.
        parts: Of how many images as nearly the same as can be.
        alone: Whether one part counts as a whole batch.
    """
    x_a, x_b = images
    parts = min(parts, len(x_a))  # where nobody has checked
    # Not into chunks, of which there may be fewer: 4 images would make 2 for 3 parts.
    split_a, split_b = x_a.tensor_split(parts), x_b.tensor_split(parts)
    pairs = [Images(*pair) for pair in zip(split_a, split_b, strict=True)]
    chunks = {name: values.tensor_split(parts) for name, values in draws.items()}
    return [
        MicroBatch(
            pair,
            {name: values[i] for name, values in chunks.items()},
            fraction=len(pair.x_a) / len(x_a),
            is_whole_batch=alone and len(pairs) == 1,
        )
        for i, pair in enumerate(pairs)
    ]
