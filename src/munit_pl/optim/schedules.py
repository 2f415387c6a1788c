"""Learning rates as functions of the iteration."""

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Annotated, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, StepLR

from munit_pl.checks import (
    Arguments,
    ArgumentsOf,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    checked,
)


@checked
def linear_decay(
    optimizer: Optimizer, constant: NonNegativeInt = 100_000, decay: PositiveInt = 100_000
) -> LambdaLR:
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
    return LambdaLR(optimizer, _falling(constant, decay))


@checked
def schedule(
    optimizer: Optimizer,
    kind: Literal["step", "linear"] = "step",
    step_size: PositiveInt = 100_000,
    gamma: PositiveFloat = 0.5,
    constant: NonNegativeInt = 100_000,
    decay: PositiveInt = 100_000,
    warmup: NonNegativeInt = 0,
) -> LRScheduler:
    """Let the learning rate rise if asked for, then fall by steps or linearly.

    Iteration ``k``, from 0, runs at ``lr * gamma ** (k // step_size)`` if ``kind`` is "step", and
    as `linear_decay` says if it is "linear". The first ``warmup`` iterations run at
    ``(k + 1) / warmup`` of that: Adam's second moments are poor estimates at first (Goyal et al.,
    "Accurate, Large Minibatch SGD", 2017, section 2.2, for the linear rise).

    Args:
        optimizer: Whose rate it is.
        kind: "step" or "linear".
        step_size: Of "step": iterations between two falls.
        gamma: Of "step": what the rate is multiplied by.
        constant: Of "linear": iterations before it falls, those of ``warmup`` among them.
        decay: Of "linear": iterations within which it falls to 0.
        warmup: Iterations in which it rises; none if 0.

    Raises:
        ValueError: If a value is out of range.
    """
    falling = _falling(constant, decay)
    if kind == "step" and not warmup:
        return StepLR(optimizer, step_size, gamma)  # whose state is in checkpoints

    def factor(iteration: int) -> float:
        rising = min(1.0, (iteration + 1) / warmup) if warmup else 1.0
        if kind == "linear":
            return rising * falling(iteration)
        return rising * gamma ** (iteration // step_size)

    return LambdaLR(optimizer, factor)


ScheduleArguments = Annotated[Arguments, ArgumentsOf(schedule, without=("optimizer",))]
LinearDecayArguments = Annotated[Arguments, ArgumentsOf(linear_decay, without=("optimizer",))]


def rates_at(scheduler: StepLR | LambdaLR, iteration: int) -> list[float]:
    """Return the learning rates of an iteration, counted from 0, one for each group."""
    if isinstance(scheduler, StepLR):
        factors = [scheduler.gamma ** (iteration // scheduler.step_size)] * len(scheduler.base_lrs)
    else:
        factors = [factor(iteration) for factor in scheduler.lr_lambdas]
    return [float(rate) * factor for rate, factor in zip(scheduler.base_lrs, factors, strict=True)]


def ends_at(scheduler: LRScheduler, iterations: float) -> int | None:
    """Return the iteration from which on a schedule's rate is 0, if it is by a run's last one."""
    if not isinstance(scheduler, StepLR | LambdaLR) or not 0 < iterations < math.inf:
        return None
    run = range(int(iterations))
    first = bisect_left(run, True, key=lambda i: not any(rates_at(scheduler, i)))
    return first if first in run else None


def _falling(constant: int, decay: int) -> Callable[[int], float]:
    """Return the share of the rate as a function of the iteration, as `linear_decay` says."""

    def factor(iteration: int) -> float:
        return 1 - min(max(iteration - constant, 0), decay) / decay

    return factor
