"""Runs of ``munit-train``: their settings, iterations in a given time, and processes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.quality import SIDE
from benchmarks.quality.rows import for_steps
from munit_pl.io.files import write_whole

MUNIT_TRAIN = Path(sys.executable).parent / "munit-train"
# How many times as many iterations two threads on two idle cores do as one: by README.md's numbers
# of the demo, 0.233 s of processor time with one thread and about 0.161 s with two.
SPEEDUP = 1.45


class Failed(RuntimeError):
    """A command did not end well; the message says where to read why."""


def settings(
    root: Path, row: Sequence[str], seed: int, steps: int, further: Sequence[str]
) -> list[str]:
    """Return what ``munit-train`` is given for one run, but for its folder.

    Args:
        root: The set's folder.
        row: The row's own settings.
        seed: The run's.
        steps: Its iterations.
        further: Settings of all runs, which count last.
    """
    return [
        "data=folder",
        f"data.root={root.resolve()}",
        f"data.resize={SIDE}",
        f"data.crop={SIDE}",
        "data.batch_size=2",
        "data.num_workers=0",
        "trainer.precision=32-true",
        "trainer.limit_val_batches=0",
        *for_steps([*row], steps),
        *further,
        f"seed={seed}",
        f"trainer.max_steps={steps}",
        f"callbacks.grid.every_n_steps={steps}",
        f"callbacks.checkpoints.every_n_steps={steps}",
        "callbacks.checkpoints.every_n_minutes=15",
        "callbacks.checkpoints.keep_last=1",
        "~callbacks.bar",
    ]


def train(given: Sequence[str], folder: Path, threads: int | None) -> None:
    """Train, or go on with what the folder holds.

    Raises:
        Failed: If the command fails; the folder's log.txt says why.
    """
    own = [f"output_dir={folder.resolve()}", "ckpt_path=auto"]
    command = [str(MUNIT_TRAIN), *given, *own]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("ab") as log:
        _run(command, threads, stdout=log, stderr=log, what=folder / "log.txt")


def measure(root: Path, run: str) -> dict[str, float | None]:
    """Return a run's metrics, or those of the word "perfect"; see `benchmarks.quality.measure`."""
    command = [sys.executable, "-m", "benchmarks.quality.measure", str(root.resolve()), run]
    shown = _run(command, 1, stdout=subprocess.PIPE, what=run)
    return json.loads(shown.splitlines()[-1])


def iterations(
    file: Path,
    chosen: Mapping[str, Sequence[str]],
    minutes: float,
    root: Path,
    further: Sequence[str],
) -> dict[str, int]:
    """Return how many iterations rows do in a time on two idle cores, without the start.

    It is found as processor time of one thread, which other programs on the machine change little.

    Args:
        file: What is known of rows already; the others are timed. What they are timed on is of no
            matter, as images of all sets have one size.
        chosen: The rows' settings.
        minutes: The time.
        root: A set.
        further: Settings of all runs.
    """
    known = json.loads(file.read_text()) if file.exists() else {}
    for name, row in chosen.items():
        asked = [*row, *further]
        if known.get(name, {}).get("settings") != asked:
            seconds = _processor_seconds(root, row, further, file.parent / "timing" / name)
            known[name] = {"processor_seconds": seconds, "settings": asked}
            write_whole(file, json.dumps(known, indent=1) + "\n")
            print(f"an iteration of {name}: {seconds:.3f} s of one thread", flush=True)
    each = {name: known[name]["processor_seconds"] / SPEEDUP for name in chosen}
    return {name: max(1, int(60 * minutes / seconds)) for name, seconds in each.items()}


def _processor_seconds(
    root: Path, row: Sequence[str], further: Sequence[str], folder: Path
) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    clock = "benchmarks.quality.clock"
    file = folder.resolve() / "seconds.json"
    given = settings(root, row, 0, 16 * 4, further)
    given += [f"+callbacks.clock._target_={clock}.ProcessorTime", f"+callbacks.clock.file={file}"]
    train(given, folder, 1)
    seconds = json.loads(file.read_text())
    shutil.rmtree(folder)
    return float(seconds)


def _run(command: list[str], threads: int | None, what: object, **streams: Any) -> str:
    top = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": str(top)}
    if threads is not None:
        env |= {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=env, cwd=top, text=True, check=False, **streams)
    if done.returncode:
        raise Failed(f"{Path(command[0]).name} ended with {done.returncode}: see {what}")
    return done.stdout or ""
