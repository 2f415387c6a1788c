"""Pictures of what a model does, as tables for a page."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.domain import Domain
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.evaluation.latent import traversal_change
from munit_pl.evaluation.task import DIRECTIONS, Direction, EvaluationTask
from munit_pl.inference.styles import random_styles, slerp, sweep

_LOSSLESS = 96  # pixels of the longer side: up to here a picture is small enough for PNG
_LARGEST = 256  # what is larger is made smaller for the file's sake
_SHOWN = 128  # CSS pixels of the longer side, roughly
_FRAMES = 8  # of an interpolation


class Picture(NamedTuple):
    """An image within the page: its bytes as a URI, what it shows, and its size in CSS pixels."""

    uri: str
    alt: str
    width: int
    height: int


Cell = Picture | str


class Table(NamedTuple):
    """Pictures in rows below a head; ``note`` says how to read them."""

    title: str
    note: str
    head: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]


class Section(NamedTuple):
    """A part of the page with an anchor."""

    anchor: str
    title: str
    tables: Sequence[Table]


def picture_sections(task: EvaluationTask, num_images: int, num_styles: int) -> list[Section]:
    """Return the parts of the page that show pictures, as far as the method has styles.

    Args:
        task: The model, and the test images of which the first are shown.
        num_images: Inputs, and examples, of each domain, or as many as there are.
        num_styles: Random styles.
    """
    galleries = [_Gallery(task, there, num_images, num_styles) for there in DIRECTIONS]
    reads_styles = task.translator.reads_styles
    if not galleries[0].dim:
        return [Section("styles", "Translations", [gallery.random() for gallery in galleries])]
    sections = [Section("styles", "Random styles", [gallery.random() for gallery in galleries])]
    if reads_styles:
        by_example = [gallery.by_example() for gallery in galleries]
        sections.append(Section("examples", "Examples", by_example))
    interpolations = [table for gallery in galleries for table in gallery.interpolations()]
    return [
        *sections,
        Section("interpolations", "Interpolations", interpolations),
        Section("sweeps", "What each style dimension does", [galleries[0].sweeps()]),
    ]


class _Gallery:
    """One direction's pictures."""

    def __init__(
        self, task: EvaluationTask, direction: Direction, num_images: int, num_styles: int
    ) -> None:
        self.translator = task.translator
        self.source, self.target = direction
        self.name = f"{direction.source} → {direction.target}"
        self.inputs = _first(task.test_images(direction.source), num_images)
        self.examples = _first(task.test_images(direction.target), num_images)
        self.dim = self.translator.style_dim(direction.target)
        # One more than shown where there is a single one: an interpolation has two ends.
        drawn = random_styles(max(2, num_styles), self.dim, task.seed, "page", str(direction))
        self.ends, self.styles = drawn[:2], drawn[: num_styles if self.dim else 1]

    def random(self) -> Table:
        """Show every input in every random style, or its one translation."""
        names = [f"style {k + 1}" for k in range(len(self.styles))] if self.dim else ["translation"]
        note = "Each row is an input, each column one and the same style." if self.dim else ""
        rows = self._rows(len(self.inputs), self.styles, names)
        return Table(self.name, note, [f"input, {self.source}", *names], rows)

    def by_example(self) -> Table:
        """Show every input in every example's style."""
        names = [f"the style of example {k + 1}" for k in range(len(self.examples))]
        note = "Each column follows the example at its head."
        rows = self._rows(len(self.inputs), self._encode(self.examples), names)
        heads = [self._example(k) for k in range(len(self.examples))]
        return Table(self.name, note, [f"input, {self.source}", *heads], rows)

    def interpolations(self) -> list[Table]:
        """Show inputs on the way between two random styles, and between two examples."""
        random = self._interpolation("two random styles", self.ends, "style 1", "style 2")
        if not self.translator.reads_styles:
            return [random]
        first, last = self._example(0), self._example(len(self.examples) - 1)
        codes = self._encode([self.examples[0], self.examples[-1]])
        return [random, self._interpolation("two examples", codes, first, last)]

    def _interpolation(self, between: str, ends: Tensor, first: Cell, last: Cell) -> Table:
        way = slerp(ends[0], ends[1], torch.linspace(0, 1, _FRAMES))
        names = [f"frame {k + 1} of {_FRAMES} between {between}" for k in range(_FRAMES)]
        head = [f"input, {self.source}", first, *[""] * (_FRAMES - 2), last]
        note = "On the arc from one style to the other."
        return Table(f"{self.name}: between {between}", note, head, self._rows(2, way, names))

    def sweeps(self) -> Table:
        """Show the first input with each dimension of the first style from -3 to 3."""
        values = torch.arange(-3.0, 4)
        at = [f"{value:.0f}" for value in values.tolist()]
        rows: list[list[Cell]] = []
        for i in range(self.dim):
            names = [f"style 1 with dimension {i} at {value}" for value in at]
            frames = self._translate(0, sweep(self.styles[0], i, values))
            change = f"dimension {i}: {traversal_change(frames):.1f}"
            rows.append([change, *self._named(0, frames, names)])
        note = (
            "One dimension at a time; all others stay as in style 1. Styles follow N(0, 1), so "
            "nearly all values lie between -3 and 3. Beside each dimension stands how much the "
            "image changes, as the mean absolute difference of any two in the row, of 255: about 0 "
            "where a dimension does nothing."
        )
        return Table(self.name, note, [self._input(0), *at], rows)

    def _input(self, i: int) -> Picture:
        return _show(self.inputs[i], f"input {i + 1} of domain {self.source}")

    def _example(self, k: int) -> Picture:
        return _show(self.examples[k], f"example {k + 1} of domain {self.target}")

    def _rows(self, n: int, styles: Tensor, names: Sequence[str]) -> list[list[Picture]]:
        """Show the first ``n`` inputs, each before its translations."""
        return [
            [self._input(i), *self._row(i, styles, names)] for i in range(min(n, len(self.inputs)))
        ]

    def _row(self, i: int, styles: Tensor, names: Sequence[str]) -> list[Picture]:
        return self._named(i, self._translate(i, styles), names)

    def _translate(self, i: int, styles: Tensor) -> Tensor:
        return self.translator.translate(self.inputs[i][None], styles, self.target)[0]

    def _named(self, i: int, outputs: Tensor, names: Sequence[str]) -> list[Picture]:
        return [
            _show(y, f"input {i + 1} of domain {self.source} in {name}")
            for y, name in zip(outputs, names, strict=True)
        ]

    def _encode(self, images: Sequence[Tensor]) -> Tensor:
        styles = [self.translator.encode_style(x[None], self.target) for x in images]
        return torch.cat(styles)


def _first(images: Domain, n: int) -> list[Tensor]:
    return [images.load(i, None) for i in range(min(n, len(images)))]


def _show(x: Tensor, alt: str) -> Picture:
    """Return an image ``(C, H, W)`` in [-1, 1] as it is shown on the page."""
    picture = to_pil_image(x)
    picture.thumbnail((_LARGEST, _LARGEST))
    longest = max(picture.size)
    # Whole multiples, so that all pixels of a small image are shown of one size.
    scale = _SHOWN // longest if longest <= _SHOWN else _SHOWN / longest
    width, height = (round(scale * side) for side in picture.size)
    file = io.BytesIO()
    kind = "png" if longest <= _LOSSLESS else "webp"
    picture.save(file, kind, quality=90)
    return Picture(_uri(file.getvalue(), kind), alt, width, height)


def picture_of(png: bytes | None, alt: str) -> Picture | None:
    """Return a plot as a picture, None if there is none."""
    if png is None:
        return None
    with Image.open(io.BytesIO(png)) as picture:
        return Picture(_uri(png, "png"), alt, *picture.size)


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
