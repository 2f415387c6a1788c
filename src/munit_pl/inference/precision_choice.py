"""Choosing bf16 or fp32 for a device: by its compute capability, or by timing a convolution."""

import math
import os
import time
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F

_MAP = (1, 128, 16, 16)
_SECONDS = 0.05
SLOW_RATIO = 1.2  # times as long, which is worth a line where bf16 was asked for by name
# Of this thread alone, whatever else the machine does. Windows' goes in steps of 16 ms.
_clock = time.perf_counter if os.name == "nt" else time.thread_time


class Choice(NamedTuple):
    """What to compute in.

    Attributes:
        bf16: Whether in bf16 (under autocast), or in fp32.
        reason: Why, in a few words.
    """

    bf16: bool
    reason: str


def choose_precision(device: torch.device, *, training: bool) -> Choice:
    """Choose bf16 where ``device`` is faster in it, and fp32 elsewhere.

    On CUDA the compute capability decides, as bf16 arithmetic comes with 8.0; on a CPU a
    convolution is timed; on others, such as MPS, it is fp32. fp16, which needs a loss scale, is
    never chosen.

    Args:
        device: Where to compute.
        training: Whether gradients are computed too.
    """
    if device.type == "cuda":
        capable = torch.cuda.get_device_capability(device) >= (8, 0)
        has = "has" if capable else "has no"
        return Choice(capable, f"{torch.cuda.get_device_name(device)} {has} bf16 arithmetic")
    if device.type == "cpu":
        ratio = time_bf16_ratio(training)
        return Choice(ratio < 1, describe_ratio(ratio))
    return Choice(False, f"auto chooses bf16 on CPUs and CUDA devices only, not on {device.type}")


def describe_ratio(ratio: float) -> str:
    """Say in words what `time_bf16_ratio` found."""
    times = f"{ratio:.2f}" if ratio < 1 else f"{ratio:.1f}"
    return f"bf16 convolutions take {times} times as long as fp32 ones on this processor"


@cache
def time_bf16_ratio(training: bool) -> float:
    """Return how many times as long as in fp32 a convolution takes in bf16 on this processor.

    It takes about a tenth of a second, and no random numbers. One thread computes, as several
    would wait for each other on a busy machine.

    Args:
        training: Whether the gradient's computation counts too.
    """
    x = torch.ones(_MAP, dtype=torch.float32, device="cpu", requires_grad=training)
    weight = torch.ones((128, 128, 3, 3), dtype=torch.float32, device="cpu", requires_grad=training)

    def convolve(bf16: bool) -> float:
        start = _clock()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = F.conv2d(x, weight, padding=1)
        if training:
            torch.autograd.grad(y.sum(), (x, weight))
        return _clock() - start

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.set_grad_enabled(training):
            return measure_ratio(convolve)
    finally:
        torch.set_num_threads(threads)


def measure_ratio(seconds: Callable[[bool], float]) -> float:
    """Return how many times as long bf16 takes, by the shortest of several times of each.

    The two alternate, so that other load on the machine affects both, and the shortest times are
    compared, which it affects least.

    Args:
        seconds: Computes in bf16 (True) or fp32 (False), and returns how long that took.
    """
    shortest, spent, turns = {False: math.inf, True: math.inf}, 0.0, 0
    while turns < 2 or spent < _SECONDS:
        for bf16 in shortest:
            took = seconds(bf16)
            shortest[bf16] = min(shortest[bf16], took)
            spent += took
        turns += 1
    return shortest[True] / shortest[False]
