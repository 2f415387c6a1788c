"""Drawn shoes: an embedded data set with ground truth for each sample.

Domain a holds line drawings of shoes, domain b shoes in color. Content is what a drawing shows;
style is the two colors that it leaves open. Because the package draws the samples itself, how
much content a translation keeps and how well it follows a style can be measured exactly.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from munit_pl.checks import PositiveInt, checked
from munit_pl.data.domain import DomainName, LoadedImage, Split
from munit_pl.data.drawn.shoes import Parts, Points, Shoe, sample_shoe, shoe_parts
from munit_pl.randomness import rng_for

_SUPERSAMPLING = 4
_FILL = 0.86  # the shoe's share of the picture, along the tighter side

Canvas = npt.NDArray[np.uint8]  # supersampled, 0 or 255
Plane = npt.NDArray[np.float32]


class Truth(NamedTuple):
    """One shoe, drawn in both domains.

    Attributes:
        shoe: Its shape and colors.
        x_a: The line drawing, ``(3, H, W)`` in [-1, 1].
        x_b: The colored picture of the same shoe in the same place, ``(3, H, W)`` in [-1, 1].
        silhouette: Where the shoe covers at least half a pixel, bool ``(H, W)``.
        upper: Where the upper, which carries the body color, covers the whole pixel, bool
            ``(H, W)``; laces and seams lie on it and are part of it.
    """

    shoe: Shoe
    x_a: Tensor
    x_b: Tensor
    silhouette: Tensor
    upper: Tensor


class DrawnShoes:
    """One domain of the embedded data set; draws its samples as they are asked for.

    Sample ``i`` is a function of domain, split, seed and ``i`` alone. The domains are unpaired:
    equal indices show different shoes, unless one domain shows the other's.

    Args:
        domain: Line drawings (a) or colored pictures (b).
        split: Train and test samples share no shoe.
        length: Number of samples.
        size: Height and width of the pictures, each at least 16; best at 64 or more.
        seed: Another seed gives other shoes.
        shoes_of: The domain whose shoes are shown; ``None`` shows its own. Equal indices of
            domains with the same shoes are pairs.
    """

    @checked
    def __init__(
        self,
        domain: DomainName,
        split: Split,
        length: PositiveInt,
        size: tuple[int, int] = (64, 64),
        seed: int = 0,
        shoes_of: DomainName | None = None,
    ) -> None:
        self.domain = domain
        self.split = split
        self.length = length
        self.size = _checked(size)
        self.seed = seed
        self.shoes_of = shoes_of or domain

    def __len__(self) -> int:
        return self.length

    def load(self, index: int, rng: torch.Generator | None = None) -> Tensor:
        """Return picture ``index`` of this domain, ``(3, H, W)`` in [-1, 1].

        ``rng`` is there because every source of pictures takes one; drawn shoes take part in no
        augmentation.
        """
        truth = self.truth(index)
        return truth.x_a if self.domain == "a" else truth.x_b

    def truth(self, index: int) -> Truth:
        """Return the shoe of sample ``index`` in both domains, with its masks."""
        if not 0 <= index < self.length:
            raise IndexError(f"index must lie in [0, {self.length}), got {index}")
        rng = rng_for(self.seed, "shoe", self.shoes_of, self.split, index)
        return draw(sample_shoe(rng), self.size)


class MaskedShoes:
    """Drawn shoes with their masks.

    Masks are silhouettes grown by a pixel, of which a shoe's edge covers a part.

    Args:
        shoes: The shoes.
    """

    def __init__(self, shoes: DrawnShoes) -> None:
        self.shoes = shoes

    def __len__(self) -> int:
        return len(self.shoes)

    def load(self, index: int, rng: torch.Generator | None = None) -> LoadedImage:
        """Return drawing ``index`` and its mask, 1 where the shoe may show, 0 elsewhere."""
        truth = self.shoes.truth(index)
        x = truth.x_a if self.shoes.domain == "a" else truth.x_b
        return LoadedImage(x, F.max_pool2d(truth.silhouette[None].float(), 3, 1, 1))


def draw(shoe: Shoe, size: tuple[int, int]) -> Truth:
    """Draw a shoe, centered, as large as fits, its proportions kept.

    Args:
        shoe: What to draw.
        size: Height and width, each at least 16.
    """
    size = _checked(size)
    parts = _placed(shoe_parts(shoe), shoe.faces_left, size)
    line_width = max(1.0, 1.3 * min(size) / 64)

    sole_area = _filled(parts.sole, size)
    upper_area = _filled(parts.upper, size) & ~sole_area
    # Twice the width, of which the outer half falls off the part: no ink leaves the silhouette.
    sole_edge = _stroked([_closed(parts.sole)], 2 * line_width, size) & sole_area
    upper_edge = _stroked([_closed(parts.upper)], 2 * line_width, size) & upper_area
    details = _stroked(parts.details, 0.8 * line_width, size) & upper_area

    sole, upper, seams = _coverage(sole_area), _coverage(upper_area), _coverage(details)
    ink = _coverage(sole_edge | upper_edge | details)
    return Truth(
        shoe,
        x_a=_as_image(np.broadcast_to(1 - ink, (3, *size))),
        x_b=_as_image(_colored(shoe, sole, upper, seams)),
        silhouette=torch.from_numpy(sole + upper >= 0.5),
        upper=torch.from_numpy(upper > 0.999),
    )


def _colored(shoe: Shoe, sole: Plane, upper: Plane, seams: Plane) -> Plane:
    """Paint the coverages of a shoe's parts, each ``(H, W)`` in [0, 1]; RGB in [0, 1]."""
    height, width = sole.shape
    rows = np.flatnonzero((sole + upper).max(1))
    down = (np.arange(height) - rows[0]) / (rows[-1] - rows[0])
    across = np.arange(width) / (width - 1)
    light = 1.05 - 0.3 * (0.75 * down.clip(0, 1)[:, None] + 0.25 * across)

    body_color, sole_color = (np.array(c)[:, None, None] for c in (shoe.body, shoe.sole))
    paint = light * (body_color * (upper - 0.4 * seams) + sole_color * sole)
    picture: Plane = (1 - sole - upper + paint).clip(0, 1).astype(np.float32)
    return picture


def _placed(parts: Parts, faces_left: bool, size: tuple[int, int]) -> Parts:
    """Map a shoe's curves to pixels of the supersampled canvas."""
    outline = np.concatenate([parts.upper, parts.sole])
    low, high = outline.min(0), outline.max(0)
    canvas = _SUPERSAMPLING * np.array([size[1], size[0]])
    scale = _FILL * (canvas / (high - low)).min()
    axes = scale * np.array([-1 if faces_left else 1, -1])  # y points up in a shoe, down here

    def place(points: Points) -> Points:
        return (points - (low + high) / 2) * axes + canvas / 2

    return Parts(place(parts.upper), place(parts.sole), [place(line) for line in parts.details])


def _closed(outline: Points) -> Points:
    # Beyond the first point, so that the corner where the line ends is covered too.
    return np.concatenate([outline, outline[:3]])


def _filled(outline: Points, size: tuple[int, int]) -> Canvas:
    canvas = _canvas(size)
    ImageDraw.Draw(canvas).polygon(outline.ravel().tolist(), fill=255)
    return np.asarray(canvas)


def _stroked(lines: list[Points], line_width: float, size: tuple[int, int]) -> Canvas:
    canvas = _canvas(size)
    pen = ImageDraw.Draw(canvas)
    width = round(line_width * _SUPERSAMPLING)
    for line in lines:
        # A wide line gapes at its bends; a second one through the middles of its pieces fills that.
        for points in (line, (line[1:] + line[:-1]) / 2):
            pen.line(points.ravel().tolist(), fill=255, width=width)
    return np.asarray(canvas)


def _canvas(size: tuple[int, int]) -> Image.Image:
    return Image.new("L", (size[1] * _SUPERSAMPLING, size[0] * _SUPERSAMPLING))


def _coverage(canvas: Canvas) -> Plane:
    """Average each pixel's part of the supersampled canvas: ``(H, W)`` in [0, 1]."""
    image = Image.fromarray(canvas).reduce(_SUPERSAMPLING)
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def _as_image(rgb: Plane) -> Tensor:
    return torch.from_numpy(2 * rgb - 1)


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if min(height, width) < 16:
        raise ValueError(f"size is {height}x{width}, but both sides must be at least 16")
    return height, width
