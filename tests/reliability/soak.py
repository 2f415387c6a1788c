"""Long runs: one that is killed again and again, and what one of 20,000 iterations keeps in memory.

`soak.py kills` trains twice on the drawn shoes, once in peace and once killed at random moments and
resumed each time, and compares what the two end with, to the bit. `soak.py memory` writes the
memory of the main process and of its workers over the iterations, as a table and a picture.
"""

import argparse
import csv
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from fault_rows.checks import differences
from fault_rows.stage import NETWORKS

MUNIT_TRAIN = Path(sys.executable).parent / "munit-train"
TINY = [
    "data=drawn",
    "data.num_workers=2",
    *NETWORKS,
    "trainer.accelerator=cpu",
    "run=soak",
    "ckpt_path=auto",
    "~callbacks.bar",
]


def start(folder: Path, *settings: str) -> subprocess.Popen[bytes]:
    log = (folder / "log.txt").open("ab")
    return subprocess.Popen(
        [MUNIT_TRAIN, *TINY, *settings, f"output_dir={folder / 'run'}"],
        cwd=folder,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def kill_again_and_again(
    folder: Path, settings: list[str], iterations: int, kills: int, rng: random.Random
) -> int:
    """Train to the end; return how often the run was killed before it was through."""
    killed = 0
    while True:
        target = newest(folder) + rng.randrange(1 + int(1.2 * iterations / max(kills, 1)))
        run = start(folder, *settings)
        if killed < kills and rng.random() < 0.8:  # the others are killed while they start
            while run.poll() is None and newest(folder) < target:
                time.sleep(0.02)
        try:
            status = run.wait(timeout=rng.uniform(0, 2) if killed < kills else None)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            killed += 1
            print(f"killed {killed} times; saved: {newest(folder)}", flush=True)
            continue
        if status:
            sys.exit(f"the run ended with {status}: see {folder / 'log.txt'}")
        return killed


def newest(folder: Path) -> int:
    """Return the iteration of the newest checkpoint, whole or not."""
    files = (folder / "run" / "checkpoints").glob("0*.ckpt")
    return max((int(file.stem) for file in files), default=0)


def soak_kills(options: argparse.Namespace, folder: Path) -> None:
    settings = [
        "data.size=[64,64]",
        "data.batch_size=2",
        f"trainer.max_steps={options.iterations}",
        "callbacks.checkpoints.every_n_steps=5",
        "callbacks.checkpoints.keep_last=3",
        "callbacks.grid.every_n_steps=100",
        "trainer.val_check_interval=500",
        "trainer.limit_val_batches=2",
    ]
    for name in ("peace", "killed"):
        (folder / name).mkdir()
    kill_again_and_again(folder / "peace", settings, options.iterations, 0, random.Random())
    rng = random.Random(options.seed)
    killed = kill_again_and_again(
        folder / "killed", settings, options.iterations, options.kills, rng
    )
    last = "run/checkpoints/last.ckpt"
    ends = (torch.load(folder / name / last, weights_only=True) for name in ("peace", "killed"))
    unequal = differences(*ends)
    print(f"{killed} kills in {options.iterations} iterations; tensors that differ: {len(unequal)}")
    if unequal or killed < options.kills:
        sys.exit(f"not as promised: {unequal[:5] or 'the run was through too soon'}")


def resident(pid: int) -> float:
    """Return a process's proportional share of memory, in MiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    pss = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    assert pss
    return int(pss[1]) / 1024


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    names = {int(child): Path(f"/proc/{child}/comm").read_text() for child in children}
    return sorted(
        child for child, name in names.items() if "pt_data_worker" in name or "munit" in name
    )


def iteration_of(folder: Path) -> int:
    files = list((folder / "run" / "csv").glob("version_*/metrics.csv"))
    if not files:
        return 0
    lines = files[0].read_text().splitlines()
    column = lines[0].split(",").index("step")
    return int(lines[-1].split(",")[column]) + 1 if len(lines) > 1 else 0


def soak_memory(options: argparse.Namespace, folder: Path) -> None:
    settings = [
        "data.size=[16,16]",
        f"trainer.max_steps={options.iterations}",
        "callbacks.checkpoints.every_n_steps=500",
        "callbacks.checkpoints.keep_last=2",
        "callbacks.grid.every_n_steps=1000",
        "trainer.val_check_interval=1000",
    ]
    run = start(folder, *settings)
    rows: list[dict[str, float]] = []
    while run.poll() is None:
        time.sleep(options.seconds)
        try:
            main, workers = resident(run.pid), [resident(pid) for pid in workers_of(run.pid)]
        except (OSError, AssertionError):  # through, or not there yet
            continue
        iteration = iteration_of(folder)
        if iteration and len(workers) >= 2:
            rows.append({"iteration": iteration, "main": main, "workers": sum(workers)})
    if run.returncode:
        sys.exit(f"the run ended with {run.returncode}: see {folder / 'log.txt'}")
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "memory.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["iteration", "main", "workers"])
        writer.writeheader()
        writer.writerows({k: round(v, 1) for k, v in row.items()} for row in rows)
    plot(rows, options.out / "memory.png")
    half = [row for row in rows if row["iteration"] > options.iterations / 2]
    for name in ("main", "workers"):
        slope = statistics.linear_regression(
            [row["iteration"] for row in half], [row[name] for row in half]
        ).slope
        values = [row[name] for row in half]
        print(
            f"{name}: {min(values):.1f} to {max(values):.1f} MiB over the second half, "
            f"{1000 * slope:+.3f} MiB per 1000 iterations"
        )


def plot(rows: list[dict[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot()
    for name in ("main", "workers"):
        axes.plot([row["iteration"] for row in rows], [row[name] for row in rows], label=name)
    axes.set(xlabel="iteration", ylabel="MiB (proportional)", ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    kills = commands.add_parser("kills")
    kills.add_argument("--kills", type=int, default=20)
    kills.add_argument("--iterations", type=int, default=1500)
    kills.add_argument("--seed", type=int, default=0)
    kills.set_defaults(work=soak_kills)
    memory = commands.add_parser("memory")
    memory.add_argument("--iterations", type=int, default=20_000)
    memory.add_argument("--seconds", type=float, default=5.0, help="between two looks")
    memory.add_argument("--out", type=Path, default=Path("memory"))
    memory.set_defaults(work=soak_memory)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.work(options, Path(folder))


if __name__ == "__main__":
    main()
