"""Adaptive discriminator augmentation (ADA): as often as discriminators overfit.

Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020, section
3: a discriminator that overfits scores real images ever higher. An augmentation is applied with a
probability p that rises while the overfitting heuristic r_t is above a target, and else falls.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.distributed import all_reduce

from munit_pl.checks import PositiveInt, WithinOne, checked
from munit_pl.losses.adversarial import Logits
from munit_pl.recipes.base import DiscriminatorPass, Host
from munit_pl.recipes.diffaugment import (
    AUGMENTATIONS,
    VIEWS,
    Augmentations,
    DiffAugment,
)

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


class ADA(DiffAugment):
    """`DiffAugment` whose augmentations are made with probabilities p, domain a's and domain b's.

    All is held in tensors, so that nothing waits for a device, and is the same in all processes.
    Checkpoints hold it, state dicts of the module do not.

    Args:
        augmentations: Which, of `AUGMENTATIONS`.
        target: The r_t above which p rises and below which it falls, in (-1, 1).
        length: Images of a domain in which a probability can go from 0 to 1.

    Attributes:
        p_steps: The probabilities times ``length``, ``(2,)`` integers, which no type rounds.
        accumulated: Since p last moved, ``(3,)``: both r_t times images, and images.

    Raises:
        ValueError: If an argument is out of range.
    """

    name = "ada"

    @checked
    def __init__(
        self,
        augmentations: Augmentations = AUGMENTATIONS,
        target: WithinOne = 0.6,
        length: PositiveInt = 500_000,
    ) -> None:
        super().__init__(augmentations)
        self.target = target
        self.length = length
        # On no device that is only the default of the moment.
        self.p_steps = torch.zeros(2, dtype=torch.int64, device="cpu")
        self.accumulated = torch.zeros(3, dtype=torch.float32, device="cpu")

    @property
    def probability(self) -> Tensor:
        """Domain a's and domain b's probability, ``(2,)``."""
        return self.p_steps / self.length

    def draw(self, module: Host, batch: Sequence[Tensor], *where: int | str) -> dict[str, Tensor]:
        """Return which augmentations are made, ``(N, 3, 3)`` booleans, too."""
        shape, n = (2, len(VIEWS), len(AUGMENTATIONS)), len(batch[0])
        chances = module.draw_uniform(shape, n, "made", *where)
        made_a, made_b = self.decide(chances).unbind(1)
        return super().draw(module, batch, *where) | {"made_a": made_a, "made_b": made_b}

    def decide(self, drawn: Tensor) -> Tensor:
        """Return which augmentations are made.

        Args:
            drawn: Drawn from U[0, 1), ``(N, 2, ...)``, for domain a and for domain b.

        Returns:
            Booleans of the shape of ``drawn``.
        """
        self.p_steps = self.p_steps.to(drawn.device)
        of_domain = self.probability.view(2, *[1] * (drawn.ndim - 2))
        return drawn < of_domain

    def discriminator_term(self, done: DiscriminatorPass) -> None:
        """Leave both `overfitting_heuristic` for `after_step`; there is no term."""
        heuristics = [overfitting_heuristic(logits, done.boundary) for logits in done.real]
        done.statistics["r_t"] = torch.stack(heuristics)

    @torch.no_grad()
    def after_step(
        self, statistics: Mapping[str, Tensor], images: int, iteration: int, distributed: bool
    ) -> None:
        """Accumulate r_t, and let each p rise or fall by the images seen since it last did.

        No host waits for its device, which a reduction of Lightning's would have it do.
        """
        r_t = statistics["r_t"]
        accumulated = images * torch.cat([r_t, torch.ones_like(r_t[:1])])
        if distributed:
            all_reduce(accumulated)
        self.accumulated = self.accumulated.to(accumulated.device) + accumulated
        if iteration % EVERY == 0:
            self._move()

    def _move(self) -> None:
        sums, images = self.accumulated[:2], self.accumulated[2]
        step = (sums / images - self.target).sign() * images
        # The paper holds p from below alone; above 1 it would only take longer to come down.
        self.p_steps = (self.p_steps.to(step.device) + step.long()).clamp(0, self.length)
        self.accumulated = torch.zeros_like(self.accumulated)

    def logs(self) -> dict[str, Tensor]:
        """Return both probabilities."""
        p_a, p_b = self.probability
        return {"ada/p_a": p_a, "ada/p_b": p_b}

    def state_dict(self) -> dict[str, list[float]]:
        """Return the probabilities, and what has been accumulated."""
        # Not as images, so that one that goes on at another speed goes on from the same place.
        probability = [images / self.length for images in self.p_steps.tolist()]
        return {"probability": probability, "seen": self.accumulated.tolist()}

    def load_state_dict(self, state: Mapping[str, Sequence[float]]) -> None:
        """Go on from what `state_dict` returned."""
        p_steps = [round(p * self.length) for p in state["probability"]]
        self.p_steps = torch.tensor(p_steps, dtype=torch.int64, device="cpu")
        self.accumulated = torch.tensor(state["seen"], dtype=torch.float32, device="cpu")
