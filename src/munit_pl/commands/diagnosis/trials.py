"""Ways to train, and what is to be expected of them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch

# How far losses and a translation may lie from float64's, relative to the largest of them. CPUs lie
# 7e-5 (fp32) and 0.03 (bf16) off; fp16 rounds eight times as finely as bf16.
TOLERANCES = {"64-true": 0.0, "32-true": 1e-3, "bf16-mixed": 0.1, "16-mixed": 0.1}
SMALL, PUBLISHED = "small", "published"


class Trial(NamedTuple):
    """A short training.

    Attributes:
        device: "cpu" or "cuda".
        precision: The trainer's.
        compiled: Whether with `CompiledNetworks`.
        processes: How many train together, each with its share of the batch.
        batch: Images of each domain, in all processes.
        size: "small" to compare numbers, "published" to measure time and memory.
        tf32: Whether convolutions of fp32 may round their factors to TF32.
    """

    device: str
    precision: str
    compiled: bool = False
    processes: int = 1
    batch: int = 2
    size: str = SMALL
    tf32: bool = False

    def __str__(self) -> str:
        more = [
            "compiled" * self.compiled,
            f"{self.processes} processes" if self.processes > 1 else "",
            "TF32" * self.tf32,
            "published size" * (self.size == PUBLISHED),
        ]
        return " ".join([self.device, self.precision, *filter(None, more)])


def truth(batch: int) -> Trial:
    """Return the trial that others are compared with."""
    return Trial("cpu", "64-true", batch=batch)


def trials(device: str) -> Iterator[Trial]:
    """Yield what is worth trying on a device, the ground truth first."""
    there = torch.cuda.device_count() if device == "cuda" else 2  # on the CPU two share the cores
    batch = max(2, there)
    yield truth(batch)
    for precision in ("32-true", "bf16-mixed"):
        yield Trial("cpu", precision, batch=batch)
    if device == "cpu":
        yield Trial("cpu", "32-true", processes=2, batch=batch)
        return
    for precision in ("32-true", "bf16-mixed", "16-mixed"):
        if precision == "bf16-mixed" and not torch.cuda.is_bf16_supported():
            continue
        for compiled in (False, True):
            yield Trial("cuda", precision, compiled, batch=batch)
        if there > 1:
            yield Trial("cuda", precision, processes=there, batch=batch)
        for compiled in (False, True):
            tf32 = precision == "32-true"
            yield Trial("cuda", precision, compiled, batch=1, size=PUBLISHED, tf32=tf32)


def relative_error(found: Mapping[str, Any], expected: Mapping[str, Any], processes: int) -> float:
    """Return how far a trial's results lie from others', relative to them.

    The losses of one of several processes are those of its own images, so that the translation
    alone tells.
    """
    names = ("picture",) if processes > 1 else ("losses", "picture")
    pairs = [(torch.tensor(found[name]), torch.tensor(expected[name])) for name in names]
    apart = [(a - b).abs().max() / b.abs().max() for a, b in pairs]
    return float(torch.stack(apart).max())  # NaN if any is


def judge(trial: Trial, found: Mapping[str, Any], expected: Mapping[str, Any]) -> tuple[str, str]:
    """Return "ok", "differs" or "failed", and why.

    Args:
        trial: What was tried.
        found: What came of it, see `munit_pl.commands.diagnosis.training`; or "error", a line.
        expected: What came of `truth`.
    """
    if "error" in found:
        return "failed", str(found["error"])
    if left := found.get("left"):
        return "failed", str(left)
    if trial.size == PUBLISHED:
        return ("ok", "") if found["finite"] else ("failed", "losses or weights are not finite")
    if "error" in expected:
        return "failed", "there is nothing to compare it with"
    apart = relative_error(found, expected, trial.processes)
    tolerance = TOLERANCES[trial.precision]
    told = f"{apart:.1g} from float64, at most {tolerance:g}"
    return ("ok" if apart <= tolerance else "differs"), told  # NaN differs
