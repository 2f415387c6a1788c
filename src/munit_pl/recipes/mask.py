"""Regions that translations must leave as they are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat, checked
from munit_pl.layers.autocast import to_float32
from munit_pl.recipes.base import GeneratorPass, Host, Recipe


def background_l1(x: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """Return how far translations differ from their sources where these must not change.

    The context-preserving loss of Mo et al., "InstaGAN: Instance-aware Image-to-Image Translation",
    ICLR 2019, weighted by the source's mask alone: translations have no masks here.

    It is a mean over all pixels. A mean over those outside would have no value where a mask is
    white all over, would pull at few pixels as hard as at many, and would depend on how a batch is
    split into parts.

    Args:
        x: Translations, ``(N, C, H, W)``.
        source: The images that were translated, ``(N, C, H, W)``.
        mask: Of each of these ``(N, 1, H, W)``: 1 where it may change, 0 where it must not.

    Returns:
        A scalar, at least 0; under masks that are 0 all over it is the mean absolute difference.
    """
    return ((1 - to_float32(mask)) * (to_float32(x) - to_float32(source)).abs()).mean()


class Mask(Recipe):
    """Translations are to leave what lies outside of their sources' masks.

    Batches are ``(x_a, x_b, m_a, m_b)`` then; masks are ``(N, 1, H, W)``, 1 where an image may
    change and 0 where it must not.

    Args:
        weight: The weight of the term.
    """

    name = "mask"

    @checked
    def __init__(self, weight: NonNegativeFloat = 10.0) -> None:
        self.weight = weight

    def check(self, module: Host, others: Sequence[Recipe]) -> None:
        """Raise a `ValueError` if translations cannot be compared with their sources."""
        a, b = module.gen_a.in_channels, module.gen_b.in_channels
        if a != b:
            raise ValueError(
                f"recipe mask would compare images of {a} and of {b} channels: give both domains "
                "as many, or leave it out"
            )

    def draw(self, module: Host, batch: Sequence[Tensor], *where: int | str) -> dict[str, Tensor]:
        """Return both domains' masks.

        Raises:
            ValueError: If the batch has none, or they do not fit the images.
        """
        if len(batch) < 4:
            raise ValueError(
                "recipe mask takes batches with masks, but these have none: have the data give "
                "them (masks=True), or leave the recipe out"
            )
        for images, masks in zip(batch[:2], batch[2:], strict=True):
            fitting = (len(images), 1, *images.shape[2:])
            if masks.shape != fitting:
                raise ValueError(f"masks are {tuple(masks.shape)}, but must be {fitting}")
        return {"mask_a": batch[2], "mask_b": batch[3]}

    def generator_term(self, done: GeneratorPass) -> Tensor:
        """Return `background_l1` of what becomes domain a's and domain b's, ``(2,)``."""
        of_a = background_l1(done.x_ba, done.x_b, done.draws["mask_b"])
        of_b = background_l1(done.x_ab, done.x_a, done.draws["mask_a"])
        return torch.stack((of_a, of_b))
