"""What is minimized: section 3 of Zhu et al., NIPS 2017, for both directions at once.

Letters follow the path, as in `munit_pl.models.munit.objective`. ``x_a[i]`` and ``x_b[i]`` show the
same thing in domains a and b. Two branches translate each image: "encoded" under a style read from
its partner (the paper's cVAE-GAN) and "random" under one drawn from N(0, I) (its cLR-GAN). Each
domain has a discriminator for either branch.

As in the authors' program, which trains with batches of two, both branches translate one half of a
batch, and the second branch's discriminator takes its real images from the other. A batch of one
image is both halves.

Every function is pure: no optimizer, no logging, the random numbers are arguments. Terms come
unweighted under the names of their weights, each a pair ``(2,)``: domain a's and domain b's.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call

from munit_pl.checks import NonNegativeFloat
from munit_pl.layers.autocast import to_float32
from munit_pl.losses.adversarial import AdversarialLoss
from munit_pl.losses.terms import Terms, l1
from munit_pl.models.base.objective import Images
from munit_pl.models.bicyclegan.networks import (
    BicycleGANGenerator,
    BranchDiscriminators,
    ResnetEncoder,
)


class LossWeights(NamedTuple):
    """The weights of the generators' terms."""

    gan: NonNegativeFloat = 1.0
    gan_random: NonNegativeFloat = 1.0
    image: NonNegativeFloat = 10.0
    latent: NonNegativeFloat = 0.5
    kl: NonNegativeFloat = 0.01


class Draws(NamedTuple):
    """The random numbers of an iteration, from N(0, I), each ``(N, style_dim)``.

    Attributes:
        eps_a: Where in its distribution the style read from ``x_a`` is taken.
        eps_b: Where in its distribution the style read from ``x_b`` is taken.
        z_a: Drawn styles of domain a.
        z_b: Drawn styles of domain b.
    """

    eps_a: Tensor
    eps_b: Tensor
    z_a: Tensor
    z_b: Tensor


class Posteriors(NamedTuple):
    """The normal distributions of both domains' styles, given the images; ``(N, style_dim)``."""

    mean_a: Tensor
    log_variance_a: Tensor
    mean_b: Tensor
    log_variance_b: Tensor


class BranchTranslations(NamedTuple):
    """A pair of batches, each translated to the other domain under either kind of style."""

    encoded_ab: Tensor
    encoded_ba: Tensor
    random_ab: Tensor
    random_ba: Tensor


class Networks(NamedTuple):
    """What BicycleGAN consists of. In the generators' update discriminators are best frozen."""

    gen_a: BicycleGANGenerator
    gen_b: BicycleGANGenerator
    dis_a: BranchDiscriminators
    dis_b: BranchDiscriminators


def read(networks: Networks, images: Images) -> Posteriors:
    """Encode images of both domains."""
    return Posteriors(
        *networks.gen_a.style_encoder.distribution(images.x_a),
        *networks.gen_b.style_encoder.distribution(images.x_b),
    )


def sample(mean: Tensor, log_variance: Tensor, eps: Tensor) -> Tensor:
    """Turn ``eps`` from N(0, I) into a sample of a normal distribution, differentiably."""
    return mean + eps * (log_variance / 2).exp()


def translate(
    networks: Networks, images: Images, posteriors: Posteriors, draws: Draws
) -> BranchTranslations:
    """Translate each image under the style read from its partner, and under a drawn one.

    Each network takes both branches in one batch. Samples do not depend on their neighbors, so
    this is what separate calls would give.
    """
    (x_a, x_b), (mean_a, log_variance_a, mean_b, log_variance_b) = images, posteriors
    s_a = sample(mean_a, log_variance_a, draws.eps_a)
    s_b = sample(mean_b, log_variance_b, draws.eps_b)
    of_a = networks.gen_a.decode(torch.cat([x_b, x_b]), torch.cat([s_a, draws.z_a]))
    of_b = networks.gen_b.decode(torch.cat([x_a, x_a]), torch.cat([s_b, draws.z_b]))
    encoded_ba, random_ba = of_a.chunk(2)
    encoded_ab, random_ab = of_b.chunk(2)
    return BranchTranslations(encoded_ab, encoded_ba, random_ab, random_ba)


def discriminator_terms(
    discriminators: tuple[BranchDiscriminators, BranchDiscriminators],
    images: Images,
    others: Images,
    translations: BranchTranslations,
    gan_loss: AdversarialLoss,
) -> Terms:
    """Return what the discriminators minimize: "gan" and "gan_random", for each domain.

    Args:
        discriminators: Domain a's and domain b's.
        images: Real images, for those of the encoded branch.
        others: Real images, for those of the random one.
        translations: What `translate` made of ``images``, through which no gradient goes.
        gan_loss: The adversarial loss.
    """
    (dis_a, dis_b), (x_a, x_b) = discriminators, images
    encoded_ab, encoded_ba, random_ab, random_ba = (fake.detach() for fake in translations)
    loss = gan_loss.discriminator
    return {
        "gan": torch.stack(
            (
                loss(*dis_a.encoded.score_batches(x_a, encoded_ba)),
                loss(*dis_b.encoded.score_batches(x_b, encoded_ab)),
            )
        ),
        "gan_random": torch.stack(
            (
                loss(*dis_a.random.score_batches(others.x_a, random_ba)),
                loss(*dis_b.random.score_batches(others.x_b, random_ab)),
            )
        ),
    }


def generator_terms(
    networks: Networks,
    images: Images,
    posteriors: Posteriors,
    translations: BranchTranslations,
    draws: Draws,
    gan_loss: AdversarialLoss,
) -> Terms:
    """Return what translators and encoders minimize, each term for domain a and for domain b.

    Args:
        networks: The networks.
        images: Real images.
        posteriors: What `read` made of the images.
        translations: What `translate` made of images, ``posteriors`` and ``draws``.
        draws: The random numbers.
        gan_loss: The adversarial loss.

    Returns:
        The terms: "gan", "image" (the distance to the partner) and "kl" of the encoded branch
        (section 3.2); "gan_random" and "latent" (the drawn style read back) of the random one
        (section 3.3).
    """
    gen_a, gen_b, dis_a, dis_b = networks
    x_a, x_b = images
    mean_a, log_variance_a, mean_b, log_variance_b = posteriors
    encoded_ab, encoded_ba, random_ab, random_ba = translations
    loss = gan_loss.generator
    pairs = {
        "gan": (loss(dis_a.encoded(encoded_ba)), loss(dis_b.encoded(encoded_ab))),
        "gan_random": (loss(dis_a.random(random_ba)), loss(dis_b.random(random_ab))),
        "image": (l1(encoded_ba, x_a), l1(encoded_ab, x_b)),
        "latent": (
            l1(read_frozen(gen_a.style_encoder, random_ba), draws.z_a),
            l1(read_frozen(gen_b.style_encoder, random_ab), draws.z_b),
        ),
        "kl": (kl(mean_a, log_variance_a), kl(mean_b, log_variance_b)),
    }
    return {term: torch.stack(pair) for term, pair in pairs.items()}


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the divergence of normal distributions from N(0, I), in nats.

    Summed over the components of a style and averaged over the batch. The authors' program sums
    over the batch as well; its half batches hold one image, so that its weight means the same here.

    Args:
        mean: Means, ``(N, style_dim)``.
        log_variance: Logarithms of the variances, ``(N, style_dim)``.
    """
    mean, log_variance = to_float32(mean), to_float32(log_variance)
    per_component = mean.square() + log_variance.exp() - 1 - log_variance
    return per_component.sum(1).mean() / 2


def read_frozen(encoder: ResnetEncoder, x: Tensor) -> Tensor:
    """Return the means that an encoder reads, with a gradient to ``x`` but not to its weights.

    The latent term is minimized by the translator alone: an encoder that learnt from it would help
    the translator to hide the style in images.
    """
    weights = {name: weight.detach() for name, weight in encoder.named_parameters()}
    return functional_call(encoder, weights, (x,))
