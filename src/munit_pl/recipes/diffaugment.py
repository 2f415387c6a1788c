"""Augmentations of all that discriminators see, through which the generators' gradient passes.

Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020. With few
images a discriminator memorizes them; augmented real ones alone would teach generators to
augment, so translations are augmented alike.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, get_args

import torch
from annotated_types import Len
from torch import Tensor

from munit_pl.checks import checked
from munit_pl.layers.autocast import to_float32, without_autocast
from munit_pl.losses.terms import Discriminator
from munit_pl.recipes.base import Discriminators, Host, Recipe

Augmentation = Literal["color", "translation", "cutout"]
Augmentations = Annotated[Sequence[Augmentation], Len(1)]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)
NUM_RANDOM = 7  # drawn for each image: three for color, two for a shift, two for a place
VIEWS = ("real", "fake", "generated")  # of each update's own: the discriminators' two, and one

SHIFT_RATIO = 8  # at most this part of a side, rounded half up as in the authors' program
CUTOUT_RATIO = 2  # this part of a side, likewise


def augment(x: Tensor, names: Sequence[str], drawn: Tensor, made: Tensor | None = None) -> Tensor:
    """Return images, each augmented by its own random numbers.

    Args:
        x: Images, ``(N, C, H, W)`` in [-1, 1].
        names: Which of `AUGMENTATIONS`, in this order.
        drawn: Drawn from U[0, 1), ``(N, NUM_RANDOM)``; each augmentation has its own, whatever
            others there are.
        made: Which of `AUGMENTATIONS` are made of which image, ``(N, 3)`` booleans; all of
            ``names`` unless given.

    Returns:
        Images of the shape and type of ``x``, which may leave [-1, 1].
    """
    with without_autocast(x):
        y = to_float32(x)
        if "color" in names:
            y = _where(made, 0, color(y, *drawn[:, :3].unbind(1)), y)
        if "translation" in names:
            y = _where(made, 1, translation(y, *drawn[:, 3:5].unbind(1)), y)
        if "cutout" in names:
            y = _where(made, 2, cutout(y, *drawn[:, 5:].unbind(1)), y)
        return y.to(x.dtype)


def color(x: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Change brightness, then saturation, then contrast.

    Args:
        x: Images, ``(N, C, H, W)``.
        brightness: ``(N,)`` in [0, 1): up to 0.5 is added or taken off.
        saturation: Likewise: each pixel's difference from its mean is multiplied by 0 to 2.
        contrast: Likewise: each image's difference from its mean is multiplied by 0.5 to 1.5.
    """
    brightness, saturation, contrast = (
        u.view(-1, 1, 1, 1) for u in (brightness, saturation, contrast)
    )
    x = x + (brightness - 0.5)
    gray = x.mean(1, keepdim=True)
    x = (x - gray) * (2 * saturation) + gray
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def translation(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Shift by whole pixels, up to an eighth of a side in any direction; what comes in is 0.

    Args:
        x: Images, ``(N, C, H, W)``.
        down: ``(N,)`` in [0, 1), where 0 is as far up as can be.
        right: Likewise.
    """
    height, width = x.shape[2:]
    rows, columns = (
        sources(down, height, _part(height, SHIFT_RATIO)),
        sources(right, width, _part(width, SHIFT_RATIO)),
    )
    seen = _inside(rows, height)[:, :, None] & _inside(columns, width)[:, None, :]
    return gather_pixels(x, rows, columns) * seen[:, None]


def cutout(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Make a rectangle 0, half the sides long; its center may be anywhere, so it may be cut off.

    Args:
        x: Images, ``(N, C, H, W)``.
        down: ``(N,)`` in [0, 1): where its center is.
        right: Likewise.
    """
    rows, columns = _hole(down, x.shape[2]), _hole(right, x.shape[3])
    return x * ~(rows[:, :, None] & columns[:, None, :])[:, None]


def _where(made: Tensor | None, which: int, changed: Tensor, x: Tensor) -> Tensor:
    """Return ``changed``, or of those images ``x`` of which this augmentation is not made."""
    return changed if made is None else torch.where(made[:, which, None, None, None], changed, x)


def sources(u: Tensor, length: int, most: int) -> Tensor:
    """Return for each place along a side which one it comes from, perhaps beyond the border.

    Args:
        u: ``(N,)`` in [0, 1), where 0 is a shift as far to the beginning as can be.
        length: Pixels of the side, ``L``.
        most: Pixels of the largest shift.

    Returns:
        Integers, ``(N, L)``.
    """
    shift = (u * (2 * most + 1)).floor().long() - most
    return torch.arange(length, device=u.device) - shift[:, None]


def gather_pixels(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Make images of others' rows and columns; what lies beyond is the border.

    Args:
        x: Images, ``(N, C, H, W)``.
        rows: Which row each row is taken from, ``(N, H)``.
        columns: Likewise, ``(N, W)``.
    """
    n, channels, height, width = x.shape
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    x = x.gather(2, rows.view(n, 1, height, 1).expand(n, channels, height, width))
    return x.gather(3, columns.view(n, 1, 1, width).expand(n, channels, height, width))


def _inside(source: Tensor, length: int) -> Tensor:
    return (source >= 0) & (source < length)


def _part(length: int, ratio: int) -> int:
    """Return the ``ratio``-th part of a side, rounded half up."""
    return (2 * length + ratio) // (2 * ratio)


def _hole(u: Tensor, length: int) -> Tensor:
    """Return for each place along a side whether it lies in the hole."""
    size = _part(length, CUTOUT_RATIO)
    # An even hole's center lies between two pixels, or at either border: one place more.
    first = (u * (length + 1 - size % 2)).floor().long() - size // 2
    return _inside(torch.arange(length, device=u.device) - first[:, None], size)


class Augmented:
    """A discriminator that sees images augmented.

    Args:
        dis: The discriminator.
        names: Which of `AUGMENTATIONS`.
        drawn: Random numbers for the images of each of `VIEWS`, ``(N, 3, NUM_RANDOM)``.
        made: Which are made of those images, ``(N, 3, 3)``, see `augment`; all unless given.
    """

    def __init__(
        self, dis: Discriminator, names: Sequence[str], drawn: Tensor, made: Tensor | None = None
    ) -> None:
        self._dis = dis
        self._names = names
        self._drawn = drawn.unbind(1)
        self._made: Sequence[Tensor | None] = (
            [None] * len(VIEWS) if made is None else made.unbind(1)
        )

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Return the logits of images, augmented by the last of the random numbers."""
        return self._dis(augment(x, self._names, self._drawn[-1], self._made[-1]))

    def score_batches(self, *batches: Tensor) -> list[list[Tensor]]:
        """Return the logits of real images and of translations, each augmented by its own."""
        seen = [
            augment(x, self._names, drawn, made)
            for x, drawn, made in zip(batches, self._drawn, self._made, strict=False)
        ]
        return self._dis.score_batches(*seen)


class DiffAugment(Recipe):
    """All images are augmented on their way to the discriminators.

    Args:
        augmentations: Which, of `AUGMENTATIONS`. They are made in that order.

    Raises:
        ValueError: If there is no such augmentation, or none is given.
    """

    name = "diffaugment"

    @checked
    def __init__(self, augmentations: Augmentations = AUGMENTATIONS) -> None:
        self.augmentations = tuple(name for name in AUGMENTATIONS if name in augmentations)

    def check(self, module: Host, others: Sequence[Recipe]) -> None:
        """Raise a `ValueError` if another recipe augments, too."""
        names = [other.name for other in others if isinstance(other, DiffAugment)]
        if len(names) > 1:
            raise ValueError(f"recipes {' and '.join(names)} both augment: take one of them")

    def draw(self, module: Host, batch: Sequence[Tensor], *where: int | str) -> dict[str, Tensor]:
        """Return random numbers for each of `VIEWS`, ``(N, 3, NUM_RANDOM)``, of both domains."""
        shape = (2, len(VIEWS), NUM_RANDOM)
        drawn = module.draw_uniform(shape, len(batch[0]), "augment", *where)
        augment_a, augment_b = drawn.unbind(1)
        return {"augment_a": augment_a, "augment_b": augment_b}

    def wrap(self, discriminators: Discriminators, draws: Mapping[str, Tensor]) -> Discriminators:
        """Return both discriminators, behind the augmentations."""
        dis_a, dis_b = discriminators
        return (
            Augmented(dis_a, self.augmentations, draws["augment_a"], draws.get("made_a")),
            Augmented(dis_b, self.augmentations, draws["augment_b"], draws.get("made_b")),
        )
