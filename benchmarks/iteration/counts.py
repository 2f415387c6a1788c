"""What an iteration takes, counted: floating-point operations, kernels, memory."""

import json
import resource
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.iteration.arm import Arm, Case
from benchmarks.iteration.arms import Runner, arithmetic, build


class _Calls(TorchDispatchMode):
    """Counts the calls of ATen that are no views."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.total += func.namespace == "aten" and not func.is_view
        return func(*args, **(kwargs or {}))


class Counted(NamedTuple):
    """What an iteration takes but for its optimizers.

    Attributes:
        flops: Floating-point operations in products, by PyTorch's count.
        calls: Of ATen, views left out, where nothing is done in a way of the CPU's.
    """

    flops: int
    calls: int


def count_on_meta(arm: Arm, case: Case) -> Counted:
    """Count an iteration of tensors that have shapes alone: nothing is computed."""
    return _count_on_meta(arm.at("fp32"), replace(case, device="meta"))


@cache
def _count_on_meta(arm: Arm, case: Case) -> Counted:
    runner = build(arm, case)
    for optimizer in runner.optimizers:
        optimizer.step = _no_step  # type: ignore[method-assign]
        for group in optimizer.param_groups:
            group["fused"] = True  # so that nobody on the host looks whether a norm is finite
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # schedules miss the steps
        # Which is refused on this device even where it is to be off.
        stack.enter_context(patch("torch.autocast", lambda *_, **__: nullcontext()))
        flops = stack.enter_context(FlopCounterMode(display=False))
        calls = stack.enter_context(_Calls())
        runner.iterate(*case.images(), case.draws(arm.one_draw))
    return Counted(flops.get_total_flops(), calls.total)


def _no_step(closure: Callable[[], Any] | None = None) -> None:
    if closure is not None:
        closure()


def count_kernels(runner: Runner, case: Case, arm: Arm) -> int:
    """Return how many kernels an iteration launches, optimizers included.

    On CUDA those of one profiled iteration. Elsewhere the calls of ATen that are no views, counted
    on a small case: they depend on no size.
    """
    on_cuda = case.device.startswith("cuda")
    if not on_cuda:
        case = replace(case, size=64, dim=4)
        with _one_thread():
            runner = build(arm, case)
    images, draws = case.images(arm.dtype), case.draws(arm.one_draw, dtype=arm.dtype)

    def work() -> None:
        runner.iterate(*images, draws)

    return _launched(work) if on_cuda else _called(work)


def _called(work: Callable[[], None]) -> int:
    with _Calls() as calls:
        work()
    return calls.total


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let nothing be given to a second thread, whose calls would not be seen."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _launched(work: Callable[[], None]) -> int:
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        work()
        torch.cuda.synchronize()
    return sum(e.device_type == torch.autograd.DeviceType.CUDA for e in profiler.events())


def peak_memory(arm: Arm, case: Case) -> float:
    """Return the peak MiB of two iterations in a process of their own; see `print_peak`."""
    what = json.dumps({"arm": arm.as_json(), "case": vars(case)})
    command = [sys.executable, "-m", "benchmarks.step", "--peak-of", what]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arm}: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout.split()[-1])


def print_peak(what: str) -> None:
    """Print the peak of this process: beyond the loaded program, or of CUDA's allocator."""
    asked = json.loads(what)
    arm = Arm(**asked["arm"] | {"savings": frozenset(asked["arm"]["savings"])})
    case = Case(**asked["case"])
    from benchmarks.iteration import ours  # noqa: F401 (part of the loaded program, whatever the arm)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    runner, images = build(arm, case), case.images()
    with arithmetic(arm.precision):
        for _ in range(2):
            runner.iterate(*images)
    if case.device.startswith("cuda"):
        print(torch.cuda.max_memory_allocated() / 2**20)
    else:
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
