"""Adaptive discriminator augmentation (ADA): as often as discriminators overfit.

Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020, section
3: a discriminator that overfits scores real images ever higher. An augmentation is applied with a
probability p that rises while the overfitting heuristic r_t is above a target, and else falls.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, distributed

from munit_pl.checks import PositiveInt, WithinOne, checked
from munit_pl.losses.adversarial import Logits

EVERY = 4  # iterations over which r_t is accumulated before p moves


def overfitting_heuristic(real: Logits, boundary: float) -> Tensor:
    """Return r_t = E[sign(D(real))], the paper's heuristic for overfitting.

    Signs are averaged over the patches of each scale and then over scales, which weigh the same in
    the losses, too.

    Args:
        real: Logits of real images, one ``(N, 1, h, w)`` per scale.
        boundary: Logits above it count as real, see `AdversarialLoss`. One that equals it, or is
            NaN, counts as 0.

    Returns:
        A scalar in [-1, 1], without a gradient.
    """
    signs = [(scale > boundary).float() - (scale < boundary).float() for scale in real]
    return torch.stack([sign.mean() for sign in signs]).mean()


class AdaptiveAugment:
    """The probabilities p of augmentations, domain a's and domain b's.

    All is held in tensors, so that nothing waits for a device, and is the same in all processes.

    Args:
        target: The r_t above which p rises.
        images: Images of a domain in which a probability can go from 0 to 1.

    Attributes:
        p_steps: The probabilities times ``images``, ``(2,)`` integers, which no type rounds.
        accumulated: Since p last moved, ``(3,)``: both r_t times images, and images.

    Raises:
        ValueError: If an argument is out of range.
    """

    @checked
    def __init__(self, target: WithinOne = 0.6, images: PositiveInt = 500_000) -> None:
        self.target = target
        self.images = images
        # On no device that is only the default of the moment.
        self.p_steps = torch.zeros(2, dtype=torch.int64, device="cpu")
        self.accumulated = torch.zeros(3, dtype=torch.float32, device="cpu")

    @property
    def probability(self) -> Tensor:
        """Domain a's and domain b's probability, ``(2,)``."""
        return self.p_steps / self.images

    def decide(self, drawn: Tensor) -> Tensor:
        """Return which augmentations are made.

        Args:
            drawn: Drawn from U[0, 1), ``(N, 2, ...)``, for domain a and for domain b.

        Returns:
            Booleans of the shape of ``drawn``.
        """
        of_domain = self.probability.to(drawn.device).view(2, *[1] * (drawn.ndim - 2))
        return drawn < of_domain

    @torch.no_grad()
    def measure(self, heuristics: Tensor, n: int, together: bool = False) -> None:
        """Accumulate r_t of an iteration.

        Args:
            heuristics: Domain a's `overfitting_heuristic` and domain b's, ``(2,)``.
            n: Of how many images of each domain.
            together: Whether other processes measured theirs. All must call it then; no host waits
                for its device, which a reduction of Lightning's would have it do.
        """
        accumulated = n * torch.cat([heuristics, torch.ones_like(heuristics[:1])])
        if together:
            distributed.all_reduce(accumulated)
        self.accumulated = self.accumulated.to(accumulated.device) + accumulated

    @torch.no_grad()
    def move(self) -> None:
        """Let each probability rise or fall by the images seen since it last did, within [0, 1]."""
        sums, images = self.accumulated[:2], self.accumulated[2]
        step = (sums / images - self.target).sign() * images
        self.p_steps = (self.p_steps.to(step.device) + step.long()).clamp(0, self.images)
        self.accumulated = torch.zeros_like(self.accumulated)

    def state(self) -> dict[str, list[float]]:
        """Return plain values that `load` takes."""
        # Not as images, so that one that goes on at another speed goes on from the same place.
        p_steps = [images / self.images for images in self.p_steps.tolist()]
        return {"probability": p_steps, "seen": self.accumulated.tolist()}

    def load(self, state: Mapping[str, Sequence[float]]) -> None:
        """Go on from what `state` returned."""
        p_steps = [round(p * self.images) for p in state["probability"]]
        self.p_steps = torch.tensor(p_steps, dtype=torch.int64, device="cpu")
        self.accumulated = torch.tensor(state["seen"], dtype=torch.float32, device="cpu")


def adaptive(
    target: float | None, images: int, augmentations: Sequence[str]
) -> AdaptiveAugment | None:
    """Return what says how often ``augmentations`` are made; None if they always are.

    Raises:
        ValueError: If there are none, or an argument is out of range.
    """
    if target is None:
        return None
    if not augmentations:
        raise ValueError(
            f"adaptive_augment is {target}, but diffaugment names no augmentation to make"
        )
    return AdaptiveAugment(target, images)
