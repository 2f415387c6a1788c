"""The R1 gradient penalty, which keeps discriminators flat where images are real."""

from collections.abc import Sequence

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat, PositiveInt, checked
from munit_pl.layers.autocast import to_float32, without_autocast
from munit_pl.losses.adversarial import scores
from munit_pl.losses.terms import Discriminator
from munit_pl.recipes.base import DiscriminatorPass, Host, Recipe


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
    # What torch.compile has made of a network cannot be differentiated twice.
    eager = torch.compiler.set_stance("force_eager")
    with torch.enable_grad(), without_autocast(x), eager:
        (gradient,) = torch.autograd.grad(scores(dis(x)).sum(), x, create_graph=True)
        return to_float32(gradient).square().flatten(1).sum(1) / 2


class R1(Recipe):
    """The penalty in one of ``every`` iterations, counted ``every`` times.

    So it pulls as strongly as in each: the lazy regularization of Karras et al., "Analyzing and
    Improving the Image Quality of StyleGAN", CVPR 2020, appendix B. It passes through
    augmentations, where recipes make some.

    Args:
        weight: What the paper calls gamma.
        every: Iterations of which one has the penalty.

    Raises:
        ValueError: If ``every`` is below 1.
    """

    name = "r1"

    @checked
    def __init__(self, weight: NonNegativeFloat = 1.0, every: PositiveInt = 16) -> None:
        self.weight = weight
        self.every = every

    def draw(self, module: Host, batch: Sequence[Tensor], *where: int | str) -> dict[str, Tensor]:
        """Return "r1", ``(N,)``: how often each image's penalty counts; in validation none."""
        # Of iterations counted from 1, those that logs take too.
        if isinstance(where[0], str) or (where[0] + 1) % self.every != 0:
            return {}
        x = batch[0]
        return {"r1": torch.full((len(x),), float(self.every), device=x.device)}

    def discriminator_term(self, done: DiscriminatorPass) -> Tensor | None:
        """Return the penalty of both discriminators, ``(2,)``, in iterations that have it."""
        if "r1" not in done.draws:
            return None
        pairs = zip(done.discriminators, (done.x_a, done.x_b), strict=True)
        counts = done.draws["r1"]
        return torch.stack([(counts * gradient_penalty(dis, x)).mean() for dis, x in pairs])
