"""Signals: a run ends after its iteration, saved, and goes on as if nothing had been."""

import signal
from functools import partial
from pathlib import Path

from fault_rows.checks import Row, ended, ensure, finished, same, saved_steps, stopped
from fault_rows.stage import CHECKPOINTS, DDP, RUN, Stage, Surprise, fault

LONG = ["trainer.max_steps=1000000", "callbacks.checkpoints.every_n_steps=5"]
ALONE = Path("outputs/munit/alone")  # the run that nothing happened to


def ctrl_c(stage: Stage) -> None:
    stage.draw()
    command = stage.start_train(*LONG)
    command.wait_for(CHECKPOINTS / "00000005.ckpt")
    command.send(signal.SIGINT)
    stopped(stage, command.wait(), 130, "SIGINT")


def whole_group(name: str, settings: list[str], stage: Stage) -> None:
    """All processes get the signal, as from a terminal's Ctrl-C or a scheduler."""
    stage.draw()
    number = signal.Signals[name]
    command = stage.start_train(*LONG, *settings)
    command.wait_for(CHECKPOINTS / "00000005.ckpt")
    command.send_to_all(number)
    stopped(stage, command.wait(), 128 + number, name)


def while_loading(stage: Stage) -> None:
    """Before any iteration there is nothing to save."""
    stage.draw()
    command = stage.start_train(*LONG)
    command.wait_for(RUN / "run.lock")
    command.send(signal.SIGINT)
    ended(command.wait(), 130)
    ensure(not saved_steps(stage), "trained")


def killed_from_outside(processes: int, stage: Stage) -> None:
    """The very same command, twice; the first time it is killed wherever it is."""
    stage.draw()
    settings = ["trainer.max_steps=60", "ckpt_path=auto", "callbacks.checkpoints.every_n_steps=10"]
    settings += ["data.num_workers=1"] + (DDP if processes == 2 else [])
    command = stage.start_train(*settings)
    command.wait_for(CHECKPOINTS / "00000020.ckpt")
    command.send_to_all(signal.SIGKILL)
    ended(command.wait(), 137)
    finished(stage, stage.train(*settings), 60)
    left_alone(stage, *settings)


def left_alone(stage: Stage, *settings: str) -> None:
    """Run the same undisturbed and compare what both end with."""
    ended(stage.train(*settings, "run=alone"), 0)
    same(stage, RUN, ALONE)


def injected_in_rank_1(kind: str, status: int, stage: Stage) -> None:
    stage.draw()
    outcome = stage.train(*LONG, *DDP, *fault(kind, step=7, rank=1))
    step = stopped(stage, outcome, status)
    # The other process learns of it in the next iteration, and both end after that.
    ensure(step == 8, f"stopped after iteration {step}, but asked in 7")


def two_runs(stage: Stage) -> None:
    stage.draw()
    first = stage.start_train(*LONG)
    first.wait_for(CHECKPOINTS / "00000005.ckpt")
    outcome = stage.train("ckpt_path=auto")
    if outcome.status != 2:
        raise Surprise(f"exit {outcome.status}")
    ended(outcome, 2, "in use by another run")
    first.send(signal.SIGTERM)
    stopped(stage, first.wait(), 143)


def _saved(number: int) -> str:
    return f"saved after the iteration, exit {number}"


_TWO = "two processes"
_EQUAL = "equals the run left alone, to the bit"
ROWS = [
    Row("signal: SIGINT (Ctrl-C)", _saved(130), ctrl_c),
    Row("signal: SIGINT before training", "exit 130", while_loading),
    Row(
        "signal: SIGTERM to the run and its two workers",
        _saved(143),
        partial(whole_group, "SIGTERM", ["data.num_workers=2"]),
    ),
    Row(
        f"signal: {_TWO}, Ctrl-C to both and their workers",
        _saved(130),
        partial(whole_group, "SIGINT", [*DDP, "data.num_workers=1"]),
    ),
    *(
        Row(
            f"signal: {_TWO}, {kind.upper()} in rank 1 (injected)",
            _saved(status),
            partial(injected_in_rank_1, kind, status),
        )
        for kind, status in (("sigint", 130), ("sigusr1", 138))
    ),
    Row(
        "resume: kill -9 from outside, then the same command",
        _EQUAL,
        partial(killed_from_outside, 1),
    ),
    Row(
        f"resume: {_TWO}, kill -9 of both, then the same command",
        _EQUAL,
        partial(killed_from_outside, 2),
    ),
    Row("resume: another run in the same folder", "the second one is refused, exit 2", two_runs),
]
