"""What a training iteration costs: MUNIT as published, each saving alone, and this package.

All arms run in one process on the same weights, images and styles. First each is compared with the
published iteration, and not timed if its numbers differ; then they take turns. Without options this
takes some twenty minutes on two cores, and less than ten on a GPU.
"""

import argparse
import gc
import itertools
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.iteration.arm import Arm, Case, Unavailable
from benchmarks.iteration.arms import Runner, arithmetic, build, choose
from benchmarks.iteration.counts import count_kernels, count_on_meta, peak_memory, print_peak
from benchmarks.iteration.gate import Gate
from benchmarks.iteration.machine import MOST_LOAD, describe, load
from benchmarks.iteration.table import table
from benchmarks.iteration.timing import block_length, take_turns, warm_up

GROUPS = ("switches", "each", "together", "ours", "compiled", "reference")


class Plan(NamedTuple):
    """A case, its arms, the seconds that their turns may take, and whether memory is measured."""

    case: Case
    groups: list[str]
    budget: float
    memory: bool = True


def default_plans(device: str) -> list[Plan]:
    """Return what is measured unless sizes are asked for."""
    everything = [group for group in GROUPS if group != "reference"]
    if not device.startswith("cuda"):
        # The published size as far as two cores can, and the demo's with all arms.
        published, small = Case(256, 64, 1, False, device), Case(64, 16, 1, False, device)
        return [
            Plan(published, ["ours", "compiled"], 480),
            Plan(small, everything, 150, memory=False),
        ]
    few = ["switches", "ours", "compiled"]
    return [
        Plan(Case(256, 64, 1, False, device), everything, 120),
        Plan(Case(256, 64, 1, True, device), few, 40),
        Plan(Case(256, 64, 4, False, device), few, 50),
        Plan(Case(256, 64, 16, False, device), few, 90),
    ]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", help="sides of images; unless given, the default cases")
    add("--dim", type=int, default=64, help="channels after the first convolution")
    add("--batch", type=int, nargs="+", default=[1], help="images of each domain")
    add("--cycle", action="store_true", help="with the explicit cycle term")
    add("--arms", nargs="+", choices=GROUPS, help="groups of arms beside plain")
    add("--precision", nargs="+", choices=("fp32", "tf32", "bf16"), help="the first is plain's")
    add("--device", default="cpu", help="cpu or cuda")
    add("--blocks", type=int, help="rounds of blocks; unless given, 5 to 10 as time allows")
    add("--iterations", type=int, help="in a block; unless given, what takes half a second")
    add("--minutes", type=float, default=3.0, help="of turns for each case of --sizes")
    add("--no-memory", action="store_true", help="leave out the processes that measure memory")
    add("--reference", metavar="PATH", help="a clone of the original code, to be timed too")
    add("--force", action="store_true", help="run although the machine is busy")
    add("--json", type=Path, default=Path("outputs/step.json"), help="where the results go")
    add("--table", type=Path, metavar="FILE.json", help="only print the table of an earlier run")
    add("--peak-of", help=argparse.SUPPRESS)
    return parser.parse_args()


def plan(options: argparse.Namespace) -> list[Plan]:
    """Return the cases that the options ask for."""
    if options.sizes is None:
        plans = default_plans(options.device)
        if options.arms:
            plans = [p._replace(groups=options.arms) for p in plans]
    else:
        groups, budget = options.arms or ["ours"], 60 * options.minutes
        plans = [
            Plan(Case(size, options.dim, batch, options.cycle, options.device), groups, budget)
            for size, batch in itertools.product(options.sizes, options.batch)
        ]
    if options.reference:
        plans = [p._replace(groups=[*p.groups, "reference"]) for p in plans]
    return plans


def admit(
    arms: list[Arm], case: Case, memory: bool, reference: str | None
) -> tuple[dict[Arm, dict[str, Any]], dict[Arm, Runner]]:
    """Build, count and compare the arms; return the rows of all and the runners of the admitted."""
    gate = Gate(case)
    rows: dict[Arm, dict[str, Any]] = {}
    runners: dict[Arm, Runner] = {}
    for arm in arms:
        row: dict[str, Any] = {**arm.as_json(), "blocks": []}
        rows[arm] = row
        try:
            runner = build(arm, case, reference)
        except Unavailable as reason:
            row["why not"] = str(reason)
            continue
        if arm is not arms[0]:
            verdict = gate.compare(arm, runner)
            row["verdict"] = verdict.as_json()
            print(f"  {arm}: {'differs' if verdict.failed else 'computes the same'}", flush=True)
            if verdict.failed:
                continue
        runners[arm] = runner
        if arm.system not in ("compiled", "reference"):
            row |= count_on_meta(arm, case)._asdict()
        if memory and arm.system != "reference":
            row["peak"] = peak_memory(arm, case)
    return rows, runners


def measure(plan: Plan, precisions: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Return all that there is to say of one case."""
    case = plan.case
    print(f"\n{case}", flush=True)
    memory = plan.memory and not options.no_memory
    arms = choose(plan.groups, precisions, case.device)
    rows, runners = admit(arms, case, memory, options.reference)
    gc.collect()  # the gate's runners, before any time counts
    lengths = {}
    for arm, runner in runners.items():
        lengths[arm] = _prepare(arm, runner, case, rows[arm], options.iterations)
    blocks = take_turns(runners, case, lengths, options.blocks, plan.budget)
    for arm, times in blocks.items():
        rows[arm] |= {"blocks": times, "iterations of a block": lengths[arm]}
    return {"name": str(case), "case": vars(case), "arms": list(rows.values())}


def _prepare(arm: Arm, runner: Runner, case: Case, row: dict[str, Any], asked: int | None) -> int:
    """Warm an arm up and count its kernels; return the iterations of its blocks."""
    first = warm_up(arm, runner, case, 1)
    length = block_length(first[-1], asked)
    if case.device.startswith("cuda"):
        first += warm_up(arm, runner, case, length)
    row["warming up"] = first  # compilation and recording are in the first, or before it
    with arithmetic(arm.precision):
        row["kernels"] = count_kernels(runner, case, arm)
    return length


def main() -> None:
    options = parse()
    if options.peak_of:
        print_peak(options.peak_of)
        return
    if options.table:
        print(table(json.loads(options.table.read_text())))
        return
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here")
    if load() > MOST_LOAD and not options.force:
        sys.exit(
            f"the load is {load():.2f} of each core, above {MOST_LOAD}: times would be others' too;"
            " wait a minute, or give --force"
        )
    torch.backends.cudnn.benchmark = True
    first = "tf32" if options.device.startswith("cuda") else "fp32"
    precisions = options.precision or [first, "bf16"]
    run: dict[str, Any] = {"machine": describe(options.device), "cases": []}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    for each in plan(options):
        run["cases"].append(measure(each, precisions, options))
        run["machine"]["load after"] = load()
        options.json.write_text(json.dumps(run, indent=1))
        gc.collect()
    print("\n" + table(run))


if __name__ == "__main__":
    main()
