"""Learning rate schedules, as functions of the iteration."""

import inspect
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, StepLR

from munit_pl.checks import (
    Arguments,
    ArgumentsOf,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    checked,
)

# "step" and "linear", which may warm up, and PyTorch's own that are functions of the iteration.
Kind = Literal[
    "step",
    "linear",
    "StepLR",
    "MultiStepLR",
    "ExponentialLR",
    "ConstantLR",
    "LinearLR",
    "PolynomialLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
]


@checked
def schedule(
    optimizer: Optimizer,
    kind: Kind = "step",
    step_size: PositiveInt = 100_000,
    gamma: PositiveFloat = 0.5,
    constant: NonNegativeInt | None = None,
    decay: PositiveInt | None = None,
    warmup: NonNegativeInt = 0,
    iterations: PositiveInt = 200_000,
    **further: Any,
) -> LRScheduler:
    """Let the learning rate rise if asked for, then fall by steps, linearly or as PyTorch has it.

    Iteration ``k``, from 0, runs at ``lr * gamma ** (k // step_size)`` if ``kind`` is "step". If it
    is "linear", at ``lr`` until ``constant``, then at ``lr * (1 - (k - constant) / decay)`` and
    from ``constant + decay`` on at 0: the schedule of CycleGAN (Zhu et al., 2017, section 4) and of
    BicycleGAN, which count epochs. The first ``warmup`` iterations run at ``(k + 1) / warmup`` of
    that: Adam's second moments are poor estimates at first (Goyal et al., "Accurate, Large
    Minibatch SGD", 2017, section 2.2, for the linear rise).

    Args:
        optimizer: Whose rate it is.
        kind: "step", "linear" or the name of a class of `torch.optim.lr_scheduler`.
        step_size: Of "step": iterations between two falls.
        gamma: Of "step", and of classes that have one: what the rate is multiplied by.
        constant: Of "linear": iterations before it falls, those of ``warmup`` among them; half of
            the run unless given.
        decay: Of "linear": iterations within which it falls to 0; the rest of the run unless given.
        warmup: Of "step" and "linear": iterations in which it rises; none if 0.
        iterations: Those of the run.
        **further: Other arguments of the class, such as ``T_max`` of CosineAnnealingLR.

    Raises:
        TypeError: If it takes no such argument.
        ValueError: If a value is out of range.
    """
    if kind not in ("step", "linear"):
        if warmup:
            raise ValueError(f"warmup is {warmup}, but must be 0 with kind={kind}, which has none")
        cls: Any = getattr(lr_scheduler, kind)
        taken = inspect.signature(cls).parameters.keys()
        listed = {"step_size": step_size, "gamma": gamma}
        return cls(optimizer, **{k: v for k, v in listed.items() if k in taken}, **further)
    if further:
        raise TypeError(f"{kind} takes no {', '.join(further)}")
    if constant is None:
        constant = math.ceil(iterations / 2)
    falling = _falling(constant, decay or max(iterations - constant, 1))
    if kind == "step" and not warmup:
        return StepLR(optimizer, step_size, gamma)  # whose state is in checkpoints

    def factor(iteration: int) -> float:
        rising = min(1.0, (iteration + 1) / warmup) if warmup else 1.0
        if kind == "linear":
            return rising * falling(iteration)
        return rising * gamma ** (iteration // step_size)

    return LambdaLR(optimizer, factor)


def _named(arguments: Mapping[str, Any]) -> Any:
    return getattr(lr_scheduler, str(arguments.get("kind")), None)


ScheduleArguments = Annotated[
    Arguments,
    ArgumentsOf(schedule, ("optimizer", "iterations", "last_epoch"), _named),
]


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
    """Return the share of the rate as a function of the iteration, as `schedule` says."""

    def factor(iteration: int) -> float:
        return 1 - min(max(iteration - constant, 0), decay) / decay

    return factor
