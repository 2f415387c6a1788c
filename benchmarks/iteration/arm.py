"""An arm, the case that it works on, and what is raised where it cannot."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.plain import Draws
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
        system: "plain", "ours", "compiled" or "reference".
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
