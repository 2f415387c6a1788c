"""Discriminators that do not mind where in an image things are, nor which way they look.

Zhang et al., "Consistency Regularization for Generative Adversarial Networks", ICLR 2020; for
translations too Zhao et al., "Improved Consistency Regularization for GANs", AAAI 2021.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat, checked
from munit_pl.losses.adversarial import Logits, scores
from munit_pl.losses.terms import Discriminator
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
    """Real images, shifted and mirrored, are to score as they did; translations too if asked for.

    Both together are the balanced consistency regularization (bCR) of the second paper.

    Args:
        weight: Lambda in the first paper, lambda_real in the second: 10 in both. Of 0 there is
            nothing of translations either.
        fake_weight: Lambda_fake, likewise of translations, 10 in the second paper.
    """

    name = "consistency"

    @checked
    def __init__(
        self, weight: NonNegativeFloat = 10.0, fake_weight: NonNegativeFloat = 0.0
    ) -> None:
        self.weight = weight
        self.fake_weight = fake_weight

    def draw(self, module: Host, batch: Sequence[Tensor], *where: int | str) -> dict[str, Tensor]:
        """Return random numbers for `shift_and_flip` of both domains, ``(N, NUM_RANDOM)`` each."""
        shape, n = (2, NUM_RANDOM), len(batch[0])
        shift_a, shift_b = module.draw_uniform(shape, n, "shift", *where).unbind(1)
        draws = {"shift_a": shift_a, "shift_b": shift_b}
        if self.fake_weight > 0:
            fake_a, fake_b = module.draw_uniform(shape, n, "shift", "fake", *where).unbind(1)
            draws |= {"shift_fake_a": fake_a, "shift_fake_b": fake_b}
        return draws

    def discriminator_term(self, done: DiscriminatorPass) -> Tensor:
        """Return `consistency` of both discriminators, ``(2,)``.

        That of translations is in it ``fake_weight / weight`` times. A discriminator behind
        augmentations makes the image's own of it again.
        """
        (dis_a, dis_b), draws = done.discriminators, done.draws
        of_a = {"shift_a": (done.x_a, done.real[0]), "shift_fake_a": (done.x_ba, done.fake[0])}
        of_b = {"shift_b": (done.x_b, done.real[1]), "shift_fake_b": (done.x_ab, done.fake[1])}
        return torch.stack([self._of(dis_a, of_a, draws), self._of(dis_b, of_b, draws)])

    def _of(
        self,
        dis: Discriminator,
        shown: Mapping[str, tuple[Tensor, Logits]],
        draws: Mapping[str, Tensor],
    ) -> Tensor:
        """Return one discriminator's term, of images and logits by the names of their draws."""
        drawn = [name for name in shown if name in draws]
        again = dis.score_batches(*(shift_and_flip(shown[name][0], draws[name]) for name in drawn))
        of_real, *of_fake = (
            consistency(shown[name][1], logits) for name, logits in zip(drawn, again, strict=True)
        )
        return of_real + self.fake_weight / self.weight * of_fake[0] if of_fake else of_real
