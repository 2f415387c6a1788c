"""What UNIT minimizes: Liu, Breuel and Kautz, "Unsupervised Image-to-Image Translation Networks".

NIPS 2017, equations 3 to 6, in the form of the original MUNIT's code. The domains share one space
of codes; an encoder gives the mean ``h`` of a Gaussian of deviation 1, and ``n`` is drawn from
N(0, I). Letters follow the path as in `munit_pl.models.munit.objective`: ``x_ab`` is ``x_a``
translated to b, ``h_ab`` the code read back from it, ``x_aba`` the image there and back.

Every function is pure. Terms come unweighted, each a pair ``(2,)``: domain a's and domain b's.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat
from munit_pl.layers.autocast import to_float32
from munit_pl.losses.adversarial import AdversarialLoss
from munit_pl.losses.terms import Discriminator, Terms, l1
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.base.objective import Decodings, Translations


class LossWeights(NamedTuple):
    """The weights of the terms; "gan" weighs what the discriminators minimize too."""

    gan: NonNegativeFloat = 1.0
    image: NonNegativeFloat = 10.0
    kl: NonNegativeFloat = 0.01
    cycle: NonNegativeFloat = 10.0
    cycle_kl: NonNegativeFloat = 0.01
    perceptual: NonNegativeFloat = 0.0


class Codes(NamedTuple):
    """What both encoders read from a pair of batches."""

    h_a: Tensor
    h_b: Tensor


def encode(gen_a: DomainGenerator, gen_b: DomainGenerator, x_a: Tensor, x_b: Tensor) -> Codes:
    """Return the codes' means of images ``(N, C, H, W)`` in [-1, 1] of both domains."""
    return Codes(gen_a.content_encoder(x_a), gen_b.content_encoder(x_b))


def translate(
    gen_a: DomainGenerator, gen_b: DomainGenerator, codes: Codes, n_a: Tensor, n_b: Tensor
) -> Translations:
    """Decode each code in the other domain, under noises of the codes' shapes."""
    return Translations(x_ab=gen_b.decoder(codes.h_a + n_a), x_ba=gen_a.decoder(codes.h_b + n_b))


def decode(
    gen_a: DomainGenerator, gen_b: DomainGenerator, codes: Codes, n_a: Tensor, n_b: Tensor
) -> Decodings:
    """Reconstruct and `translate` at once: each decoder takes both codes in one batch.

    Samples do not depend on their neighbors, so this is what separate calls would give.
    """
    size_a = len(codes.h_a)
    both = torch.cat([codes.h_a + n_a, codes.h_b + n_b])
    of_a, of_b = gen_a.decoder(both), gen_b.decoder(both)
    x_aa, x_ba = of_a[:size_a], of_a[size_a:]
    x_ab, x_bb = of_b[:size_a], of_b[size_a:]
    return Decodings(x_aa=x_aa, x_bb=x_bb, x_ab=x_ab, x_ba=x_ba)


def generator_terms(
    gen_a: DomainGenerator,
    gen_b: DomainGenerator,
    dis_a: Discriminator,
    dis_b: Discriminator,
    x_a: Tensor,
    x_b: Tensor,
    codes: Codes,
    decoded: Decodings,
    n_ab: Tensor,
    n_ba: Tensor,
    gan_loss: AdversarialLoss,
    perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Terms:
    """Return what the generators minimize, each term for domain a and for domain b.

    Args:
        gen_a: Domain a's auto-encoder.
        gen_b: Domain b's auto-encoder.
        dis_a: Domain a's discriminator; its weights are best frozen, to save their gradients.
        dis_b: Domain b's discriminator.
        x_a: Images of domain a, ``(N, C, H, W)`` in [-1, 1].
        x_b: Images of domain b.
        codes: What `encode` made of the images.
        decoded: What `decode` made of the codes.
        n_ab: Noise for the code read back from ``x_ab``, of the codes' shape.
        n_ba: Noise for the code read back from ``x_ba``.
        gan_loss: The adversarial loss.
        perceptual: Adds the perceptual term: a translation and its source in, a scalar out.

    Returns:
        The terms: "image" and "kl" (the auto-encoder's, equation 3), "gan" (equation 4), "cycle"
        and "cycle_kl" (equation 5), and where asked for "perceptual".
    """
    x_aa, x_bb, x_ab, x_ba = decoded
    h_ab, h_ba = gen_b.content_encoder(x_ab), gen_a.content_encoder(x_ba)
    x_aba, x_bab = gen_a.decoder(h_ab + n_ab), gen_b.decoder(h_ba + n_ba)

    pairs = {
        "gan": (gan_loss.generator(dis_a(x_ba)), gan_loss.generator(dis_b(x_ab))),
        "image": (l1(x_aa, x_a), l1(x_bb, x_b)),
        "kl": (kl(codes.h_a), kl(codes.h_b)),
        "cycle": (l1(x_aba, x_a), l1(x_bab, x_b)),
        "cycle_kl": (kl(h_ab), kl(h_ba)),
    }
    if perceptual is not None:
        pairs["perceptual"] = (perceptual(x_ba, x_b), perceptual(x_ab, x_a))
    return {term: torch.stack(pair) for term, pair in pairs.items()}


def kl(h: Tensor) -> Tensor:
    """Return the mean square of a code.

    But for a factor of one half it is the divergence of N(h, I) from N(0, I), per number.
    """
    return to_float32(h).square().mean()
