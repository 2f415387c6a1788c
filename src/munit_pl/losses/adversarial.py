"""Adversarial losses: logits in, a scalar out."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from munit_pl.layers.autocast import to_float32

Logits = Sequence[Tensor]
_Loss = Callable[[Tensor], Tensor]


def lsgan_discriminator_loss(real: Logits, fake: Logits) -> Tensor:
    """Push scores of real images to 1 and of translated images to 0.

    Least-squares GAN (Mao et al., 2017), without its factor of one half; averaged within each
    scale and summed over scales.

    Args:
        real: Scores of real images, one ``(N, 1, h, w)`` per scale.
        fake: Scores of translated images, the same shapes.

    Returns:
        A scalar.
    """
    return _sum(real, lambda logits: (logits - 1).square(), fake, torch.square)


def lsgan_generator_loss(fake: Logits) -> Tensor:
    """Push scores of translated images to 1: the other side of `lsgan_discriminator_loss`."""
    return _means(fake, lambda logits: (logits - 1).square()).sum()


def nsgan_discriminator_loss(real: Logits, fake: Logits) -> Tensor:
    """Push logits of real images up and of translated images down.

    The cross entropy of Goodfellow et al., 2014, from logits, where ``-log(sigmoid(r))`` is
    ``softplus(-r)``: what later work calls the softplus or logistic loss (StyleGAN's) is this one.
    Averaged within each scale and summed over scales.

    Args:
        real: Logits of real images, one ``(N, 1, h, w)`` per scale.
        fake: Logits of translated images, the same shapes.

    Returns:
        A scalar.
    """
    return _sum(real, lambda logits: F.softplus(-logits), fake, F.softplus)


def nsgan_generator_loss(fake: Logits) -> Tensor:
    """Push logits of translated images up: the non-saturating loss of Goodfellow et al., 2014."""
    return _means(fake, lambda logits: F.softplus(-logits)).sum()


def hinge_discriminator_loss(real: Logits, fake: Logits) -> Tensor:
    """Push scores of real images above 1 and of translated images below -1, and no further.

    The hinge loss of Lim & Ye, "Geometric GAN", 2017, and of Miyato et al., "Spectral Normalization
    for Generative Adversarial Networks", ICLR 2018; averaged within each scale and summed over
    scales.

    Args:
        real: Scores of real images, one ``(N, 1, h, w)`` per scale.
        fake: Scores of translated images, the same shapes.

    Returns:
        A scalar.
    """
    return _sum(real, lambda logits: F.relu(1 - logits), fake, lambda logits: F.relu(1 + logits))


def hinge_generator_loss(fake: Logits) -> Tensor:
    """Push scores of translated images up, however high they are: a loss that may be negative."""
    return _means(fake, torch.neg).sum()


def _sum(real: Logits, of_real: _Loss, fake: Logits, of_fake: _Loss) -> Tensor:
    """Return the sum over scales of what real and translated images' logits cost."""
    if len(real) != len(fake):
        raise ValueError(f"real images have {len(real)} scales, translated ones {len(fake)}")
    return (_means(real, of_real) + _means(fake, of_fake)).sum()


def _means(logits: Logits, loss: _Loss) -> Tensor:
    """Return the mean of each logit's loss at each scale, ``(S,)`` in fp32."""
    # All scales at once up to there: on a GPU each operation on so little takes as long as on all.
    each = loss(to_float32(torch.cat([scale.flatten() for scale in logits])))
    of_scales = torch.split(each, [scale.numel() for scale in logits])
    return torch.stack([of_scale.mean() for of_scale in of_scales])


def scores(logits: Logits) -> Tensor:
    """Return each image's mean logit at each scale, in fp32.

    Args:
        logits: One ``(N, 1, h, w)`` per scale.

    Returns:
        ``(S, N)``.
    """
    return torch.stack([to_float32(scale).flatten(1).mean(1) for scale in logits])


class AdversarialLoss(NamedTuple):
    """Both sides of one adversarial game.

    Attributes:
        discriminator: Logits of real images and of translations in, a scalar out.
        generator: Logits of translations in, a scalar out.
        boundary: The logit half-way between real and translated: logits above it count as real.
    """

    discriminator: Callable[[Logits, Logits], Tensor]
    generator: Callable[[Logits], Tensor]
    boundary: float = 0.0


GanLoss = Literal["lsgan", "nsgan", "hinge"]

ADVERSARIAL_LOSSES: dict[str, AdversarialLoss] = {
    "lsgan": AdversarialLoss(lsgan_discriminator_loss, lsgan_generator_loss, boundary=0.5),
    "nsgan": AdversarialLoss(nsgan_discriminator_loss, nsgan_generator_loss),
    "hinge": AdversarialLoss(hinge_discriminator_loss, hinge_generator_loss),
}


def adversarial_loss(name: str) -> AdversarialLoss:
    """Return the adversarial loss called ``name``.

    Raises:
        ValueError: If there is no such loss.
    """
    if name not in ADVERSARIAL_LOSSES:
        raise ValueError(f"gan_loss is {name!r}, but must be {' or '.join(ADVERSARIAL_LOSSES)}")
    return ADVERSARIAL_LOSSES[name]


def recording_logits(
    loss: AdversarialLoss,
) -> tuple[AdversarialLoss, list[Logits], list[Logits]]:
    """Return the same loss, and lists that each discriminator's logits join: real's, fakes'."""
    seen_real: list[Logits] = []
    seen_fake: list[Logits] = []

    def discriminator(real: Logits, fake: Logits) -> Tensor:
        seen_real.append(real)
        seen_fake.append(fake)
        return loss.discriminator(real, fake)

    return loss._replace(discriminator=discriminator), seen_real, seen_fake
