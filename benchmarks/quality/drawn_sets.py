"""Two sets of drawn shoes: in all colors, and in five."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.quality import SIDE
from benchmarks.quality.layout import KnownImage, write_images, write_truth
from munit_pl.data.drawn.dataset import DrawnShoes, draw
from munit_pl.data.drawn.shoes import Color, Shoe

SIZE = (SIDE, SIDE)
INPUTS = 64  # test drawings, as many as protocol drawn measures
REAL = 100  # test shoes in color
COLORS: tuple[Color, ...] = (
    (0.80, 0.15, 0.15),  # red
    (0.15, 0.30, 0.75),  # blue
    (0.95, 0.80, 0.20),  # yellow
    (0.15, 0.55, 0.25),  # green
    (0.30, 0.30, 0.30),  # gray
)
SHARES = (0.4, 0.25, 0.15, 0.1, 0.1)
SOLE: Color = (0.2, 0.2, 0.2)


def make_shoes(root: Path, count: int = 2000) -> None:
    """Draw line drawings and colored shoes, as data=drawn has them.

    A test drawing's versions are in the colors of five test shoes, its examples.
    """
    for domain, split, name, n in (
        ("a", "train", "trainA", count),
        ("b", "train", "trainB", count),
        ("b", "test", "testB", REAL),
    ):
        shoes = DrawnShoes(domain, split, n, SIZE)
        write_images(root / name, {f"{i:04}": shoes.load(i) for i in range(n)})
    drawings, shoes = (DrawnShoes("a", "test", INPUTS, SIZE), DrawnShoes("b", "test", REAL, SIZE))
    rng = random.Random(0)
    images = {}
    for i in range(INPUTS):
        chosen = rng.sample(range(REAL), 5)
        others = [shoes.truth(j).shoe for j in chosen]
        colored = [_painted(drawings.truth(i).shoe, o.body, o.sole) for o in others]
        images[f"{i:04}"] = _test_image(drawings, i, colored, [f"{j:04}" for j in chosen])
    write_truth(root, images, None)


def make_five(root: Path, count: int = 1000) -> None:
    """Draw line drawings, and shoes whose bodies have five colors in `SHARES`, on one sole."""
    drawings = DrawnShoes("a", "train", count, SIZE)
    write_images(root / "trainA", {f"{i:04}": drawings.load(i) for i in range(count)})
    of_color: list[list[str]] = [[] for _ in COLORS]  # test shoes
    for split, name, n in (("train", "trainB", count), ("test", "testB", REAL)):
        shoes, colors = DrawnShoes("b", split, n, SIZE), _colors(n)
        painted = [_painted(shoes.truth(i).shoe, COLORS[k], SOLE) for i, k in enumerate(colors)]
        write_images(root / name, {f"{i:04}": draw(s, SIZE).x_b for i, s in enumerate(painted)})
    for i, k in enumerate(_colors(REAL)):
        of_color[k].append(f"{i:04}")
    drawings, rng, images = DrawnShoes("a", "test", INPUTS, SIZE), random.Random(0), {}
    for i in range(INPUTS):
        versions = [_painted(drawings.truth(i).shoe, color, SOLE) for color in COLORS]
        examples = [rng.choice(names) for names in of_color]
        images[f"{i:04}"] = _test_image(drawings, i, versions, examples)
    write_truth(root, images, SHARES)


def _painted(shoe: Shoe, body: Color, sole: Color) -> Shoe:
    return replace(shoe, body=body, sole=sole)


def _colors(n: int) -> list[int]:
    """Return which color each of ``n`` shoes has: in the exact shares, in random order."""
    colors = [k for k, share in enumerate(SHARES) for _ in range(round(share * n))]
    random.Random(0).shuffle(colors)
    return colors


def _test_image(
    drawings: DrawnShoes, i: int, versions: Sequence[Shoe], examples: Sequence[str]
) -> KnownImage:
    truth = drawings.truth(i)
    colored = torch.stack([draw(shoe, SIZE).x_b for shoe in versions])
    return KnownImage(truth.x_a, colored, truth.upper, truth.silhouette, examples)
