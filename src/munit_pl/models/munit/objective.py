"""What is minimized: section 3.2 of Huang et al., 2018, equations 1 to 5.

Letters follow the path. The domains are a and b; ``x`` is an image, ``c`` a content code, ``s`` a
style code read from an image and ``z`` one drawn from N(0, I). ``x_ab`` is ``x_a`` translated to b,
``c_ab`` the content code read back from it, ``x_aba`` the image there and back.

Every function is pure: no optimizer, no logging, the random styles are arguments. Terms come
unweighted under the names of their weights, each a pair ``(2,)``: domain a's and domain b's.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat
from munit_pl.losses.adversarial import AdversarialLoss
from munit_pl.losses.terms import Discriminator, Terms, l1
from munit_pl.models.base.objective import Decodings, Images, Styles, Translations


class LossWeights(NamedTuple):
    """The weights of the terms; "gan" weighs what the discriminators minimize too."""

    gan: NonNegativeFloat = 1.0
    image: NonNegativeFloat = 10.0
    style: NonNegativeFloat = 1.0
    content: NonNegativeFloat = 1.0
    cycle: NonNegativeFloat = 0.0


class Generator(Protocol):
    """One domain's auto-encoder."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return content and style."""

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Return images."""


class Networks(NamedTuple):
    """What MUNIT consists of. In the generators' update discriminators are best frozen."""

    gen_a: Generator
    gen_b: Generator
    dis_a: Discriminator
    dis_b: Discriminator


class Codes(NamedTuple):
    """What both encoders read from a pair of batches."""

    c_a: Tensor
    s_a: Tensor
    c_b: Tensor
    s_b: Tensor


def encode(networks: Networks, images: Images) -> Codes:
    """Split images of both domains into content and style."""
    return Codes(*networks.gen_a.encode(images.x_a), *networks.gen_b.encode(images.x_b))


def translate(networks: Networks, codes: Codes, styles: Styles) -> Translations:
    """Decode each content in the other domain, under the styles ``z``, ``(N, style_dim)``."""
    return Translations(
        x_ab=networks.gen_b.decode(codes.c_a, styles.z_b),
        x_ba=networks.gen_a.decode(codes.c_b, styles.z_a),
    )


def decode(networks: Networks, codes: Codes, styles: Styles) -> Decodings:
    """Reconstruct and `translate` at once: each decoder takes both contents in one batch.

    Samples do not depend on their neighbors, so this is what separate calls would give.
    """
    c_a, s_a, c_b, s_b = codes
    sizes = [len(c_a), len(c_b)]
    of_a = networks.gen_a.decode(torch.cat([c_a, c_b]), torch.cat([s_a, styles.z_a]))
    of_b = networks.gen_b.decode(torch.cat([c_b, c_a]), torch.cat([s_b, styles.z_b]))
    x_aa, x_ba = torch.split(of_a, sizes)
    x_bb, x_ab = torch.split(of_b, sizes[::-1])
    return Decodings(x_aa=x_aa, x_bb=x_bb, x_ab=x_ab, x_ba=x_ba)


def generator_terms(
    networks: Networks,
    images: Images,
    codes: Codes,
    decoded: Decodings,
    styles: Styles,
    gan_loss: AdversarialLoss,
    cycle: bool = False,
) -> Terms:
    """Return what the generators minimize, each term for domain a and for domain b.

    Args:
        networks: The networks.
        images: Real images.
        codes: What `encode` made of the images.
        decoded: What `decode` made of the codes under the styles.
        styles: The styles drawn.
        gan_loss: The adversarial loss.
        cycle: Add the explicit cycle term.

    Returns:
        The terms: "image" (equation 1), "content" (2), "style" (3) and "gan" (4), and where asked
        for "cycle" (section 5.1's style-augmented cycle made explicit).
    """
    gen_a, gen_b, dis_a, dis_b = networks
    x_a, x_b = images
    z_a, z_b = styles
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
    return {term: torch.stack(pair) for term, pair in pairs.items()}
