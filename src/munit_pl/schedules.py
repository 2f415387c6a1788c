"""Learning rates as functions of the iteration."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from munit_pl.layers import at_least_one


def linear_decay(optimizer: Optimizer, constant: int = 100_000, decay: int = 100_000) -> LambdaLR:
    """Keep the learning rate for a while, then let it fall linearly to 0.

    The schedule of CycleGAN (Zhu et al., 2017, section 4) and BicycleGAN, in iterations where they
    count epochs. Iteration ``k``, from 0, runs at ``lr`` until ``constant`` and from there on at
    ``lr * (1 - (k - constant) / decay)``; from ``constant + decay`` on at 0.

    Args:
        optimizer: Whose rate it is.
        constant: Iterations at the full rate.
        decay: Iterations within which it falls.

    Raises:
        ValueError: If ``constant`` is negative or ``decay`` below 1.
    """
    at_least_one(decay=decay)
    if constant < 0:
        raise ValueError(f"constant is {constant}, but must not be negative")

    def factor(iteration: int) -> float:
        return 1 - min(max(iteration - constant, 0), decay) / decay

    return LambdaLR(optimizer, factor)
