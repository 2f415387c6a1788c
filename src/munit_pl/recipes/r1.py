"""The R1 gradient penalty, which keeps discriminators flat where images are real."""

import torch
from torch import Tensor

from munit_pl.layers.autocast import to_float32, without_autocast
from munit_pl.losses.adversarial import scores
from munit_pl.losses.terms import Discriminator


def gradient_penalty(dis: Discriminator, x: Tensor) -> Tensor:
    """Return half of the squared norm of the gradient of each image's score.

    R1 of Mescheder et al., "Which Training Methods for GANs do actually Converge?", ICML 2018,
    equation 9, without its gamma. An image's score is what the adversarial losses make of it:
    logits averaged within each scale and summed over scales.

    Args:
        dis: The discriminator, whose weights get a gradient.
        x: Real images, ``(N, C, H, W)``.

    Returns:
        ``(N,)``, not computed in half types under autocast: squares of small gradients would be 0.
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad(), without_autocast(x):
        (gradient,) = torch.autograd.grad(scores(dis(x)).sum(), x, create_graph=True)
        return to_float32(gradient).square().flatten(1).sum(1) / 2


def r1_term(
    dis_a: Discriminator, dis_b: Discriminator, x_a: Tensor, x_b: Tensor, counts: Tensor
) -> Tensor:
    """Return the penalty of domain a's and of domain b's discriminator, ``(2,)``.

    Computed in one of ``k`` iterations and counted ``k`` times, it pulls as strongly as in each:
    the lazy regularization of Karras et al., "Analyzing and Improving the Image Quality of
    StyleGAN", CVPR 2020, appendix B.

    Args:
        dis_a: Domain a's discriminator.
        dis_b: Domain b's discriminator.
        x_a: Real images of domain a, ``(N, C, H, W)``.
        x_b: Real images of domain b.
        counts: How often each image's penalty counts, ``(N,)``.
    """
    pairs = (dis_a, x_a), (dis_b, x_b)
    return torch.stack([(counts * gradient_penalty(dis, x)).mean() for dis, x in pairs])
