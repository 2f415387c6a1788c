"""Mode seeking: translations that differ as much as their styles do."""

from collections.abc import Sequence

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat, checked
from munit_pl.layers.autocast import to_float32
from munit_pl.recipes.base import GeneratorPass, Host, Recipe


def mode_seeking(x: Tensor, y: Tensor, z: Tensor, w: Tensor) -> Tensor:
    """Return how little two translations of an image differ for how much their styles do.

    The regularization of Mao et al., "Mode Seeking Generative Adversarial Networks for Diverse
    Image Synthesis", CVPR 2019, section 3.2: the ratio of the images' mean absolute difference to
    the styles', which they maximize and this negates.

    Args:
        x: Translations, ``(N, C, H, W)``.
        y: Translations of the same images under other styles.
        z: The styles of ``x``, ``(N, style_dim)``.
        w: The styles of ``y``.

    Returns:
        A scalar, 0 or less.
    """
    images = (to_float32(x) - to_float32(y)).abs().flatten(1).mean(1)
    styles = (to_float32(z) - to_float32(w)).abs().mean(1)
    return -(images / styles).mean()


class ModeSeeking(Recipe):
    """Each image's translations under two drawn styles are to differ as the styles do.

    Args:
        weight: The weight of the term.
    """

    name = "mode_seeking"

    @checked
    def __init__(self, weight: NonNegativeFloat = 1.0) -> None:
        self.weight = weight

    def check(self, module: Host, others: Sequence[Recipe]) -> None:
        """Raise a `ValueError` if the method has no styles."""
        if not module.style_dim:
            raise ValueError("recipe mode_seeking draws styles, but this model has none")

    def draw(self, module: Host, batch: Sequence[Tensor], *where: int | str) -> dict[str, Tensor]:
        """Return a second style of each domain for each image, ``(N, style_dim)`` each."""
        shape, n = (2, module.style_dim), len(batch[0])
        other_a, other_b = module.draw_normal(shape, n, "style", "other", *where).unbind(1)
        return {"other_a": other_a, "other_b": other_b}

    def generator_term(self, done: GeneratorPass) -> Tensor:
        """Return `mode_seeking` of what becomes domain a's and domain b's, ``(2,)``."""
        w_a, w_b = done.draws["other_a"], done.draws["other_b"]
        y_ab, y_ba = done.translate(w_a, w_b)
        of_a = mode_seeking(done.x_ba, y_ba, done.z_a, w_a)
        of_b = mode_seeking(done.x_ab, y_ab, done.z_b, w_b)
        return torch.stack((of_a, of_b))
