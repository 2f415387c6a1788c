"""Style codes drawn from the prior, interpolated, and edited."""

from collections.abc import Mapping

import torch
from torch import Tensor

from munit_pl.randomness import rng_for


def random_styles(k: int, style_dim: int, seed: int, *where: int | str) -> Tensor:
    """Draw styles from N(0, I), each a function of its number, the seed and ``where``.

    Args:
        k: How many. The first of many are the same as the first of few.
        style_dim: Length of a style code.
        seed: Another seed gives other styles.
        *where: Further parts of the seed, such as a file's name, for styles of its own.

    Returns:
        Styles, float32 ``(k, style_dim)``.
    """
    places = (rng_for(seed, "styles", *where, i) for i in range(k))
    return torch.stack([torch.randn(style_dim, generator=rng) for rng in places])


def slerp(start: Tensor, end: Tensor, fractions: Tensor) -> Tensor:
    """Interpolate spherically between two styles (Shoemake, 1985).

    Styles drawn from N(0, I) have about the same norm. Linear interpolation would pass through
    smaller norms, which the decoder was not trained on.

    Args:
        start: A style, ``(style_dim,)``.
        end: Another. If both are parallel, interpolation is linear.
        fractions: Positions between them, ``(F,)``: 0 is ``start``, 1 is ``end``.

    Returns:
        Styles, ``(F, style_dim)``.
    """
    cosine = torch.cosine_similarity(start, end, dim=0).clamp(-1, 1)
    if 1 - cosine.abs() < 1e-6:
        return torch.lerp(start, end, fractions[:, None].to(start))
    angle = cosine.acos()
    weights = torch.stack([(1 - fractions) * angle, fractions * angle], 1).sin() / angle.sin()
    return weights.to(start) @ torch.stack([start, end])


def edit(styles: Tensor, values: Mapping[int, float]) -> Tensor:
    """Return a copy of ``styles``, ``(K, style_dim)``, with some dimensions set to given values.

    Raises:
        ValueError: If there is no such dimension.
    """
    edited = styles.clone()
    for dimension, value in values.items():
        _check_dimension(dimension, styles)
        edited[:, dimension] = value
    return edited


def sweep(style: Tensor, dimension: int, values: Tensor) -> Tensor:
    """Return ``style``, ``(style_dim,)``, with one dimension set to each of ``values`` ``(F,)``.

    Raises:
        ValueError: If there is no such dimension.
    """
    _check_dimension(dimension, style)
    swept = style.expand(len(values), -1).clone()
    swept[:, dimension] = values
    return swept


def _check_dimension(dimension: int, style: Tensor) -> None:
    if not 0 <= dimension < style.shape[-1]:
        raise ValueError(
            f"there is no style dimension {dimension}: this model's run from 0 to "
            f"{style.shape[-1] - 1}"
        )
