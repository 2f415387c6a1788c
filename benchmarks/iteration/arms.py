"""What is compared: cases, arms, and how an arm's iteration is run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from plain import EXACT, SAVINGS, Draws, Plain, Terms
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from munit_pl.models.munit.model import MUNIT


class Unavailable(Exception):
    """An arm that cannot run here; the message says why in one line."""


@dataclass(frozen=True)
class Case:
    """What an iteration works on.

    Attributes:
        size: Height and width of the images.
        dim: Channels after the first convolution, of generators and discriminators.
        batch: Images of each domain.
        cycle: Whether the explicit cycle term is on, with its published weight of 10.
        device: Where.
    """

    size: int
    dim: int
    batch: int
    cycle: bool
    device: str

    def __str__(self) -> str:
        cycle = ", cycle term" if self.cycle else ""
        return f"{self.size}x{self.size}, dim {self.dim}, batch {self.batch}{cycle}, {self.device}"

    @property
    def weights(self) -> dict[str, float]:
        return {"cycle": 10.0 if self.cycle else 0.0}

    def arguments(self) -> dict[str, Any]:
        """Return arguments of `MUNIT`: the published ones but for the width."""
        return {"generator": {"dim": self.dim}, "discriminator": {"dim": self.dim}}

    def state(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Return the weights that all arms start from."""
        with torch.random.fork_rng(devices=[]), torch.device(self._maker):
            torch.manual_seed(0)
            state = MUNIT(**self.arguments()).state_dict()
        return {name: w.to(self.device, dtype) for name, w in state.items()}

    def images(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """Return random images of both domains, smooth ones with a little noise."""
        generator, shape = torch.Generator().manual_seed(1), (2 * self.batch, 3)
        coarse = torch.rand(*shape, 8, 8, generator=generator) * 2 - 1
        fine = torch.randn(*shape, self.size, self.size, generator=generator)
        x = F.interpolate(coarse, (self.size, self.size), mode="bicubic") + 0.1 * fine
        x_a, x_b = x.clamp(-1, 1).to(self.device, dtype).chunk(2)
        return x_a.contiguous(), x_b.contiguous()

    def draws(self, one: bool, seed: int = 2, dtype: torch.dtype = torch.float32) -> Draws:
        """Return styles for both updates, or ``one`` pair for both."""
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(4, self.batch, 8, generator=generator).to(self.device, dtype)
        names = ("gen_a", "gen_b", "dis_a", "dis_b")
        return dict(zip(names, (*z[:2], *z[:2]) if one else z, strict=True))

    @property
    def _maker(self) -> str:
        return "meta" if self.device == "meta" else "cpu"


@dataclass(frozen=True)
class Arm:
    """A way to compute an iteration.

    Attributes:
        name: Of the way.
        system: "plain", "ours", "fast" or "reference".
        precision: "fp32", "tf32", "bf16", or "fp64" to look at exactness.
        savings: Those of `plain` that are on.
        one_draw: Whether one pair of styles serves both updates.
    """

    name: str
    system: str
    precision: str
    savings: frozenset[str] = frozenset()
    one_draw: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.precision})"

    def at(self, precision: str) -> "Arm":
        """Return the arm at another precision."""
        return replace(self, precision=precision, savings=self.savings - {"bf16"})

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.precision == "fp64" else torch.float32

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"savings": sorted(self.savings)}


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
        from iteration.reference import ReferenceRunner

        assert reference
        return ReferenceRunner(reference, arm, case)
    from iteration.ours import OursRunner  # Lightning takes its time to be imported

    return OursRunner(arm, case)


def choose(groups: list[str], precisions: list[str], device: str) -> list[Arm]:
    """Return the arms of some groups, the one that all are measured by first.

    Args:
        groups: "switches" (what anyone may turn on without touching the algorithm), "each" (saving
            alone), "together" (all savings in ``plain``), "ours", "fast", "reference".
        precisions: The first is that of ``plain``, of each saving and of the reference.
        device: Where. On CUDA "fast" comes in the last precision alone, which is the preset's own.
    """
    first = precisions[0]
    of_fast = precisions[-1:] if device.startswith("cuda") else precisions
    arms = [Arm("plain", "plain", first)]
    for precision in precisions:
        if "switches" in groups:
            arms.append(Arm("plain, switches", "plain", precision, frozenset({"fused_adam"})))
        if "together" in groups:
            arms.append(Arm("plain, all exact", "plain", precision, EXACT))
            arms.append(Arm("plain, all", "plain", precision, EXACT | {"one_draw"}, True))
        for system in ("ours", "fast"):
            if system in groups and (system == "ours" or precision in of_fast):
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
