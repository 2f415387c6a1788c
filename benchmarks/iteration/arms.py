"""Which arms there are, and how an arm's iteration is run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from benchmarks.iteration.arm import Arm, Case
from benchmarks.iteration.reference import ReferenceRunner
from benchmarks.plain import EXACT, SAVINGS, Draws, Plain, Terms


class Runner(Protocol):
    """An arm at work."""

    parameters: Mapping[str, Parameter]
    optimizers: list[Optimizer]

    def iterate(self, x_a: Tensor, x_b: Tensor, draws: Draws | None = None) -> Terms:
        """Update both players, under ``draws`` if given; return the terms by name."""

    def outputs(self, x_a: Tensor, x_b: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Return what the networks make of images."""


class PlainRunner:
    """An iteration of `plain`."""

    def __init__(self, arm: Arm, case: Case) -> None:
        savings = arm.savings | ({"bf16"} if arm.precision == "bf16" else set())
        self.plain = Plain(case.state(arm.dtype), frozenset(savings), case.weights)
        self.parameters = self.plain.parameters
        self.optimizers: list[Optimizer] = list(self.plain.adams.values())
        self.iterate = self.plain.iterate

    def outputs(self, x_a: Tensor, x_b: Tensor, draws: Draws) -> dict[str, Tensor]:
        with torch.no_grad():
            return self.plain.outputs(x_a, x_b, draws)


def build(arm: Arm, case: Case, reference: str | None = None) -> Runner:
    """Return an arm at work.

    Raises:
        Unavailable: If it cannot run here.
    """
    if arm.system == "plain":
        return PlainRunner(arm, case)
    if arm.system == "reference":
        assert reference
        return ReferenceRunner(reference, arm, case)
    from benchmarks.iteration.ours import OursRunner  # Lightning takes its time to be imported

    return OursRunner(arm, case)


def choose(groups: list[str], precisions: list[str], device: str) -> list[Arm]:
    """Return the arms of some groups, the one that all are measured by first.

    Args:
        groups: "switches" (what anyone may turn on without touching the algorithm), "each" (saving
            alone), "together" (all savings in ``plain``), "ours", "compiled", "reference".
        precisions: The first is that of ``plain``, of each saving and of the reference.
        device: Where. "compiled" takes CUDA.
    """
    first = precisions[0]
    systems = ("ours", "compiled") if device.startswith("cuda") else ("ours",)
    arms = [Arm("plain", "plain", first)]
    for precision in precisions:
        if "switches" in groups:
            arms.append(Arm("plain, switches", "plain", precision, frozenset({"fused_adam"})))
        if "together" in groups:
            arms.append(Arm("plain, all exact", "plain", precision, EXACT))
            arms.append(Arm("plain, all", "plain", precision, EXACT | {"one_draw"}, True))
        for system in systems:
            if system in groups:
                arms.append(Arm(system, system, precision))
                arms.append(Arm(f"{system}, one draw", system, precision, one_draw=True))
    if "each" in groups:
        for saving in SAVINGS:
            precision = "bf16" if saving == "bf16" else first
            one, savings = saving == "one_draw", frozenset({saving}) - {"bf16"}
            arms.append(Arm(f"plain + {saving}", "plain", precision, savings, one))
    if "reference" in groups:
        arms.append(Arm("reference", "reference", first))
    return arms


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Let CUDA round fp32 products to TF32 only where that is what is measured."""
    wanted = "ieee" if precision in ("fp32", "fp64") else "tf32"
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = wanted
    yield
    for backend, earlier in zip(backends, before, strict=True):
        backend.fp32_precision = earlier
