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
from munit_pl.models.base.objective import Images, Styles, Translations


class LossWeights(NamedTuple):
    """The weights of the terms; "gan" weighs what the discriminators minimize too.

    The paper writes 10 as lambda. Half of that for the identity term is the default of the authors'
    program; the paper has the term for paintings to photographs and the like (section 5.2), and 0
    is its objective for other domains.
    """

    gan: NonNegativeFloat = 1.0
    cycle: NonNegativeFloat = 10.0
    identity: NonNegativeFloat = 5.0


class Generator(Protocol):
    """What makes one domain's images."""

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Return an image of the domain for each image ``content``, under the noise ``style``."""


class Networks(NamedTuple):
    """What CycleGAN consists of. In the generators' update discriminators are best frozen."""

    gen_a: Generator
    gen_b: Generator
    dis_a: Discriminator
    dis_b: Discriminator


def translate(networks: Networks, images: Images, noise: Styles) -> Translations:
    """Translate images under the noise ``z``, ``(N, noise_dim)``."""
    return Translations(
        x_ab=networks.gen_b.decode(images.x_a, noise.z_b),
        x_ba=networks.gen_a.decode(images.x_b, noise.z_a),
    )


def discriminator_terms(
    discriminators: tuple[Discriminator, Discriminator],
    images: Images,
    translations: Translations,
    gan_loss: AdversarialLoss,
) -> Terms:
    """Return half of `munit_pl.models.base.objective.discriminator_terms`: half of equation 1.

    The half slows the discriminators down relative to the generators.
    """
    terms = objective.discriminator_terms(discriminators, images, translations, gan_loss)
    return {"gan": terms["gan"] / 2}


def generator_terms(
    networks: Networks,
    images: Images,
    translations: Translations,
    noise: Styles,
    gan_loss: AdversarialLoss,
    identity: bool = True,
) -> Terms:
    """Return what the generators minimize, each term for domain a and for domain b.

    Args:
        networks: The networks.
        images: Real images.
        translations: What `translate` made of the images under the noise.
        noise: What the generators see beside the images, ``(N, noise_dim)`` each.
        gan_loss: The adversarial loss.
        identity: Add the identity term, for domains of the same channels.

    Returns:
        The terms: "gan" (equation 1), "cycle" (equation 2) and where asked for "identity"
        (section 5.2).
    """
    gen_a, gen_b, dis_a, dis_b = networks
    x_a, x_b = images
    x_ab, x_ba = translations
    x_aba, x_bab = gen_a.decode(x_ab, noise.z_a), gen_b.decode(x_ba, noise.z_b)
    pairs = {
        "gan": (gan_loss.generator(dis_a(x_ba)), gan_loss.generator(dis_b(x_ab))),
        "cycle": (l1(x_aba, x_a), l1(x_bab, x_b)),
    }
    if identity:
        x_aa, x_bb = gen_a.decode(x_a, noise.z_a), gen_b.decode(x_b, noise.z_b)
        pairs["identity"] = (l1(x_aa, x_a), l1(x_bb, x_b))
    return {term: torch.stack(pair) for term, pair in pairs.items()}
