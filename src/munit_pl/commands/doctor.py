"""``munit-doctor``: whether training here gives what it should, and how fast."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from munit_pl.commands.diagnosis.machine import describe_machine, without_paths
from munit_pl.commands.diagnosis.report import overall, peak, seconds, write_report
from munit_pl.commands.diagnosis.trials import Trial, judge, trials
from munit_pl.commands.options.doctor import parse

LIMIT = 1200  # seconds that a trial may take; one that compiles takes minutes


def main(argv: Sequence[str] | None = None) -> None:
    """Run as the command line says; ends with exit code 1 if anything is not as it should be."""
    run(parse(argv))


def run(options: argparse.Namespace) -> None:
    """Do what was asked for, `parse` having read it."""
    there = torch.cuda.is_available()
    if options.device == "cuda" and not there:
        sys.exit("munit-doctor: PyTorch finds no CUDA device here: leave out --device cuda")
    device = "cuda" if there and options.device != "cpu" else "cpu"
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        done = _try_all(device, options.out)
    except OSError as error:
        # The folder for the report, or the one for temporary files.
        sys.exit(f"munit-doctor: {error.filename or options.out}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    print(f"\n{overall(done)}; the report: {options.out / 'report.html'}, report.json beside it")
    if any(one["verdict"] != "ok" for one in done):
        sys.exit(1)


def _try_all(device: str, out: Path) -> list[dict[str, Any]]:
    machine = describe_machine(out)
    names = [one["name"] for one in machine["devices"]] if device == "cuda" else []
    print(f"{', '.join(names) or machine['processor']}, torch {machine['packages']['torch']}\n")
    done: list[dict[str, Any]] = []
    expected: dict[str, Any] = {}
    for trial in trials(device):
        print(f"{trial!s:36} ", end="", flush=True)
        found = attempt(trial)
        found |= {k: without_paths(found[k]) for k in ("error", "left") if found.get(k)}
        expected = expected or found
        verdict, why = judge(trial, found, expected)
        done.append({"name": str(trial), "verdict": verdict, "why": why, **found})
        print(f"{verdict:8} {seconds(done[-1]):>7} s {peak(done[-1]):>6} GiB  {why}", flush=True)
        write_report(out, machine, done)  # as far as it is
    return done


def attempt(trial: Trial) -> dict[str, Any]:
    """Return what comes of a trial in a process of its own; or "error", its last line."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "found.json")
        command = [sys.executable, "-m", "munit_pl.commands.diagnosis.training"]
        child = subprocess.Popen(
            [*command, json.dumps(trial._asdict()), str(result)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # with those that it starts
        )
        try:
            _, said = child.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return {"error": f"it did not end within {LIMIT // 60} minutes"}
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if result.exists() and not child.returncode:
            found: dict[str, Any] = json.loads(result.read_text())
            return found
        lines = [line for line in said.splitlines() if line.strip()]
        last = lines[-1].strip() if lines else "without a word"
        return {"error": f"exit code {child.returncode}: {last[:300]}"}


if __name__ == "__main__":
    main()
