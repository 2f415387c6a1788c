"""Mode seeking: translations that differ as much as their styles do.

Mao et al., "Mode Seeking Generative Adversarial Networks for Diverse Image Synthesis", CVPR 2019.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat, checked
from munit_pl.layers.autocast import to_float32
from munit_pl.losses.terms import Terms
from munit_pl.recipes.base import GeneratorPass, Host, Recipe

Form = Literal["ratio", "reciprocal"]
EPSILON = 1e-5  # of the authors' program


def mode_seeking(x: Tensor, y: Tensor, z: Tensor, w: Tensor) -> Tensor:
    """Return how little two translations of an image differ for how much their styles do.

    The regularization of section 3.2: the ratio of the images' mean absolute difference to the
    styles', which the paper maximizes and this negates.

    Args:
        x: Translations, ``(N, C, H, W)``.
        y: Translations of the same images under other styles.
        z: The styles of ``x``, ``(N, style_dim)``.
        w: The styles of ``y``.

    Returns:
        A scalar, 0 or less: the mean over images.
    """
    images = (to_float32(x) - to_float32(y)).abs().flatten(1).mean(1)
    styles = (to_float32(z) - to_float32(w)).abs().mean(1)
    return -(images / styles).mean()


def reciprocal_mode_seeking(x: Tensor, y: Tensor, z: Tensor, w: Tensor) -> Tensor:
    """Return the form of `mode_seeking` that the authors' program has, of the same arguments.

    Returns:
        A scalar above 0: one over the ratio, whose numerator and denominator are means over all
        images. Where translations hardly differ it pulls hard, where they do hardly at all.
    """
    images = (to_float32(x) - to_float32(y)).abs().mean()
    styles = (to_float32(z) - to_float32(w)).abs().mean()
    return 1 / (images / styles + EPSILON)


class ModeSeeking(Recipe):
    """Each image's translations under two drawn styles are to differ as the styles do.

    The form "reciprocal" is the generators' loss of the authors' program:
    `reciprocal_mode_seeking`, and the adversarial term of the second translations added to that of
    the first. There the discriminators train on both translations, here on the first alone.

    Args:
        weight: The weight of the term, 1 in the authors' program.
        form: "ratio", the paper's (`mode_seeking`), or "reciprocal", the authors' program's.
    """

    name = "mode_seeking"

    @checked
    def __init__(self, weight: NonNegativeFloat = 1.0, form: Form = "ratio") -> None:
        self.weight = weight
        self.form = form

    def check(self, module: Host, others: Sequence[Recipe]) -> None:
        """Raise a `ValueError` if the method has no styles."""
        if not module.style_dim:
            raise ValueError("recipe mode_seeking draws styles, but this model has none")

    def draw(self, module: Host, batch: Sequence[Tensor], *where: int | str) -> dict[str, Tensor]:
        """Return a second style of each domain for each image, ``(N, style_dim)`` each."""
        shape, n = (2, module.style_dim), len(batch[0])
        other_a, other_b = module.draw_normal(shape, n, "style", "other", *where).unbind(1)
        return {"other_a": other_a, "other_b": other_b}

    def generator_term(self, done: GeneratorPass) -> Terms:
        """Return the term, ``(2,)``, and in the reciprocal form what the class says."""
        w_a, w_b = done.draws["other_a"], done.draws["other_b"]
        y_ab, y_ba = done.translate(w_a, w_b)
        reciprocal = self.form == "reciprocal"
        term_of = reciprocal_mode_seeking if reciprocal else mode_seeking
        of_a = term_of(done.x_ba, y_ba, done.z_a, w_a)
        of_b = term_of(done.x_ab, y_ab, done.z_b, w_b)
        further = done.adversarial(y_ab, y_ba) if reciprocal else {}
        return {self.name: torch.stack((of_a, of_b)), **further}
