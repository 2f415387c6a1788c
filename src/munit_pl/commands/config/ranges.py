"""Ranges that no constructor tells of, or that would be told too late."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from munit_pl.commands.config.resolving import Path, join


class Range(NamedTuple):
    """What the settings of some names must be.

    Attributes:
        names: A pattern of their full names.
        holds: Whether a number is one of them.
        words: What it must be.
    """

    names: str
    holds: Callable[[float], bool]
    words: str


def _at_least(names: str, least: int) -> Range:
    return Range(names, lambda x: x >= least, f"at least {least}")


def _above_zero(names: str) -> Range:
    return Range(names, lambda x: x > 0, "above 0")


def _between(names: str, least: int, most: int) -> Range:
    return Range(names, lambda x: least <= x <= most, f"between {least} and {most}")


RANGES = (
    _at_least(r"model\.weights\.\w+", 0),
    _above_zero(r"model\.optimizer\.(lr|eps)"),
    _at_least(r"model\.optimizer\.weight_decay", 0),
    _above_zero(r"model\.lr_discriminator"),
    _above_zero(r"model\.scheduler\.gamma"),
    _at_least(r"model\.scheduler\.step_size", 1),
    _above_zero(r"model\.clip_norm"),
    # A constructor would be busy for ever, or for more memory than there is, before it says so.
    _between(r"model\.(generator|discriminator)\.(num_\w+|\w+_downsample)", 0, 100),
    _between(r"(\w+\.)*seed", 0, 2**32 - 1),  # what NumPy's generator takes
    _at_least(r"callbacks\.\w+\.every_n_steps", 1),
    _between(r"data\.background\[\d\]", 0, 255),
    _at_least(r"data\.(test_)?length", 1),
    _at_least(r"data\.(size|crop)(\[\d\])?", 1),
    Range(r"trainer\.max_(steps|epochs)", lambda x: x >= 1 or x == -1, "at least 1, or -1"),
    Range(r"trainer\.devices", lambda x: x >= 1 or x == -1, "at least 1, or -1 for all"),
    _at_least(r"trainer\.devices\[\d+\]", 0),
    _at_least(r"trainer\.(num_nodes|log_every_n_steps|check_val_every_n_epoch)", 1),
    _above_zero(r"trainer\.val_check_interval"),
    _at_least(r"trainer\.limit_\w+_batches", 0),
    _at_least(r"trainer\.num_sanity_val_steps", -1),
)


def out_of_range(value: Any, path: Path) -> Iterator[str]:
    """Yield a line for each range that ``value``, plain, is outside of.

    Lists are looked into, mappings are not.
    """
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from out_of_range(item, (*path, i))
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    name = join(path)
    if not math.isfinite(value):
        yield f"{name} is {value}, but must be finite"
        return
    for names, holds, words in RANGES:
        if re.fullmatch(names, name) and not holds(value):
            yield f"{name} is {value}, but must be {words}"
