"""What is minimized: section 3.2 of Huang et al., 2018, equations 1 to 5.

Letters follow the path. The domains are a and b; ``x`` is an image, ``c`` a content code, ``s`` a
style code read from an image and ``z`` one drawn from N(0, I). ``x_ab`` is ``x_a`` translated to b,
``c_ab`` the content code read back from it, ``x_aba`` the image there and back.

Every function is pure: no optimizer, no logging, the random styles are arguments. Terms come
unweighted under the names of their weights, each a pair ``(2,)``: domain a's and domain b's.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat
from munit_pl.losses.adversarial import AdversarialLoss
from munit_pl.losses.terms import Discriminator, Terms, l1
from munit_pl.models.base.objective import Decodings, Translations
from munit_pl.recipes.mask import background_l1
from munit_pl.recipes.mode_seeking import mode_seeking


class LossWeights(NamedTuple):
    """The weights of the terms; "gan" weighs what the discriminators minimize too.

    The paper's; what generators may minimize besides, "diversity" (`mode_seeking`) and, of images
    that have masks, "mask" (`background_l1`); and what discriminators may, "r1"
    (`munit_pl.recipes.r1`) and "consistency" (`munit_pl.recipes.consistency`).
    """

    gan: NonNegativeFloat = 1.0
    image: NonNegativeFloat = 10.0
    style: NonNegativeFloat = 1.0
    content: NonNegativeFloat = 1.0
    cycle: NonNegativeFloat = 0.0
    perceptual: NonNegativeFloat = 0.0
    diversity: NonNegativeFloat = 0.0
    r1: NonNegativeFloat = 0.0
    consistency: NonNegativeFloat = 0.0
    mask: NonNegativeFloat = 0.0


class Generator(Protocol):
    """One domain's auto-encoder."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return content and style."""

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Return images."""


class Codes(NamedTuple):
    """What both encoders read from a pair of batches."""

    c_a: Tensor
    s_a: Tensor
    c_b: Tensor
    s_b: Tensor


def encode(gen_a: Generator, gen_b: Generator, x_a: Tensor, x_b: Tensor) -> Codes:
    """Split images ``(N, C, H, W)`` in [-1, 1] of both domains into content and style."""
    return Codes(*gen_a.encode(x_a), *gen_b.encode(x_b))


def translate(
    gen_a: Generator, gen_b: Generator, codes: Codes, z_a: Tensor, z_b: Tensor
) -> Translations:
    """Decode each content in the other domain, under the styles ``z``, ``(N, style_dim)``."""
    return Translations(x_ab=gen_b.decode(codes.c_a, z_b), x_ba=gen_a.decode(codes.c_b, z_a))


def decode(gen_a: Generator, gen_b: Generator, codes: Codes, z_a: Tensor, z_b: Tensor) -> Decodings:
    """Reconstruct and `translate` at once: each decoder takes both contents in one batch.

    Samples do not depend on their neighbors, so this is what separate calls would give.
    """
    c_a, s_a, c_b, s_b = codes
    n_a, n_b = len(c_a), len(c_b)
    of_a = gen_a.decode(torch.cat([c_a, c_b]), torch.cat([s_a, z_a]))
    of_b = gen_b.decode(torch.cat([c_b, c_a]), torch.cat([s_b, z_b]))
    x_aa, x_ba = of_a[:n_a], of_a[n_a:]
    x_bb, x_ab = of_b[:n_b], of_b[n_b:]
    return Decodings(x_aa=x_aa, x_bb=x_bb, x_ab=x_ab, x_ba=x_ba)


def generator_terms(
    gen_a: Generator,
    gen_b: Generator,
    dis_a: Discriminator,
    dis_b: Discriminator,
    x_a: Tensor,
    x_b: Tensor,
    codes: Codes,
    decoded: Decodings,
    z_a: Tensor,
    z_b: Tensor,
    gan_loss: AdversarialLoss,
    cycle: bool = False,
    perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
    others: tuple[Tensor, Tensor] | None = None,
    masks: tuple[Tensor, Tensor] | None = None,
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
        decoded: What `decode` made of the codes under ``z_a`` and ``z_b``.
        z_a: Styles drawn for domain a, ``(N, style_dim)``.
        z_b: Styles drawn for domain b.
        gan_loss: The adversarial loss.
        cycle: Add the explicit cycle term.
        perceptual: Adds the perceptual term: a translation and its source in, a scalar out.
        others: Adds the diversity term: a second style of domain a and of domain b for each image,
            shaped as ``z_a`` and ``z_b``.
        masks: Adds the mask term: of ``x_a`` and of ``x_b`` what may change, ``(N, 1, H, W)`` in
            [0, 1].

    Returns:
        The terms: "image" (equation 1), "content" (2), "style" (3) and "gan" (4), and where asked
        for "cycle" (section 5.1's style-augmented cycle made explicit), "perceptual", "diversity"
        (`mode_seeking`) and "mask" (`background_l1`).
    """
    c_a, s_a, c_b, s_b = codes
    x_aa, x_bb, x_ab, x_ba = decoded

    c_ab, s_ab = gen_b.encode(x_ab)
    c_ba, s_ba = gen_a.encode(x_ba)

    pairs = {
        "gan": (gan_loss.generator(dis_a(x_ba)), gan_loss.generator(dis_b(x_ab))),
        "image": (l1(x_aa, x_a), l1(x_bb, x_b)),
        # The first encoding is no fixed target: the gradient reaches both sides.
        "content": (l1(c_ab, c_a), l1(c_ba, c_b)),
        "style": (l1(s_ba, z_a), l1(s_ab, z_b)),
    }
    if cycle:
        x_aba, x_bab = gen_a.decode(c_ab, s_a), gen_b.decode(c_ba, s_b)
        pairs["cycle"] = (l1(x_aba, x_a), l1(x_bab, x_b))
    if perceptual is not None:
        pairs["perceptual"] = (perceptual(x_ba, x_b), perceptual(x_ab, x_a))
    if others is not None:
        w_a, w_b = others
        again = translate(gen_a, gen_b, codes, w_a, w_b)
        pairs["diversity"] = (
            mode_seeking(x_ba, again.x_ba, z_a, w_a),
            mode_seeking(x_ab, again.x_ab, z_b, w_b),
        )
    if masks is not None:
        m_a, m_b = masks
        pairs["mask"] = (background_l1(x_ba, x_b, m_b), background_l1(x_ab, x_a, m_a))
    return {term: torch.stack(pair) for term, pair in pairs.items()}
