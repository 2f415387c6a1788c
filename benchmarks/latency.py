"""How long a translation takes: eager, compiled and exported, and what each way gets wrong.

Every way translates the same images, from host memory to host memory, through `Translator`. The
ways take turns in one process, each turn begun by another, so that the machine's moods hit all.
What they give is first compared with eager single precision, without TF32.
"""

import argparse
import importlib.util
import json
import math
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.iteration.machine import describe
from benchmarks.ways import DTYPES, WAYS, make
from munit_pl import Translator, random_styles
from munit_pl.layers.initialization import initialize
from munit_pl.models.munit.networks import AdaINGenerator

AT_ONCE = 32  # images that a GPU decodes at once; a CPU decodes one
CPU_PIXELS = 10 * 256**2  # of a call's outputs: more takes a CPU minutes in all its ways

Translators = dict[tuple[str, str], Translator]  # by precision and way


@dataclass(frozen=True)
class Errors:
    """How far images in [-1, 1] are from others; PSNR in dB, of a peak of 2."""

    largest: float
    mean: float
    psnr: float

    def within(self, precision: str) -> bool:
        """Tell whether they are as small as an export is to have them."""
        if precision == "fp32":
            return self.largest <= 1e-4
        return self.mean <= 2e-3 and self.psnr >= 45


def compare(shown: Tensor, exact: Tensor) -> Errors:
    distance = (shown.double() - exact.double()).abs()
    square = distance.square().mean().item()
    psnr = 10 * math.log10(4 / square) if square else math.inf
    return Errors(distance.max().item(), distance.mean().item(), psnr)


@contextmanager
def no_tf32() -> Iterator[None]:
    backends = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    try:
        yield
    finally:
        for backend, was in zip(backends, before, strict=True):
            backend.allow_tf32 = was


@dataclass
class Row:
    """One way of translating one batch; seconds of the first call, and of each turn."""

    size: int
    batch: int
    styles: int
    precision: str
    way: str
    errors: Errors
    first: float
    seconds: list[float] = field(default_factory=list)

    @property
    def case(self) -> tuple[int, int, int]:
        return self.size, self.batch, self.styles


def timed(translator: Translator, x: Tensor, z: Tensor) -> tuple[float, Tensor]:
    start = time.perf_counter()
    shown = translator.translate(x, z)  # comes to the host, so nothing is left to wait for
    return time.perf_counter() - start, shown


def measure(
    translators: Translators,
    exact: Translator,
    case: tuple[int, int, int],
    turns: int,
    seconds: float,
) -> list[Row]:
    """Time all ways of one batch in turns: at least ``turns``, and for about ``seconds``."""
    size, batch, styles = case
    x = torch.rand(batch, exact.channels("a"), size, size) * 2 - 1
    z = random_styles(styles, exact.style_dim("b"), 0)
    for translator in (exact, *translators.values()):
        on_cpu = translator.device.type == "cpu"
        translator.batch_size = 1 if on_cpu else min(AT_ONCE, batch * styles)
    with no_tf32():
        expected = exact.translate(x, z)
    rows = []
    for (precision, way), translator in translators.items():
        first, shown = timed(translator, x, z)
        rows.append(Row(*case, precision, way, compare(shown, expected), first))
    ways = list(zip(rows, translators.values(), strict=True))
    end, turn = time.perf_counter() + seconds, 0
    while turn < turns or time.perf_counter() < end:
        begin = turn % len(ways)
        for row, translator in ways[begin:] + ways[:begin]:
            row.seconds.append(timed(translator, x, z)[0])
        turn += 1
    return rows


def table(rows: list[Row]) -> str:
    lines = [
        "| size | batch | styles | precision | way | ms (10-90 %) | images/s | of eager fp32 "
        "| largest error | mean | PSNR, dB | as specified |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    plain = {row.case: row for row in rows if (row.precision, row.way) == ("fp32", "eager")}
    for row in rows:
        errors, median = row.errors, statistics.median(row.seconds)
        low, high = torch.tensor(row.seconds).quantile(torch.tensor([0.1, 0.9])).tolist()
        cells = [
            *map(str, (*row.case, row.precision, row.way)),
            f"{1e3 * median:.4g} ({1e3 * low:.4g}-{1e3 * high:.4g})",
            f"{row.batch * row.styles / median:.3g}",
            f"{median_ratio(row, plain[row.case]):.2f}" if row.case in plain else "",
            f"{errors.largest:.1e}",
            f"{errors.mean:.1e}",
            f"{errors.psnr:.1f}",
            "yes" if errors.within(row.precision) else "no",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def median_ratio(row: Row, other: Row) -> float:
    return statistics.median(a / b for a, b in zip(row.seconds, other.seconds, strict=True))


def find_gens(options: argparse.Namespace) -> tuple:
    if options.checkpoint:
        return Translator.load(options.checkpoint, device="cpu").generators
    torch.manual_seed(0)
    gens = AdaINGenerator(dim=options.dim), AdaINGenerator(dim=options.dim)
    for gen in gens:
        initialize(gen, "kaiming")
    return gens


def can_compile(device: torch.device) -> bool:
    compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    triton = importlib.util.find_spec("triton")
    return compiler is not None and (device.type == "cpu" or triton is not None)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", type=torch.device)
    add("--sizes", type=int, nargs="+", default=[256, 512])
    add("--batches", type=int, nargs="+", default=[1, 32])
    add("--styles", type=int, nargs="+", default=[1, 10])
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    add("--precisions", nargs="+", choices=DTYPES)
    add("--dim", type=int, default=64, help="of untrained networks (%(default)s)")
    add("--checkpoint", help="a trained MUNIT's, instead of untrained networks")
    add("--turns", type=int, default=3, help="at least (%(default)s)")
    add("--seconds", type=float, default=20, help="for each batch, about (%(default)s)")
    add("--pixels", type=float, help="leave out calls of more; 10 of 256x256 on a CPU, else none")
    add("--json", type=Path, default=Path("outputs/latency.json"))
    options = parser.parse_args()
    on_cpu = options.device.type == "cpu"
    options.precisions = options.precisions or ["fp32", "bf16"] + ["fp16"] * (not on_cpu)
    options.pixels = options.pixels or (CPU_PIXELS if on_cpu else math.inf)
    if not can_compile(options.device):
        options.ways = [way for way in options.ways if way in ("eager", "exported")]
        print("without a C++ compiler, or Triton, nothing is compiled or packaged")
    return options


def main() -> None:
    options = parse()
    gens = find_gens(options)
    if not all(isinstance(gen, AdaINGenerator) for gen in gens):
        sys.exit("latency.py measures MUNIT's networks, and this is another method's checkpoint")
    about = describe(str(options.device))
    about["TF32"] = about["gpu"] is not None and torch.backends.cudnn.allow_tf32
    exact = make("eager", gens, "fp32", options.device)
    translators: Translators = {}
    made: dict[str, float] = {}
    for precision, way in product(options.precisions, options.ways):
        start = time.perf_counter()
        translators[precision, way] = make(way, gens, precision, options.device)
        made[f"{precision} {way}"] = time.perf_counter() - start
    rows: list[Row] = []
    for case in product(options.sizes, options.batches, options.styles):
        size, batch, styles = case
        if size * size * batch * styles > options.pixels:
            print(f"left out, see --pixels: size {size}, batch {batch}, styles {styles}")
            continue
        rows += measure(translators, exact, case, options.turns, options.seconds)
        print(table(rows[-len(translators) :]), flush=True)
    settings = {name: str(value) for name, value in vars(options).items()}
    results = {"versions": about, "settings": settings, "seconds to make": made}
    results["rows"] = [asdict(row) for row in rows]
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1))
    print("\n" + table(rows))
    for name, seconds in made.items():
        first = [f"{row.first:.2g}" for row in rows if f"{row.precision} {row.way}" == name]
        print(f"{name}: {seconds:.2g} s to make, first calls {', '.join(first)} s")


if __name__ == "__main__":
    main()
