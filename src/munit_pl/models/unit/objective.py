"""What UNIT minimizes: Liu, Breuel and Kautz, "Unsupervised Image-to-Image Translation Networks".

NIPS 2017, equations 3 to 6, in the form of the original MUNIT's code. The domains share one space
of codes; an encoder gives the mean ``h`` of a Gaussian of variance 1, and ``n`` is drawn from
N(0, I). Letters follow the path as in `munit_pl.models.munit.objective`: ``x_ab`` is ``x_a``
translated to b, ``h_ab`` the code read back from it, ``x_aba`` the image there and back.

Every function is pure. Terms come unweighted, each a pair ``(2,)``: domain a's and domain b's.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat
from munit_pl.layers.autocast import to_float32
from munit_pl.losses.adversarial import AdversarialLoss
from munit_pl.losses.terms import Discriminator, Terms, l1
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.base.objective import Decodings, Images, Translations


class LossWeights(NamedTuple):
    """The weights of the terms; "gan" weighs what the discriminators minimize too."""

    gan: NonNegativeFloat = 1.0
    image: NonNegativeFloat = 10.0
    kl: NonNegativeFloat = 0.01
    cycle: NonNegativeFloat = 10.0
    cycle_kl: NonNegativeFloat = 0.01


class Networks(NamedTuple):
    """What UNIT consists of. In the generators' update discriminators are best frozen."""

    gen_a: DomainGenerator
    gen_b: DomainGenerator
    dis_a: Discriminator
    dis_b: Discriminator


class Codes(NamedTuple):
    """What both encoders read from a pair of batches."""

    h_a: Tensor
    h_b: Tensor


class Noises(NamedTuple):
    """Numbers from N(0, I) of the codes' shapes.

    Attributes:
        n_a: For the code of ``x_a``.
        n_b: For the code of ``x_b``.
        n_ab: For the code read back from ``x_ab``.
        n_ba: For the code read back from ``x_ba``.
    """

    n_a: Tensor
    n_b: Tensor
    n_ab: Tensor
    n_ba: Tensor


def encode(networks: Networks, images: Images) -> Codes:
    """Return the codes' means of images of both domains."""
    return Codes(
        networks.gen_a.content_encoder(images.x_a), networks.gen_b.content_encoder(images.x_b)
    )


def translate(networks: Networks, codes: Codes, n_a: Tensor, n_b: Tensor) -> Translations:
    """Decode each code in the other domain, under noises of the codes' shapes."""
    return Translations(
        x_ab=networks.gen_b.decoder(codes.h_a + n_a), x_ba=networks.gen_a.decoder(codes.h_b + n_b)
    )


def decode(networks: Networks, codes: Codes, n_a: Tensor, n_b: Tensor) -> Decodings:
    """Reconstruct and `translate` at once: each decoder takes both codes in one batch.

    Samples do not depend on their neighbors, so this is what separate calls would give.
    """
    sizes = [len(codes.h_a), len(codes.h_b)]
    both = torch.cat([codes.h_a + n_a, codes.h_b + n_b])
    of_a, of_b = networks.gen_a.decoder(both), networks.gen_b.decoder(both)
    x_aa, x_ba = torch.split(of_a, sizes)
    x_ab, x_bb = torch.split(of_b, sizes)
    return Decodings(x_aa=x_aa, x_bb=x_bb, x_ab=x_ab, x_ba=x_ba)


def generator_terms(
    networks: Networks,
    images: Images,
    codes: Codes,
    decoded: Decodings,
    noises: Noises,
    gan_loss: AdversarialLoss,
) -> Terms:
    """Return what the generators minimize, each term for domain a and for domain b.

    Args:
        networks: The networks.
        images: Real images.
        codes: What `encode` made of the images.
        decoded: What `decode` made of the codes.
        noises: Of which the last two are used: those of the codes read back.
        gan_loss: The adversarial loss.

    Returns:
        The terms: "image" and "kl" (the auto-encoder's, equation 3), "gan" (equation 4), "cycle"
        and "cycle_kl" (equation 5).
    """
    gen_a, gen_b, dis_a, dis_b = networks
    x_a, x_b = images
    x_aa, x_bb, x_ab, x_ba = decoded
    h_ab, h_ba = gen_b.content_encoder(x_ab), gen_a.content_encoder(x_ba)
    x_aba, x_bab = gen_a.decoder(h_ab + noises.n_ab), gen_b.decoder(h_ba + noises.n_ba)

    pairs = {
        "gan": (gan_loss.generator(dis_a(x_ba)), gan_loss.generator(dis_b(x_ab))),
        "image": (l1(x_aa, x_a), l1(x_bb, x_b)),
        "kl": (kl(codes.h_a), kl(codes.h_b)),
        "cycle": (l1(x_aba, x_a), l1(x_bab, x_b)),
        "cycle_kl": (kl(h_ab), kl(h_ba)),
    }
    return {term: torch.stack(pair) for term, pair in pairs.items()}


def kl(h: Tensor) -> Tensor:
    """Return the mean square of a code.

    But for a factor of one half it is the divergence of N(h, I) from N(0, I), per number.
    """
    return to_float32(h).square().mean()
