"""From the command line to styles: random ones, or those of examples, interpolated and edited."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from munit_pl.commands.errors import InputError
from munit_pl.commands.translating.looks import (
    OWN,
    Look,
    edited,
    example_looks,
    interpolated,
    mean_look,
    random_looks,
    swept,
)
from munit_pl.commands.translating.sheets import Cell, spread, thumbnail
from munit_pl.data.images.reading import read_image, resize_image
from munit_pl.data.images.tensors import to_tensor
from munit_pl.inference.translator import Translator

LooksOf = Callable[[str], Sequence[Look]]


def choose_looks(
    options: argparse.Namespace, translator: Translator, examples: Sequence[Path]
) -> tuple[LooksOf, list[Cell]]:
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
        _vary(random_looks(k, style_dim, options.seed), options)  # to hear of mistakes at once
        return lambda name: _vary(random_looks(k, style_dim, options.seed, name), options), []
    header: list[Cell] = []
    if examples:
        chosen, header = _read_examples(options, translator, examples)
    else:
        chosen = random_looks(k, style_dim, options.seed)
    looks = _vary(chosen, options)
    above = [header[i] for i in spread(len(looks))] if len(looks) == len(header) else []
    return lambda name: looks, above


def _check_method(options: argparse.Namespace, translator: Translator) -> None:
    """Refuse what the model's method does not have."""
    if options.reconstruct and not translator.reconstructs:
        raise InputError("--reconstruct: this model's method has no codes to reconstruct from")
    if options.like and not translator.reads_styles:
        raise InputError("--like: this model's method reads no style from an image")
    many = (options.styles or 1) > 1 or options.interpolate or options.set or options.sweep
    if many and not translator.style_dim(options.to):
        raise InputError(
            "this model's method has no styles, so each image has one translation: leave out "
            "--styles, --interpolate, --set and --sweep"
        )


def _read_examples(
    options: argparse.Namespace, translator: Translator, examples: Sequence[Path]
) -> tuple[list[Look], list[Cell]]:
    """Return the examples' styles, and small pictures of them."""
    styles, header = [], list[Cell]()
    for path in examples:
        try:
            channels, max_value = translator.channels(options.to), translator.max_value(options.to)
            picture = read_image(path, channels, max_value=max_value)
            picture = resize_image(picture, options.resize)
            styles.append(translator.encode_style(to_tensor(picture)[None], options.to))
        except (OSError, ValueError) as error:
            raise InputError(f"no style can be taken from {path}: {error}") from error
        header.append((path.stem, thumbnail(picture)))
    looks = example_looks(examples, torch.cat(styles))
    return ([mean_look(looks)], []) if options.mean else (looks, header)


def _vary(looks: Sequence[Look], options: argparse.Namespace) -> Sequence[Look]:
    """Interpolate, edit and sweep as asked, in this order: what is set holds on the way too."""
    try:
        if options.interpolate:
            looks = interpolated(looks, options.interpolate)
        if options.set:
            looks = edited(looks, dict(options.set))
        if options.sweep:
            looks = swept(looks, *options.sweep)
    except ValueError as error:
        raise InputError(str(error)) from error
    return looks
