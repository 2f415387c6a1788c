"""Discriminators that do not mind where in an image things are, nor which way they look.

Zhang et al., "Consistency Regularization for Generative Adversarial Networks", ICLR 2020.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from munit_pl.losses.adversarial import Logits, scores
from munit_pl.losses.terms import Discriminator
from munit_pl.recipes.diffaugment import gather_pixels, sources

NUM_RANDOM = 3  # drawn for each image: two for a shift, one for a flip
SHIFT = 4  # pixels at most


def shift_and_flip(x: Tensor, drawn: Tensor) -> Tensor:
    """Shift by up to `SHIFT` whole pixels in any direction; mirror every second image.

    Args:
        x: Images, ``(N, C, H, W)``.
        drawn: Drawn from U[0, 1), ``(N, NUMBERS)``: down and right, of which 0 is as far up and
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


def consistency_term(
    dis_a: Discriminator,
    dis_b: Discriminator,
    x_a: Tensor,
    x_b: Tensor,
    real: Sequence[Logits],
    drawn: Sequence[Tensor],
) -> Tensor:
    """Return `consistency` of domain a's and of domain b's discriminator, ``(2,)``.

    Args:
        dis_a: Domain a's discriminator. One behind augmentations makes the image's own of it again.
        dis_b: Domain b's discriminator.
        x_a: Real images of domain a, ``(N, C, H, W)``.
        x_b: Real images of domain b.
        real: The logits of ``x_a`` and of ``x_b``, graphs included.
        drawn: Random numbers for `shift_and_flip` of ``x_a`` and of ``x_b``, ``(N, NUMBERS)`` each.
    """
    (again_a,) = dis_a.score_batches(shift_and_flip(x_a, drawn[0]))
    (again_b,) = dis_b.score_batches(shift_and_flip(x_b, drawn[1]))
    return torch.stack([consistency(real[0], again_a), consistency(real[1], again_b)])
