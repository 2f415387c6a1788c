"""What is minimized alike in methods that translate both ways."""

from typing import NamedTuple

import torch
from torch import Tensor

from munit_pl.losses.adversarial import AdversarialLoss
from munit_pl.losses.terms import Discriminator, Terms


class Translations(NamedTuple):
    """A pair of batches, each translated to the other domain."""

    x_ab: Tensor
    x_ba: Tensor


class Decodings(NamedTuple):
    """A pair of batches, each decoded in its own domain and in the other."""

    x_aa: Tensor
    x_bb: Tensor
    x_ab: Tensor
    x_ba: Tensor


def discriminator_terms(
    dis_a: Discriminator,
    dis_b: Discriminator,
    x_a: Tensor,
    x_b: Tensor,
    x_ab: Tensor,
    x_ba: Tensor,
    gan_loss: AdversarialLoss,
) -> Terms:
    """Return what the discriminators minimize: equation 4, for each domain.

    Args:
        dis_a: Domain a's discriminator.
        dis_b: Domain b's discriminator.
        x_a: Real images of domain a, ``(N, C, H, W)`` in [-1, 1].
        x_b: Real images of domain b.
        x_ab: Domain a's images translated to b, through which no gradient goes.
        x_ba: Domain b's images translated to a, likewise.
        gan_loss: The adversarial loss.
    """
    gan_a = gan_loss.discriminator(*dis_a.score_batches(x_a, x_ba.detach()))
    gan_b = gan_loss.discriminator(*dis_b.score_batches(x_b, x_ab.detach()))
    return {"gan": torch.stack((gan_a, gan_b))}
