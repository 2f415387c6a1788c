"""Which styles a run shows its inputs in: random ones or those of examples, each with a name."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import Tensor

from munit_pl.commands.errors import InputError
from munit_pl.commands.translating.sheets import Cell, spread, thumbnail
from munit_pl.commands.translating.sources import tell_apart
from munit_pl.data.images.tensors import to_tensor
from munit_pl.inference.styles import edit, random_styles, slerp, sweep
from munit_pl.inference.translator import Translator
from munit_pl.io.files import digest


@dataclass(frozen=True)
class NamedStyle:
    """A style with a name.

    Attributes:
        label: The name, without an underscore: in a file's name it follows the last one.
        how: All that the style depends on. Equal ways give equal styles, but for the rounding of
            another device or batch, so that a later run knows its own work by them.
        code: ``(style_dim,)``, or none for each input's own.
    """

    label: str
    how: dict[str, Any]  # what JSON can say
    code: Tensor | None


StylesOf = Callable[[str], Sequence["NamedStyle"]]
"""Gives the styles that the input of a name is shown in."""

OWN = NamedStyle("reconstruction", {"own": True}, None)


def choose_styles(
    options: argparse.Namespace, translator: Translator, examples: Sequence[Path]
) -> tuple[StylesOf, list[Cell]]:
    """Choose the styles of a run.

    Args:
        options: What `parse` returned.
        translator: The model.
        examples: Images to take styles from, if any.

    Returns:
        The styles of the input called so; and the examples as they stand above those columns that
        a contact sheet shows, if each has its own.

    Raises:
        InputError: If an example cannot be read, or there are no such styles.
    """
    _check_method(options, translator)
    if options.reconstruct:
        return lambda name: [OWN], []
    style_dim = translator.style_dim(options.to)
    k = options.styles or (10 if style_dim else 1)
    if options.fresh:
        _vary(named_random(k, style_dim, options.seed), options)  # to hear of mistakes at once
        return lambda name: _vary(named_random(k, style_dim, options.seed, name), options), []
    header: list[Cell] = []
    if examples:
        chosen, header = _read_examples(options, translator, examples)
    else:
        chosen = named_random(k, style_dim, options.seed)
    styles = _vary(chosen, options)
    above = [header[i] for i in spread(len(styles))] if len(styles) == len(header) else []
    return lambda name: styles, above


def _check_method(options: argparse.Namespace, translator: Translator) -> None:
    """Refuse what the model's method does not have."""
    if options.reconstruct and not translator.reconstructs:
        raise InputError("--reconstruct: this model's method has no codes to reconstruct from")
    if options.like and not translator.reads_styles:
        raise InputError("--like: this model reads no style from an image")
    many = (options.styles or 1) > 1 or options.interpolate or options.set or options.sweep
    if many and not translator.style_dim(options.to):
        raise InputError(
            "this model's method has no styles, so each image has one translation: leave out "
            "--styles, --interpolate, --set and --sweep"
        )


def _read_examples(
    options: argparse.Namespace, translator: Translator, examples: Sequence[Path]
) -> tuple[list[NamedStyle], list[Cell]]:
    """Return the examples' styles, and small pictures of them."""
    codes, header = [], list[Cell]()
    for path in examples:
        try:
            picture = translator.picture(path, options.to, options.resize)
            codes.append(translator.encode_style(to_tensor(picture)[None], options.to))
        except (OSError, ValueError) as error:
            raise InputError(f"no style can be taken from {path}: {error}") from error
        header.append((path.stem, thumbnail(picture)))
    styles = named_examples(examples, torch.cat(codes))
    return ([named_mean(styles)], []) if options.mean else (styles, header)


def _vary(styles: Sequence[NamedStyle], options: argparse.Namespace) -> Sequence[NamedStyle]:
    """Interpolate, edit and sweep as asked, in this order: what is set holds on the way too."""
    try:
        if options.interpolate:
            styles = interpolated(styles, options.interpolate)
        if options.set:
            styles = edited(styles, dict(options.set))
        if options.sweep:
            styles = swept(styles, *options.sweep)
    except ValueError as error:
        raise InputError(str(error)) from error
    return styles


def named_random(k: int, style_dim: int, seed: int, name: str | None = None) -> list[NamedStyle]:
    """Return ``k`` random styles, those of the input called ``name`` if it has its own."""
    where = [] if name is None else [name]
    own = {} if name is None else {"of": name}
    return [
        NamedStyle(f"s{i:02}", {"random": i, "seed": seed, **own}, code)
        for i, code in enumerate(random_styles(k, style_dim, seed, *where))
    ]


def named_examples(files: Sequence[Path], codes: Tensor) -> list[NamedStyle]:
    """Name the styles of example files, ``(K, style_dim)``, after the files."""
    names = [PurePath(file.name.replace("_", "-")) for file in files]
    return [
        NamedStyle(f"like-{name}", {"like": file.name, "sha256": digest(file)}, code)
        for name, file, code in zip(tell_apart(names), files, codes, strict=True)
    ]


def named_mean(examples: Sequence[NamedStyle]) -> NamedStyle:
    """Return the mean of the examples' styles."""
    codes = torch.stack([style.code for style in examples if style.code is not None])
    return NamedStyle("mean", {"mean": [style.how for style in examples]}, codes.mean(0))


def interpolated(styles: Sequence[NamedStyle], frames: int) -> list[NamedStyle]:
    """Interpolate spherically from each style to the next.

    Args:
        styles: Two or more.
        frames: Styles on an arc, both ends among them. An arc's first is the last of the arc
            before, and comes once.

    Raises:
        InputError: If there are fewer than two.
    """
    if len(styles) < 2:
        raise InputError(
            f"--interpolate goes from one style to another, but there is only {styles[0].label}: "
            "choose two or more"
        )
    way = []
    for number, (start, end) in enumerate(pairwise(styles)):
        assert start.code is not None
        assert end.code is not None
        fractions = torch.linspace(0, 1, frames, dtype=torch.float64)
        codes = slerp(start.code, end.code, fractions)
        for i in range(number > 0, frames):
            how = {"from": start.how, "to": end.how, "fraction": [i, frames - 1]}
            way.append(NamedStyle(f"arc{number:02}-{i:03}", how, codes[i]))
    return way


def edited(styles: Sequence[NamedStyle], values: Mapping[int, float]) -> list[NamedStyle]:
    """Set dimensions of every style to given values.

    Raises:
        ValueError: If there is no such dimension.
    """
    told = {str(dimension): value for dimension, value in values.items()}
    return [
        replace(style, how={**style.how, "set": told}, code=edit(style.code[None], values)[0])
        for style in styles
        if style.code is not None
    ]


def swept(
    styles: Sequence[NamedStyle], dimension: int, low: float, high: float, n: int
) -> list[NamedStyle]:
    """Show each style ``n`` times, one dimension going from ``low`` to ``high``.

    Raises:
        ValueError: If there is no such dimension.
    """
    values = torch.linspace(low, high, n)
    return [
        NamedStyle(
            f"{style.label}-d{dimension}-{i:02}",
            {**style.how, "sweep": {str(dimension): float(str(value.numpy()))}},
            code,
        )
        for style in styles
        if style.code is not None
        for i, (value, code) in enumerate(
            zip(values, sweep(style.code, dimension, values), strict=True)
        )
    ]
