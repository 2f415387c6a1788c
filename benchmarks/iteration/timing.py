"""Times of several arms, taken in turns."""

import math
import time
from collections.abc import Mapping

import torch

from benchmarks.iteration.arm import Arm, Case
from benchmarks.iteration.arms import Runner, arithmetic

AGREED = 0.02  # within which successive blocks are to lie on CUDA before any counts
MOST_WARMING = 10  # blocks
MOST_ROUNDS = 10

Blocks = dict[Arm, list[tuple[float, float]]]


def block(arm: Arm, runner: Runner, case: Case, iterations: int) -> float:
    """Return the seconds of an iteration; the host waits once, at the block's end."""
    images = case.images(arm.dtype)
    with arithmetic(arm.precision):
        synchronise(case)
        start = time.perf_counter()
        for _ in range(iterations):
            runner.iterate(*images)
        synchronise(case)
    return (time.perf_counter() - start) / iterations


def synchronise(case: Case) -> None:
    if case.device.startswith("cuda"):
        torch.cuda.synchronize()


def warm_up(arm: Arm, runner: Runner, case: Case, iterations: int) -> list[float]:
    """Return the blocks before those that count: on CUDA until three agree, else one."""
    times = [block(arm, runner, case, iterations)]
    while case.device.startswith("cuda") and len(times) < MOST_WARMING:
        last = times[-3:]
        if len(last) == 3 and max(last) / min(last) - 1 < AGREED:
            break
        times.append(block(arm, runner, case, iterations))
    return times


def block_length(seconds: float, asked: int | None) -> int:
    """Return the iterations of a block: those asked for, or what takes half a second."""
    return asked or max(1, math.ceil(0.5 / seconds))


def take_turns(
    runners: Mapping[Arm, Runner],
    case: Case,
    lengths: Mapping[Arm, int],
    rounds: int | None,
    budget: float,
) -> Blocks:
    """Time the arms in rounds, each there and back again: A B C C B A.

    Whatever drifts in the machine during a round then weighs alike on all.

    Args:
        runners: The arms, the first of which all are measured by.
        case: What they work on.
        lengths: Iterations of each arm's block.
        rounds: How many; by the budget unless given.
        budget: Seconds that decide on the rounds, from 5 to 10 of them.

    Returns:
        For each arm the seconds of an iteration, there and back, round by round.
    """
    times: Blocks = {arm: [] for arm in runners}
    start, done = time.perf_counter(), 0
    while done < (rounds or MOST_ROUNDS):
        there = {a: block(a, r, case, lengths[a]) for a, r in runners.items()}
        back = {a: block(a, r, case, lengths[a]) for a, r in reversed(runners.items())}
        for arm in runners:
            times[arm].append((there[arm], back[arm]))
        done += 1
        spent = time.perf_counter() - start
        if rounds is None and done >= 5 and spent * (done + 1) / done > budget:
            break
    return times
