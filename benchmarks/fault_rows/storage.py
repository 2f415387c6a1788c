"""Checkpoints: the disk, damaged files, another machine (A.2.2)."""

from functools import partial
from pathlib import Path

import torch

from fault_rows.checks import (
    Row,
    checkpoint,
    damage,
    ended,
    ensure,
    finished,
    refused,
    same,
    saved_steps,
    told,
    tree,
)
from fault_rows.machine import with_small_disk, without_root
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


def last_damaged(how: str, stage: Stage) -> None:
    """The same iteration is there under its number, too."""
    stage.draw()
    finished(stage, stage.train(*GOES_ON[1:]))
    damage(stage, "last.ckpt", how)
    finished(stage, stage.train(*GOES_ON), 7)
    _equals_run_left_alone(stage)


def hash_missing(stage: Stage) -> None:
    """Copied without what lies beside it, but whole."""
    stage.draw()
    finished(stage, stage.train())
    for file in (stage.folder / CHECKPOINTS).glob("*.sha256"):
        file.unlink()
    finished(stage, stage.train(*GOES_ON), 7)


def all_damaged(setting: str, stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train())
    for name in ("00000002.ckpt", "00000004.ckpt", "last.ckpt"):
        damage(stage, name, "truncate")
    before = tree(stage.folder / CHECKPOINTS)
    outcome = stage.train("trainer.max_steps=7", f"ckpt_path={setting}")
    told(outcome, 2, r"00000004\.ckpt|last\.ckpt", "run=")
    ensure(tree(stage.folder / CHECKPOINTS) == before, "files were made")


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


def not_a_folder(stage: Stage) -> None:
    stage.draw()
    (stage.folder / "file").write_text("a file")
    folder = "callbacks.checkpoints.folder=file/below"
    refused(stage, stage.train(folder), "file/below")


def read_only(stage: Stage) -> None:
    stage.draw()
    folder = stage.folder / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    outcome = stage.train("callbacks.checkpoints.folder=locked", prefix=without_root())
    refused(stage, outcome, "locked")


def other_processes(first: list[str], second: list[str], stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train(*first))
    settings = ["trainer.max_steps=6", "ckpt_path=auto", *second]
    finished(stage, stage.train(*settings), 6, "(?i)processes|world")


def other_precision(stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train())
    settings = ["trainer.max_steps=6", "ckpt_path=auto", "trainer.precision=bf16-mixed"]
    finished(stage, stage.train(*settings), 6, "precision|bf16")


def other_batch_size(stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train("data.batch_size=2"))
    settings = ["trainer.max_steps=6", "ckpt_path=auto", "data.batch_size=3"]
    finished(stage, stage.train(*settings), 6, "read 2 images.*reads 3")


def other_model(stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train())
    outcome = stage.train("trainer.max_steps=6", "ckpt_path=auto", "model.generator.dim=8")
    told(outcome, 2, "another model")


def newer_schema(stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train())
    state = checkpoint(stage)
    state["munit_pl"] = {**state["munit_pl"], "schema": 1000}
    torch.save(state, stage.folder / "newer.ckpt")
    told(stage.train("ckpt_path=newer.ckpt", "run=y"), 2, "newer")


def few_kept(stage: Stage) -> None:
    stage.draw()
    outcome = stage.train("trainer.max_steps=9", "callbacks.checkpoints.keep_last=2")
    finished(stage, outcome, 9)
    ensure(saved_steps(stage) == [8, 9], f"checkpoints of {saved_steps(stage)} are there")


_EQUAL = "goes on from another; equals the run left alone"
ROWS = [
    Row(
        "storage: killed while saving", "goes on from the one before; no leftovers", killed_in_save
    ),
    Row("storage: the newest checkpoint is damaged", f"says so; {_EQUAL}", newest_damaged),
    *(
        Row(f"storage: last.ckpt, {what}", _EQUAL, partial(last_damaged, how))
        for what, how in (
            ("one byte flipped", "flip"),
            ("cut in half", "truncate"),
            ("empty", "empty"),
        )
    ),
    *(
        Row(
            f"storage: all checkpoints are damaged, ckpt_path={setting}",
            "refused, names them, exit 2; not from scratch",
            partial(all_damaged, setting),
        )
        for setting in ("auto", "last")
    ),
    Row("storage: checkpoints without their hashes", "goes on", hash_missing),
    Row("storage: disk full once", "told; trained to the end", disk_full_once),
    Row("storage: disk full for good", "stops, exit 74; the last is whole", disk_full_for_good),
    Row("storage: a disk with room for two", "stops, exit 74; the last is whole", small_disk),
    Row("storage: folder below a file", "refused before training, exit 2", not_a_folder),
    Row("storage: folder not writable", "refused before training, exit 2", read_only),
    Row("storage: keep_last=2", "two are kept, and last.ckpt", few_kept),
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
    Row("resume: in bf16-mixed instead of 32-true", "warned; goes on", other_precision),
    Row("resume: with another batch size", "warned; goes on", other_batch_size),
    Row("resume: with another model", "refused, exit 2", other_model),
    Row("resume: of a newer munit_pl", "refused, exit 2", newer_schema),
]
