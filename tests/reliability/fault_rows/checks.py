"""What rows look at after a command has ended; each check raises `Surprise`."""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fault_rows.stage import RUN, Outcome, Stage, Surprise

Checkpoint = dict[str, Any]
_STATE = ("global_step", "state_dict", "optimizer_states", "lr_schedulers", "pools", "skipped")


class Row(NamedTuple):
    """One fault.

    Attributes:
        fault: What goes wrong, as ``group: fault``.
        expected: What should happen, in words.
        play: Prepares it, runs commands and checks.
    """

    fault: str
    expected: str
    play: Callable[[Stage], None]


def ensure(condition: object, otherwise: str) -> None:
    """Raise `Surprise` unless a condition holds."""
    if not condition:
        raise Surprise(otherwise)


def ended(outcome: Outcome, status: int, *patterns: str) -> None:
    """Check the exit status, that all patterns are in what was said, and no traceback."""
    last = next((x for x in reversed(outcome.errors.splitlines()) if x.strip()), "nothing said")
    ensure(outcome.status == status, f"exit {outcome.status}: {last[:300]}")
    for pattern in patterns:
        ensure(
            re.search(pattern, outcome.said, re.DOTALL), f"{pattern!r} is not said: {last[:300]}"
        )
    ensure("Traceback" not in outcome.said, f"a traceback: {last[:300]}")


def told(outcome: Outcome, status: int, *patterns: str) -> None:
    """Check that `munit-train` ended with one line of its own; faults may be listed below it."""
    ended(outcome, status, *patterns)
    own = [line for line in outcome.errors.splitlines() if line.startswith("munit-train: ")]
    ensure(len(own) == 1, f"{len(own)} lines begin with 'munit-train: '")
    line = outcome.errors[outcome.errors.index(own[0]) :]
    for pattern in patterns:
        ensure(re.search(pattern, line), f"{pattern!r} is not in the line: {line[:300]}")


def refused(stage: Stage, outcome: Outcome, *patterns: str) -> None:
    """Check that a run was refused before training."""
    told(outcome, 2, *patterns)
    ensure(not saved_steps(stage), f"trained: {saved_steps(stage)}")


def saved_steps(stage: Stage, run: Path = RUN) -> list[int]:
    """Return the iterations whose checkpoints are whole, by the hash that lies beside them."""
    files = sorted((stage.folder / run / "checkpoints").glob("[0-9]*.ckpt"))
    return [int(file.stem) for file in files if _matches_hash(file)]


def _matches_hash(file: Path) -> bool:
    beside = file.with_name(file.name + ".sha256")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return beside.exists() and digest in beside.read_text()


def checkpoint(stage: Stage, step: int | None = None, run: Path = RUN) -> Checkpoint:
    """Return the checkpoint of an iteration, the last one unless given: whole, and all finite."""
    name = "last" if step is None else f"{step:08d}"
    file = stage.folder / run / "checkpoints" / f"{name}.ckpt"
    ensure(file.exists(), f"there is no {file.name}")
    ensure(_matches_hash(file), f"{file.name} does not match its .sha256")
    state: Checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    ensure(step in (None, state["global_step"]), f"{file.name} is of {state['global_step']}")
    for place, tensor in _tensors(state, file.name):
        ensure(not tensor.is_floating_point() or tensor.isfinite().all(), f"{place} is not finite")
    return state


def finished(stage: Stage, outcome: Outcome, step: int = 4, *patterns: str) -> Checkpoint:
    """Check that a run went to its end; its last checkpoint is of ``step``, whole and finite."""
    ended(outcome, 0, *patterns)
    state = checkpoint(stage)
    ensure(state["global_step"] == step, f"ended at iteration {state['global_step']}")
    return state


def stopped(stage: Stage, outcome: Outcome, status: int, *patterns: str) -> int:
    """Check that a run ended early and saved what it ended with; return the iteration."""
    ended(outcome, status, *patterns)
    found = re.search(r"stopped after iteration (\d+), saved", outcome.said)
    ensure(found, "'stopped after iteration N, saved' is not said")
    assert found is not None
    step = int(found[1])
    last = checkpoint(stage)["global_step"]
    ensure(last == step, f"last.ckpt is of {last}, but it says {step}")
    checkpoint(stage, step)
    return step


def same(stage: Stage, one: Path, other: Path) -> None:
    """Check that two runs ended with equal weights, Adams and all else, to the bit."""
    unequal = differences(*(checkpoint(stage, run=run) for run in (one, other)))
    ensure(not unequal, f"differs: {unequal[:3]}")


def differences(one: Checkpoint, other: Checkpoint) -> list[str]:
    """Name what differs, or is in one alone, of two checkpoints' weights, Adams and all else."""
    here, there = (
        dict(_leaves({key: state.get(key) for key in _STATE}, "last.ckpt"))
        for state in (one, other)
    )
    shared = here.keys() & there.keys()
    return sorted(here.keys() ^ there.keys()) + [
        place for place in here if place in shared and not _equal(here[place], there[place])
    ]


def _equal(value: Any, other: Any) -> bool:
    tensors = [torch.is_tensor(each) for each in (value, other)]
    return torch.equal(value, other) if all(tensors) else not any(tensors) and value == other


def bad_files(stage: Stage) -> dict[str, str]:
    """Return the skipped files' names and reasons."""
    file = stage.folder / RUN / "bad_files.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    names = [Path(row["file"]).name for row in rows]
    ensure(len(set(names)) == len(names), f"bad_files.jsonl lists a file twice: {names}")
    return {name: row["reason"] for name, row in zip(names, rows, strict=True)}


def listed(stage: Stage, *names: str) -> None:
    """Check that exactly these files are listed as skipped."""
    found = bad_files(stage)
    ensure(found.keys() == set(names), f"bad_files.jsonl lists {sorted(found)}: {found}")


def logged(stage: Stage, name: str) -> list[float]:
    """Return the values of a curve, in order."""
    values = []
    for file in sorted((stage.folder / RUN / "csv").glob("version_*/metrics.csv")):
        with file.open() as lines:
            values += [float(row[name]) for row in csv.DictReader(lines) if row.get(name)]
    ensure(values, f"metrics.csv has no {name}")
    return values


def tree(folder: Path) -> set[str]:
    """Return all that lies in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def cut_in_half(file: Path) -> None:
    """Truncate a checkpoint under this name alone."""
    data = file.read_bytes()
    file.unlink()  # a hard link's other name would change too
    file.write_bytes(data[: len(data) // 2])


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _leaves(entry, f"{place}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from _leaves(entry, f"{place}[{index}]")
    else:
        yield place, value


def _tensors(value: Any, place: str) -> Iterator[tuple[str, torch.Tensor]]:
    return ((where, leaf) for where, leaf in _leaves(value, place) if torch.is_tensor(leaf))
