"""What is minimized: section 3 of Zhu et al., ICCV 2017, equations 1 to 3 and the identity term.

The domains are a and b; ``x`` is an image, ``z`` noise drawn from N(0, I), of length 0 unless the
generators take some. ``x_ab`` is ``x_a`` translated to b, ``x_aba`` the image there and back, and
``x_aa`` what the generator of a's images makes of one of them. Either generator sees one draw of
noise in all that it makes.

Every function is pure: no optimizer, no logging, the noise is an argument. Terms come unweighted
under the names of their weights, each a pair ``(2,)``: domain a's and domain b's.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat
from munit_pl.losses.adversarial import AdversarialLoss
from munit_pl.losses.terms import Discriminator, Terms, l1
from munit_pl.models.base import objective
from munit_pl.models.base.objective import Translations


class LossWeights(NamedTuple):
    """The weights of the terms; "gan" weighs what the discriminators minimize too.

    The paper writes 10 as lambda. Its section 5.2 gives the identity term half of that.
    """

    gan: NonNegativeFloat = 1.0
    cycle: NonNegativeFloat = 10.0
    identity: NonNegativeFloat = 5.0


class Generator(Protocol):
    """What makes one domain's images."""

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Return an image of the domain for each image ``content``, under the noise ``style``."""


def translate(
    gen_a: Generator, gen_b: Generator, x_a: Tensor, x_b: Tensor, z_a: Tensor, z_b: Tensor
) -> Translations:
    """Translate images ``(N, C, H, W)`` in [-1, 1] under the noise ``z``, ``(N, noise_dim)``."""
    return Translations(x_ab=gen_b.decode(x_a, z_b), x_ba=gen_a.decode(x_b, z_a))


def discriminator_terms(
    dis_a: Discriminator,
    dis_b: Discriminator,
    x_a: Tensor,
    x_b: Tensor,
    x_ab: Tensor,
    x_ba: Tensor,
    gan_loss: AdversarialLoss,
) -> Terms:
    """Return what the discriminators minimize: half of equation 1, for each domain.

    The half slows the discriminators down relative to the generators.

    Args:
        dis_a: Domain a's discriminator.
        dis_b: Domain b's discriminator.
        x_a: Real images of domain a, ``(N, C, H, W)`` in [-1, 1].
        x_b: Real images of domain b.
        x_ab: Translations to b, new or earlier ones, through which no gradient goes.
        x_ba: Translations to a, likewise.
        gan_loss: The adversarial loss.
    """
    terms = objective.discriminator_terms(dis_a, dis_b, x_a, x_b, x_ab, x_ba, gan_loss)
    return {"gan": terms["gan"] / 2}


def generator_terms(
    gen_a: Generator,
    gen_b: Generator,
    dis_a: Discriminator,
    dis_b: Discriminator,
    x_a: Tensor,
    x_b: Tensor,
    translations: Translations,
    z_a: Tensor,
    z_b: Tensor,
    gan_loss: AdversarialLoss,
    identity: bool = True,
) -> Terms:
    """Return what the generators minimize, each term for domain a and for domain b.

    Args:
        gen_a: What makes domain a's images.
        gen_b: What makes domain b's images.
        dis_a: Domain a's discriminator; its weights are best frozen, to save their gradients.
        dis_b: Domain b's discriminator.
        x_a: Images of domain a, ``(N, C, H, W)`` in [-1, 1].
        x_b: Images of domain b.
        translations: What `translate` made of the images under ``z_a`` and ``z_b``.
        z_a: Noise for what makes domain a's images, ``(N, noise_dim)``.
        z_b: Noise for what makes domain b's images.
        gan_loss: The adversarial loss.
        identity: Add the identity term, for domains of the same channels.

    Returns:
        The terms: "gan" (equation 1), "cycle" (equation 2) and where asked for "identity"
        (section 5.2).
    """
    x_ab, x_ba = translations
    x_aba, x_bab = gen_a.decode(x_ab, z_a), gen_b.decode(x_ba, z_b)
    pairs = {
        "gan": (gan_loss.generator(dis_a(x_ba)), gan_loss.generator(dis_b(x_ab))),
        "cycle": (l1(x_aba, x_a), l1(x_bab, x_b)),
    }
    if identity:
        x_aa, x_bb = gen_a.decode(x_a, z_a), gen_b.decode(x_b, z_b)
        pairs["identity"] = (l1(x_aa, x_a), l1(x_bb, x_b))
    return {term: torch.stack(pair) for term, pair in pairs.items()}
