"""What is minimized alike in methods that translate both ways."""

from typing import NamedTuple

import torch
from torch import Tensor

from munit_pl.losses.adversarial import AdversarialLoss
from munit_pl.losses.terms import Discriminator, Terms


class Images(NamedTuple):
    """A batch of each domain, ``(N, C, H, W)`` in [-1, 1]."""

    x_a: Tensor
    x_b: Tensor


class Styles(NamedTuple):
    """What is drawn from N(0, I) for each image, one draw for each domain that is made."""

    z_a: Tensor
    z_b: Tensor


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
    discriminators: tuple[Discriminator, Discriminator],
    images: Images,
    translations: Translations,
    gan_loss: AdversarialLoss,
) -> Terms:
    """Return what the discriminators minimize: equation 4, for each domain.

    Args:
        discriminators: Domain a's and domain b's.
        images: Real images.
        translations: Made of them, or earlier ones. No gradient goes through them.
        gan_loss: The adversarial loss.
    """
    dis_a, dis_b = discriminators
    gan_a = gan_loss.discriminator(*dis_a.score_batches(images.x_a, translations.x_ba.detach()))
    gan_b = gan_loss.discriminator(*dis_b.score_batches(images.x_b, translations.x_ab.detach()))
    return {"gan": torch.stack((gan_a, gan_b))}
