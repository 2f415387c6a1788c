"""How time and memory grow with pixels, batch, width and styles, each with its exponent.

A training iteration, and a translation in several styles, at small sizes on the CPU. The cases of
one axis take turns, there and back. Memory is what the tensors take by count, and the peak of a
process of its own beyond the loaded program. Then what iterations of the published width take, by
count alone. Without options all of it takes about five minutes on two idle cores.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.iteration.machine import describe
from munit_pl import MUNITModule, Translator, random_styles
from munit_pl.commands.runtime.peak_memory import LiveBytes, predict_peak
from munit_pl.losses.terms import total
from munit_pl.models.base.micro_batch import MicroBatch
from munit_pl.models.base.objective import Images
from munit_pl.optim.freezing import frozen

MIB = 2**20


@dataclass(frozen=True)
class Case:
    """One piece of work.

    Attributes:
        side: Height and width of the images.
        batch: Images of each domain, or to be translated.
        dim: Channels after the first convolution, of generators and discriminators.
        styles: Of the translation of each image; 0 is a training iteration.
        recompute: Whether activations are computed again in the backward pass.
    """

    side: int = 64
    batch: int = 1
    dim: int = 16
    styles: int = 0
    recompute: bool = False

    def module(self) -> MUNITModule:
        sizes = {"generator": {"dim": self.dim}, "discriminator": {"dim": self.dim}}
        return MUNITModule(**sizes, checkpoint_activations=self.recompute)

    def work(self) -> Callable[[], None]:
        """Return what is timed, ready to be called again and again."""
        torch.manual_seed(0)
        module, shape = self.module(), (self.batch, 3, self.side, self.side)
        x_a, x_b = torch.rand(2, *shape) * 2 - 1
        if self.styles:
            translator = Translator(module.gen_a, module.gen_b, device="cpu")
            z = random_styles(self.styles, translator.style_dim("b"), 0)
            return lambda: void(translator.translate(x_a, z))
        optimizers, _ = module.configure_optimizers()
        images = Images(x_a, x_b)
        part = MicroBatch(images, module.draw_all(images, 0))
        return lambda: update_both(module, optimizers, part)

    def tensors(self) -> int:
        """Return the bytes of tensors alive at once, at most."""
        if not self.styles:
            return predict_peak(self.module(), self.side, self.side, self.batch)
        with LiveBytes() as counted:
            self.work()()
        return counted.peak


SIDES = (64, 96, 128, 192, 256)
AXES: dict[str, dict[int, Case]] = {
    "pixels": {s * s: Case(side=s) for s in SIDES},
    "pixels, recomputed": {s * s: Case(side=s, recompute=True) for s in SIDES},
    "batch": {n: Case(batch=n) for n in (1, 2, 4, 8)},
    "dim": {d: Case(dim=d) for d in (8, 16, 32, 64)},
    "styles of a translation": {k: Case(side=128, styles=k) for k in (1, 2, 4, 8, 16)},
}
# Iterations of the published width.
FORECASTS = [Case(side, n, 64) for side, n in ((256, 1), (256, 4), (256, 16), (512, 1), (1024, 1))]


@dataclass
class Row:
    """What one case took: seconds of each turn, and bytes."""

    value: int
    case: Case
    seconds: list[float]
    tensors: int
    process: int | None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def update_both(module: MUNITModule, optimizers: Any, part: MicroBatch) -> None:
    """Make an iteration's updates without a trainer."""
    diss = [*module.dis_a.parameters(), *module.dis_b.parameters()]
    players = [("dis", module.discriminator_terms, []), ("gen", module.generator_terms, diss)]
    for (player, terms_of, waiting), optimizer in zip(players, optimizers, strict=True):
        optimizer.zero_grad()
        with frozen(waiting):
            total(terms_of(part), module.term_weights).backward()
        module.prepare_step(player, optimizer)
        optimizer.step()


def void(_: object) -> None:
    """Drop a result."""


def time_in_turns(cases: list[Case], seconds: float) -> list[list[float]]:
    """Call each case's work there and back, A B C C B A, at least twice and for about a time."""
    works = [case.work() for case in cases]
    for work in works:
        work()
    times: list[list[float]] = [[] for _ in works]
    end = time.perf_counter() + seconds
    while len(times[0]) < 4 or time.perf_counter() < end:
        there = list(zip(works, times, strict=True))
        for work, own in there + there[::-1]:
            start = time.perf_counter()
            work()
            own.append(time.perf_counter() - start)
    return times


def exponent(values: list[float], results: list[float]) -> float:
    """Return the slope of the straight line through the logarithms, by least squares."""
    x, y = ([math.log(number) for number in numbers] for numbers in (values, results))
    return statistics.linear_regression(x, y).slope


def process_peak(case: Case) -> int:
    """Return the peak bytes of a process that does a case's work twice; see `print_peak`."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--peak-of", json.dumps(asdict(case))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr.strip().splitlines()[-1]}")
    return int(done.stdout.split()[-1])


def print_peak(case: Case) -> None:
    """Print the peak bytes of this process, beyond those of the loaded program; on Linux alone."""
    Case(dim=2, styles=min(case.styles, 1)).work()()  # what is loaded at the first use
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
    before = resident("VmRSS")
    work = case.work()
    for _ in range(2):
        work()
    print(max(resident("VmHWM") - before, 1))


def resident(name: str) -> int:
    """Return a value of this process' memory in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(kib) * 1024


def table(axis: str, rows: list[Row]) -> str:
    """Return one axis' rows, and below them the exponents: of all, and of the last two."""
    columns = {"s": [r.median for r in rows], "tensors, MiB": [r.tensors / MIB for r in rows]}
    processes = [r.process / MIB for r in rows if r.process is not None]
    if processes:
        columns["process, MiB"] = processes
    lines = [f"| {axis} | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for row, *numbers in zip(rows, *columns.values(), strict=True):
        lines.append(f"| {row.value} | {' | '.join(f'{n:.4g}' for n in numbers)} |")
    values = [float(row.value) for row in rows]
    for name, last in (("exponent", len(rows)), ("of the last two", 2)):
        slopes = [exponent(values[-last:], numbers[-last:]) for numbers in columns.values()]
        lines.append(f"| {name} | {' | '.join(f'{slope:.2f}' for slope in slopes)} |")
    return "\n".join(lines)


def measure(axis: dict[int, Case], seconds: float, processes: bool) -> list[Row]:
    cases = list(axis.values())
    times = time_in_turns(cases, seconds)
    return [
        Row(value, case, own, case.tensors(), process_peak(case) if processes else None)
        for (value, case), own in zip(axis.items(), times, strict=True)
    ]


def forecast(case: Case) -> dict[str, Any]:
    """Return what an iteration takes by count, as CUDA's kernels keep it in fp32, not compiled."""
    with torch.device("meta"):
        module = case.module()
    asked = module, case.side, case.side, case.batch
    ways: dict[str, dict[str, Any]] = {
        "as it is": {},
        "recomputed": {"checkpoint_activations": True},
        "recomputed, in parts of 1": {"checkpoint_activations": True, "accumulate": case.batch},
    }
    peaks = {name: predict_peak(*asked, device="meta", **way) for name, way in ways.items()}
    return {"case": asdict(case), "peaks": peaks}


def forecast_table(forecasts: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for f in forecasts for name in f["peaks"]))
    lines = [f"| side, batch | {' | '.join(f'{n}, GiB' for n in names)} |"]
    lines.append("|---" * (1 + len(names)) + "|")
    for f in forecasts:
        peaks = [f"{f['peaks'][n] / 2**30:.3g}" if n in f["peaks"] else "" for n in names]
        lines.append(f"| {f['case']['side']}, {f['case']['batch']} | {' | '.join(peaks)} |")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--axes", nargs="+", choices=AXES, default=list(AXES))
    add("--seconds", type=float, default=25, help="of turns for each axis (%(default)s)")
    add("--points", type=int, help="only the first of each table, at least two")
    add("--no-processes", action="store_true", help="leave out the processes' peaks")
    add("--no-forecast", action="store_true", help="leave out the published width's")
    add("--json", type=Path, default=Path("outputs/scaling.json"), help="where the results go")
    add("--peak-of", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.peak_of:
        print_peak(Case(**options.peak_of))
        return
    results: dict[str, Any] = {"about": describe("cpu"), "axes": {}, "forecasts": []}
    for axis in options.axes:
        cases = dict(list(AXES[axis].items())[: options.points])
        rows = measure(cases, options.seconds, not options.no_processes)
        results["axes"][axis] = [asdict(row) for row in rows]
        print(f"\n{table(axis, rows)}", flush=True)
    if not options.no_forecast:
        results["forecasts"] = [forecast(case) for case in FORECASTS[: options.points]]
        print(f"\n{forecast_table(results['forecasts'])}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
