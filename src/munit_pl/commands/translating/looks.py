"""Which styles a run shows its inputs in, what each is called, and how it came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import Tensor

from munit_pl.commands.errors import InputError
from munit_pl.commands.translating.sources import tell_apart
from munit_pl.inference.styles import edit, random_styles, slerp, sweep
from munit_pl.io.files import digest

How = dict[str, Any]  # what JSON can say


@dataclass(frozen=True)
class Look:
    """A style with a name.

    Attributes:
        label: The name, without an underscore: in a file's name it follows the last one.
        how: All that the style depends on. Equal ways give equal styles, but for the rounding of
            another device or batch, so that a later run knows its own work by them.
        style: ``(style_dim,)``, or none for each input's own.
    """

    label: str
    how: How
    style: Tensor | None


OWN = Look("reconstruction", {"own": True}, None)


def random_looks(k: int, style_dim: int, seed: int, name: str | None = None) -> list[Look]:
    """Return ``k`` random styles, those of the input called ``name`` if it has its own."""
    where = [] if name is None else [name]
    own = {} if name is None else {"of": name}
    return [
        Look(f"s{i:02}", {"random": i, "seed": seed, **own}, style)
        for i, style in enumerate(random_styles(k, style_dim, seed, *where))
    ]


def example_looks(files: Sequence[Path], styles: Tensor) -> list[Look]:
    """Return the styles ``(K, style_dim)`` of example files, each called after its file."""
    names = [PurePath(file.name.replace("_", "-")) for file in files]
    return [
        Look(f"like-{name}", {"like": file.name, "sha256": digest(file)}, style)
        for name, file, style in zip(tell_apart(names), files, styles, strict=True)
    ]


def mean_look(examples: Sequence[Look]) -> Look:
    """Return the mean of the examples' styles."""
    styles = torch.stack([look.style for look in examples if look.style is not None])
    return Look("mean", {"mean": [look.how for look in examples]}, styles.mean(0))


def interpolated(looks: Sequence[Look], frames: int) -> list[Look]:
    """Go from each style to the next along the arc between them.

    Args:
        looks: Two or more.
        frames: Styles on an arc, both ends among them. An arc's first is the last of the arc
            before, and comes once.

    Raises:
        InputError: If there are fewer than two.
    """
    if len(looks) < 2:
        raise InputError(
            f"--interpolate goes from one style to another, but there is only {looks[0].label}: "
            "choose two or more"
        )
    way = []
    for number, (start, end) in enumerate(pairwise(looks)):
        assert start.style is not None
        assert end.style is not None
        fractions = torch.linspace(0, 1, frames, dtype=torch.float64)
        styles = slerp(start.style, end.style, fractions)
        for i in range(number > 0, frames):
            how = {"from": start.how, "to": end.how, "fraction": [i, frames - 1]}
            way.append(Look(f"arc{number:02}-{i:03}", how, styles[i]))
    return way


def edited(looks: Sequence[Look], values: Mapping[int, float]) -> list[Look]:
    """Set dimensions of every style to given values.

    Raises:
        ValueError: If there is no such dimension.
    """
    told = {str(dimension): value for dimension, value in values.items()}
    return [
        replace(look, how={**look.how, "set": told}, style=edit(look.style[None], values)[0])
        for look in looks
        if look.style is not None
    ]


def swept(looks: Sequence[Look], dimension: int, low: float, high: float, n: int) -> list[Look]:
    """Show each style ``n`` times, one dimension going from ``low`` to ``high``.

    Raises:
        ValueError: If there is no such dimension.
    """
    values = torch.linspace(low, high, n)
    return [
        Look(
            f"{look.label}-d{dimension}-{i:02}",
            {**look.how, "sweep": {str(dimension): float(str(value.numpy()))}},
            style,
        )
        for look in looks
        if look.style is not None
        for i, (value, style) in enumerate(
            zip(values, sweep(look.style, dimension, values), strict=True)
        )
    ]
