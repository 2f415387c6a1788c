"""Discriminators that do not mind where in an image things are, nor which way they look.

Zhang et al., "Consistency Regularization for Generative Adversarial Networks", ICLR 2020.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat, checked
from munit_pl.losses.adversarial import Logits, scores
from munit_pl.recipes.base import DiscriminatorPass, Host, Recipe
from munit_pl.recipes.diffaugment import gather_pixels, sources

NUM_RANDOM = 3  # drawn for each image: two for a shift, one for a flip
SHIFT = 4  # pixels at most


def shift_and_flip(x: Tensor, drawn: Tensor) -> Tensor:
    """Shift by up to `SHIFT` whole pixels in any direction; mirror every second image.

    Args:
        x: Images, ``(N, C, H, W)``.
        drawn: Drawn from U[0, 1), ``(N, NUM_RANDOM)``: down and right, of which 0 is as far up and
            left as can be, and a flip, if below one half.

    Returns:
        Images of the shape of ``x``. What comes in repeats the border.
    """
    height, width = x.shape[2:]
    rows, columns = sources(drawn[:, 0], height, SHIFT), sources(drawn[:, 1], width, SHIFT)
    return gather_pixels(x, rows, torch.where(drawn[:, 2:] < 0.5, columns.flip(1), columns))


def consistency(real: Logits, again: Logits) -> Tensor:
    """Return how much the logits of images change under shifts and flips.

    The paper's equation 2, with the score of an image at each scale in place of its one logit. Maps
    of patches move along with shifts and flips; their means, which the adversarial losses are made
    of, do not.

    Args:
        real: Logits of images, one ``(N, 1, h, w)`` per scale.
        again: Logits of the images augmented. The gradient reaches both.

    Returns:
        A scalar: squared differences, averaged over images and summed over scales.
    """
    return (scores(real) - scores(again)).square().mean(1).sum()


class Consistency(Recipe):
    """Real images, shifted and mirrored, are to score as they did.

    Args:
        weight: Lambda in the paper, which takes 10.
    """

    name = "consistency"

    @checked
    def __init__(self, weight: NonNegativeFloat = 10.0) -> None:
        self.weight = weight

    def draw(self, module: Host, batch: Sequence[Tensor], *where: int | str) -> dict[str, Tensor]:
        """Return random numbers for `shift_and_flip` of both domains, ``(N, NUM_RANDOM)`` each."""
        drawn = module.draw_uniform((2, NUM_RANDOM), len(batch[0]), "shift", *where)
        shift_a, shift_b = drawn.unbind(1)
        return {"shift_a": shift_a, "shift_b": shift_b}

    def discriminator_term(self, done: DiscriminatorPass) -> Tensor:
        """Return `consistency` of both discriminators, ``(2,)``.

        One behind augmentations makes the image's own of it again.
        """
        (dis_a, dis_b), (real_a, real_b) = done.discriminators, done.real
        (again_a,) = dis_a.score_batches(shift_and_flip(done.x_a, done.draws["shift_a"]))
        (again_b,) = dis_b.score_batches(shift_and_flip(done.x_b, done.draws["shift_b"]))
        return torch.stack([consistency(real_a, again_a), consistency(real_b, again_b)])
