"""Checkpoints: the disk, damaged files, another machine."""

from functools import partial
from pathlib import Path

from fault_rows.checks import (
    Row,
    checkpoint,
    cut_in_half,
    ended,
    ensure,
    finished,
    same,
    saved_steps,
    tree,
)
from fault_rows.machine import with_small_disk
from fault_rows.stage import CHECKPOINTS, DDP, RUN, Outcome, Stage, fault
from fault_rows.stops import ALONE

GOES_ON = ["trainer.max_steps=7", "ckpt_path=auto"]


def killed_in_save(stage: Stage) -> None:
    stage.draw()
    outcome = stage.train(*GOES_ON, *fault("killed_in_save", step=4))
    ensure(outcome.status in (137, 153), f"exit {outcome.status}")  # by SIGXFSZ
    ensure(saved_steps(stage) == [2], f"checkpoints of {saved_steps(stage)} are whole")
    checkpoint(stage)
    finished(stage, stage.train(*GOES_ON), 7)
    left = [name for name in tree(stage.folder / CHECKPOINTS) if "tmp" in name]
    ensure(not left, f"left behind: {left}")
    _equals_run_left_alone(stage)


def _equals_run_left_alone(stage: Stage) -> None:
    ended(stage.train(*GOES_ON, "run=alone"), 0)
    same(stage, RUN, ALONE)


def newest_damaged(stage: Stage) -> None:
    stage.draw()
    ended(stage.train(*GOES_ON, *fault("damaged_checkpoint", step=4)), 137)
    finished(stage, stage.train(*GOES_ON), 7, r"00000004\.ckpt|last\.ckpt")
    _equals_run_left_alone(stage)


def last_damaged(stage: Stage) -> None:
    """The same iteration is there under its number, too."""
    stage.draw()
    finished(stage, stage.train(*GOES_ON[1:]))
    cut_in_half(stage.folder / CHECKPOINTS / "last.ckpt")
    finished(stage, stage.train(*GOES_ON), 7)
    _equals_run_left_alone(stage)


def disk_full_once(stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train(*GOES_ON, *fault("disk_full", step=4)), 7, r"00000004\.ckpt")
    ensure(saved_steps(stage) == [2, 6, 7], f"checkpoints of {saved_steps(stage)} are there")


def disk_full_for_good(stage: Stage) -> None:
    stage.draw()
    settings = ["trainer.max_steps=100", *fault("disk_full_for_good", step=4)]
    told_to_stop(stage.train(*settings))
    ensure(saved_steps(stage) == [2], f"checkpoints of {saved_steps(stage)} are there")
    checkpoint(stage)


def told_to_stop(outcome: Outcome) -> None:
    """Check what is said of a disk that stays full."""
    ended(outcome, 74, "NOT saved")


def small_disk(stage: Stage) -> None:
    """A disk on which two checkpoints find room, and no more."""
    stage.draw()
    ended(stage.train("trainer.max_steps=2", "run=alone"), 0)
    size = (stage.folder / ALONE / "checkpoints/last.ckpt").stat().st_size
    disk = stage.folder / "disk"
    prefix = with_small_disk(disk, str(int(2.5 * size)))
    prefix[4] = 'whole() { "$@"; status=$?; cp -r disk kept/checkpoints; return $status; }; ' + (
        prefix[4].replace("exec", "whole")
    )
    kept = stage.folder / "kept"
    kept.mkdir()
    folder = f"callbacks.checkpoints.folder={disk}"
    outcome = stage.train("trainer.max_steps=100", folder, prefix=prefix)
    told_to_stop(outcome)
    checkpoint(stage, run=Path("kept"))


def other_processes(first: list[str], second: list[str], stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train(*first))
    settings = ["trainer.max_steps=6", "ckpt_path=auto", *second]
    finished(stage, stage.train(*settings), 6, "(?i)processes|world")


_EQUAL = "goes on from another; equals the run left alone"
ROWS = [
    Row(
        "storage: killed while saving", "goes on from the one before; no leftovers", killed_in_save
    ),
    Row("storage: the newest checkpoint is damaged", f"says so; {_EQUAL}", newest_damaged),
    Row("storage: last.ckpt, cut in half", _EQUAL, last_damaged),
    Row("storage: disk full once", "told; trained to the end", disk_full_once),
    Row("storage: disk full for good", "stops, exit 74; the last is whole", disk_full_for_good),
    Row("storage: a disk with room for two", "stops, exit 74; the last is whole", small_disk),
    Row(
        "resume: with one process instead of two",
        "warned; trained to the end",
        partial(other_processes, DDP, []),
    ),
    Row(
        "resume: with two processes instead of one",
        "warned; trained to the end",
        partial(other_processes, [], DDP),
    ),
]
