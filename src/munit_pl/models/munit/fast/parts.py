"""Which parts of the fast iteration can run where, and what is said of those that cannot."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch

_TWICE = "model.checkpoint_activations computes model.generator.spectral's weights again"
PARTS = ("bf16", "compile", "cuda_graph", "streams")


class RunContext(NamedTuple):
    """Where a run takes place.

    Attributes:
        device: The kind of device that the module is on.
        threads: How many the CPU splits an operation over.
        precision: The trainer's.
        processes: How many train together.
        accumulate: Parts of a batch.
        fused: Whether both optimizers are fused.
        r1: The weight of the gradient penalty.
        discriminator_steps: The discriminators' updates in each iteration.
        diversity: The weight of the diversity term.
        diffaugment: Whether discriminators see images augmented.
        spectral_recomputed: Whether activations of spectrally normalized generators are computed
            again for their gradient.
        consistency: The weight of the consistency term.
    """

    device: str
    threads: int
    precision: str
    processes: int
    accumulate: int
    fused: bool
    r1: float = 0.0
    discriminator_steps: int = 1
    diversity: float = 0.0
    diffaugment: bool = False
    spectral_recomputed: bool = False
    consistency: float = 0.0


def unsupported_features(wanted: Iterable[str], there: RunContext) -> dict[str, str]:
    """Return for each wanted part that cannot run the reason."""
    reasons = {part: _obstacle(part, there) for part in wanted}
    on_cuda = there.device == "cuda"
    if on_cuda and "streams" in reasons and "cuda_graph" not in reasons:
        # Launched one by one by the host, two streams' kernels do not overlap.
        reasons["streams"] = reasons["streams"] or "it takes cuda_graph"
    return {part: reason for part, reason in reasons.items() if reason is not None}


def _obstacle(part: str, there: RunContext) -> str | None:
    if part == "bf16" and there.precision == "bf16-mixed":
        return None
    if part == "streams" and there.device == "cpu":
        is_whole_batch = "operations have one thread" if there.threads < 2 else None
        return obstacle_to_one_function(there) or _obstacle_to_lanes(there) or is_whole_batch
    if there.device != "cuda":
        return "it takes a CUDA device"
    if part == "bf16":
        if there.precision != "32-true":
            return f"trainer.precision is {there.precision}"
        capable = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if capable else "this device has no bf16 arithmetic"
    reason = obstacle_to_one_function(there)
    if part == "compile":
        return reason or (_TWICE if there.spectral_recomputed else None)
    reason = reason or (None if there.fused else "the Adam is not fused")
    return reason or (_obstacle_to_lanes(there) if part == "streams" else None)


def obstacle_to_one_function(there: RunContext) -> str | None:
    """Return why the whole iteration cannot be one function of a batch, or None."""
    if there.processes > 1:
        return f"{there.processes} processes train together"
    if there.accumulate > 1:
        return f"model.accumulate is {there.accumulate}"
    if there.precision == "16-mixed":
        return "the loss scale of 16-mixed is looked at in each iteration"
    if there.r1 > 0:
        return "model.weights.r1 makes iterations differ"
    if there.discriminator_steps > 1:
        return f"model.discriminator_steps is {there.discriminator_steps}"
    return None


def _obstacle_to_lanes(there: RunContext) -> str | None:
    """Return why the domains cannot run side by side, though all is one function."""
    if there.diversity > 0:
        return "model.weights.diversity decodes a second time"
    if there.consistency > 0:
        return "model.weights.consistency passes real images a second time"
    return "model.diffaugment stands before the discriminators" if there.diffaugment else None


def explain(reasons: Mapping[str, str]) -> list[str]:
    """Return a line for each reason, with all parts that do not run for it."""
    return [
        f"munit_fast goes on without {', '.join(p for p in reasons if reasons[p] == reason)}: "
        f"{reason}"
        for reason in dict.fromkeys(reasons.values())
    ]
