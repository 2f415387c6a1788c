"""Which parts of the fast iteration can run where, and what is said of those that cannot."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch

PARTS = ("bf16", "compile", "cuda_graph")


class RunContext(NamedTuple):
    """Where a run takes place.

    Attributes:
        device: The kind of device that the module is on.
        precision: The trainer's.
        processes: How many train together.
        accumulate: Parts of a batch.
        fused: Whether both optimizers are fused.
        obstacle: Why the module's iteration cannot be one function of a batch, or None.
        spectral_recomputed: Whether activations of spectrally normalized generators are computed
            again for their gradient.
    """

    device: str
    precision: str
    processes: int
    accumulate: int
    fused: bool
    obstacle: str | None = None
    spectral_recomputed: bool = False


def unsupported_features(wanted: Iterable[str], there: RunContext) -> dict[str, str]:
    """Return for each wanted part that cannot run the reason."""
    reasons = {part: _obstacle(part, there) for part in wanted}
    return {part: reason for part, reason in reasons.items() if reason is not None}


def obstacle_to_one_function(there: RunContext) -> str | None:
    """Return why the whole iteration cannot be one function of a batch, or None."""
    if there.device != "cuda":
        return "it takes a CUDA device"
    if there.processes > 1:
        return f"{there.processes} processes train together"
    if there.accumulate > 1:
        return f"model.accumulate is {there.accumulate}"
    if there.precision == "16-mixed":
        return "the loss scale of 16-mixed is looked at in each iteration"
    return there.obstacle


def explain(reasons: Mapping[str, str]) -> list[str]:
    """Return a line for each reason, with all parts that do not run for it."""
    return [
        f"callbacks.fast goes on without {', '.join(p for p in reasons if reasons[p] == reason)}: "
        f"{reason}"
        for reason in dict.fromkeys(reasons.values())
    ]


def _obstacle(part: str, there: RunContext) -> str | None:
    if part == "bf16":
        return None if there.precision == "bf16-mixed" else _obstacle_to_bf16(there)
    reason = obstacle_to_one_function(there)
    if part == "compile" and there.spectral_recomputed:
        again = "model.checkpoint_activations computes model.generator.spectral's weights again"
        return reason or again
    if part == "cuda_graph" and not there.fused:
        return reason or "the optimizer is not fused"
    return reason


def _obstacle_to_bf16(there: RunContext) -> str | None:
    if there.device != "cuda":
        return "it takes a CUDA device"
    if there.precision != "32-true":
        return f"trainer.precision is {there.precision}"
    capable = torch.cuda.is_bf16_supported(including_emulation=False)
    return None if capable else "this device has no bf16 arithmetic"
