"""Augmentations made only as often as discriminators know the real images by heart.

Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020, section
3: a discriminator that has learnt its images judges them ever more surely. An augmentation is made
with a probability that rises while it is too sure and falls while it is not.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, distributed

from munit_pl.checks import at_least_one
from munit_pl.losses.adversarial import Logits

EVERY = 4  # iterations whose verdicts are put together before the probabilities move


def certainty(real: Logits, boundary: float) -> Tensor:
    """Return how much more often real images are judged real than not.

    The paper's first heuristic for overfitting, r_t = E[sign(D(real))]. Every patch is a verdict;
    they are averaged within each scale and over scales, which weigh the same in the losses, too.

    Args:
        real: Logits of real images, one ``(N, 1, h, w)`` per scale.
        boundary: What lies above is judged real, see `AdversarialLoss`. A logit on it, or one that
            is no number, counts for neither side.

    Returns:
        A scalar in [-1, 1], without a gradient.
    """
    signs = [(scale > boundary).float() - (scale < boundary).float() for scale in real]
    return torch.stack([sign.mean() for sign in signs]).mean()


class AdaptiveAugment:
    """The probabilities with which augmentations are made, domain a's and domain b's.

    All is held in tensors, so that nothing waits for a device, and is the same in all processes.

    Args:
        target: The certainty above which a probability rises.
        images: Images of a domain in which a probability can go from 0 to 1.

    Attributes:
        risen: The probabilities times ``images``, ``(2,)`` integers, which no type rounds.
        seen: What was measured since they last moved, ``(3,)``: both certainties times images, and
            images.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, target: float = 0.6, images: int = 500_000) -> None:
        if not -1 < target < 1:
            raise ValueError(f"adaptive_augment is {target}, but must be between -1 and 1")
        at_least_one(adaptive_images=images)
        self.target = target
        self.images = images
        # On no device that is only the default of the moment.
        self.risen = torch.zeros(2, dtype=torch.int64, device="cpu")
        self.seen = torch.zeros(3, dtype=torch.float32, device="cpu")

    @property
    def probability(self) -> Tensor:
        """Domain a's and domain b's probability, ``(2,)``."""
        return self.risen / self.images

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
    def measure(self, certain: Tensor, n: int, together: bool = False) -> None:
        """Take in how certain both discriminators were in an iteration.

        Args:
            certain: Domain a's `certainty` and domain b's, ``(2,)``.
            n: Of how many images of each domain.
            together: Whether other processes measured theirs. All must call it then; no host waits
                for its device, which a reduction of Lightning's would have it do.
        """
        seen = n * torch.cat([certain, torch.ones_like(certain[:1])])
        if together:
            distributed.all_reduce(seen)
        self.seen = self.seen.to(seen.device) + seen

    @torch.no_grad()
    def move(self) -> None:
        """Let each probability rise or fall by the images seen since it last did, within [0, 1]."""
        sums, images = self.seen[:2], self.seen[2]
        step = (sums / images - self.target).sign() * images
        self.risen = (self.risen.to(step.device) + step.long()).clamp(0, self.images)
        self.seen = torch.zeros_like(self.seen)

    def state(self) -> dict[str, list[float]]:
        """Return plain values that `load` takes."""
        # Not as images, so that one that goes on at another speed goes on from the same place.
        risen = [images / self.images for images in self.risen.tolist()]
        return {"probability": risen, "seen": self.seen.tolist()}

    def load(self, state: Mapping[str, Sequence[float]]) -> None:
        """Go on from what `state` returned."""
        risen = [round(p * self.images) for p in state["probability"]]
        self.risen = torch.tensor(risen, dtype=torch.int64, device="cpu")
        self.seen = torch.tensor(state["seen"], dtype=torch.float32, device="cpu")


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
