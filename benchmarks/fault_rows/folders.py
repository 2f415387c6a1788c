"""Folders and lists: what is passed over, refused, or stops a run (A.2.1)."""

import os
import shutil
from functools import partial

from fault_rows import drawing
from fault_rows.checks import (
    Row,
    bad_files,
    ensure,
    finished,
    listed,
    refused,
    stopped,
    told,
)
from fault_rows.images import PASS
from fault_rows.machine import without_root
from fault_rows.stage import Stage


def clutter(stage: Stage) -> None:
    folder = stage.draw() / "trainA"
    (folder / ".git").mkdir()
    for name in (".DS_Store", "._000.png", ".hidden.jpg", ".git/x.png", "Thumbs.db", "notes.txt"):
        drawing.text(folder / name)
    finished(stage, stage.train(*PASS), 8)
    listed(stage)


def link_loop(stage: Stage) -> None:
    folder = stage.draw() / "trainA"
    (folder / "loop").symlink_to(".")
    (folder / "up").symlink_to("../..")
    finished(stage, stage.train(*PASS), 8)
    listed(stage)


def unreadable(stage: Stage) -> None:
    folder = stage.draw() / "trainA" / "below"
    folder.mkdir()
    folder.chmod(0)
    refused(stage, stage.train(prefix=without_root()), "below")


def empty(stage: Stage) -> None:
    folder = stage.draw() / "trainB"
    shutil.rmtree(folder)
    folder.mkdir()
    drawing.text(folder / "notes.txt")
    refused(stage, stage.train(), "trainB", "no image")


def all_bad(make: drawing.Maker, stage: Stage) -> None:
    for file in (stage.draw() / "trainA").iterdir():
        make(file)
    outcome = stage.train()
    told(outcome, outcome.status, "trainA")
    ensure(outcome.status in (2, 65), f"exit {outcome.status}")


def missing(stage: Stage) -> None:
    refused(stage, stage.train("data.root=nowhere"), "nowhere")
    ensure(not (stage.folder / "nowhere").exists(), "the folder was made")


def misspelt_domain(stage: Stage) -> None:
    stage.draw()
    refused(stage, stage.train("data.train_b=trainC"), "trainC")


def fewer_than_a_batch(stage: Stage) -> None:
    stage.draw(train=3)
    finished(stage, stage.train("data.batch_size=8"))


def unequal(stage: Stage) -> None:
    root = stage.draw(train=60)
    for file in sorted((root / "trainA").iterdir())[3:]:
        file.unlink()
    finished(stage, stage.train("data.batch_size=10", "trainer.max_steps=7"), 7)
    listed(stage)


def same_folder(stage: Stage) -> None:
    stage.draw()
    refused(stage, stage.train("data.train_b=trainA"), "allow_same_domain")


def same_folder_allowed(stage: Stage) -> None:
    stage.draw()
    settings = ["data.train_b=trainA", "data.test_b=testA", "data.allow_same_domain=true"]
    finished(stage, stage.train(*settings))


def linked(how: str, stage: Stage) -> None:
    """Domain b is domain a by links."""
    root = stage.draw()
    shutil.rmtree(root / "trainB")
    if how == "link":
        (root / "trainB").symlink_to("trainA")
    else:
        (root / "trainB").mkdir()
        for file in (root / "trainA").iterdir():
            os.link(file, root / "trainB" / file.name)
    refused(stage, stage.train(), "allow_same_domain")


def train_is_test(stage: Stage) -> None:
    root = stage.draw()
    shutil.rmtree(root / "testA")
    (root / "testA").symlink_to("trainA")
    refused(stage, stage.train(), "test", "trainA")


def too_many_bad(stage: Stage) -> None:
    """Five truncated photographs, which the listing cannot see, of forty."""
    folder = stage.draw() / "trainA"
    names = [f"{i:03}.jpg" for i in range(1, 11, 2)]
    for name in names:
        drawing.truncated_jpeg(folder / name)
    outcome = stage.train("data.batch_size=2", "trainer.max_steps=1000")
    stopped(stage, outcome, 65, r"\d of 44", r"0\d\d\.jpg", r"bad_files\.jsonl")
    ensure(not set(bad_files(stage)) - set(names), f"lists {sorted(bad_files(stage))}")


def too_many_bad_at_start(stage: Stage) -> None:
    folder = stage.draw() / "trainA"
    for i in range(1, 11, 2):
        drawing.empty(folder / f"{i:03}.jpg")
    refused(stage, stage.train(), r"5 of 44", r"001\.jpg", "max_bad_fraction")


def many_bad_allowed(stage: Stage) -> None:
    folder = stage.draw() / "trainA"
    names = [f"{i:03}.jpg" for i in range(1, 11, 2)]
    for name in names:
        drawing.truncated_jpeg(folder / name)
    finished(stage, stage.train(*PASS, "data.max_bad_fraction=0.2"), 8)
    listed(stage, *names)


def traversal(stage: Stage) -> None:
    root = stage.draw()
    drawing.png(stage.folder / "secret.png")
    (root / "list.txt").write_text("001.jpg\n../../secret.png\n")
    refused(stage, stage.train("data.lists.train_a=list.txt"), r"list\.txt", "line 2")


def absolute(stage: Stage) -> None:
    root = stage.draw()
    drawing.png(stage.folder / "secret.png")
    (root / "list.txt").write_text(f"{stage.folder / 'secret.png'}\n")
    refused(stage, stage.train("data.lists.train_a=list.txt"), r"list\.txt", "line 1")


def missing_in_list(stage: Stage) -> None:
    root = stage.draw()
    names = sorted(file.name for file in (root / "trainA").iterdir())
    (root / "list.txt").write_text("\n".join([*names[:20], "gone.png"]))
    finished(stage, stage.train(*PASS, "data.lists.train_a=list.txt"), 8)
    listed(stage, "gone.png")


def gray(stage: Stage) -> None:
    root = stage.draw()
    for file in [*(root / "trainA").iterdir(), *(root / "testA").iterdir()]:
        drawing.noise(3).convert("L").save(file)
    finished(stage, stage.train("model.input_channels_a=1"))


def other_channels(stage: Stage) -> None:
    stage.draw()
    outcome = stage.train("model.input_channels_a=1", "data.channels_a=3")
    refused(stage, outcome, "channels")


def aligned(stage: Stage) -> None:
    """One file of pairs is cut; both of its halves are skipped together."""
    folder = stage.folder / "images"
    for name, count in (("train", 40), ("val", 4)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            drawing.noise(i, 24, 48).save(folder / name / f"{i:03}.jpg")
    cut = folder / "train" / "007.jpg"
    cut.write_bytes(cut.read_bytes()[:900])
    outcome = stage.train("data=aligned", *PASS)
    finished(stage, outcome, 8)
    listed(stage, "007.jpg")


def changed_since(stage: Stage) -> None:
    root = stage.draw()
    finished(stage, stage.train())
    (root / "trainA" / "000.png").unlink()
    outcome = stage.train("trainer.max_steps=6", "ckpt_path=auto")
    finished(stage, outcome, 6, "40.*39")


_REFUSED = "refused before training, one line, exit 2"
_TOLD = "warned in one line; goes on"
ROWS = [
    Row("folder: hidden and foreign files", "passed over", clutter),
    Row("folder: links to itself and above", "not followed", link_loop),
    Row("folder: not readable (mode 000)", _REFUSED, unreadable),
    Row("folder: a domain without images", f"{_REFUSED}, names it", empty),
    Row(
        "folder: nothing but empty files", "one line, exit 2 or 65", partial(all_bad, drawing.empty)
    ),
    Row(
        "folder: nothing but truncated JPEGs",
        "one line, exit 2 or 65",
        partial(all_bad, drawing.truncated_jpeg),
    ),
    Row("folder: nothing but white", "one line, exit 2 or 65", partial(all_bad, drawing.white)),
    Row("folder: the root is missing", f"{_REFUSED}; not made", missing),
    Row("folder: a domain's folder is missing", _REFUSED, misspelt_domain),
    Row("folder: fewer images than a batch", "trained to the end", fewer_than_a_batch),
    Row("folder: one domain 20 times larger", "trained to the end", unequal),
    Row("folder: the same for both domains", _REFUSED, same_folder),
    Row("folder: the same, with allow_same_domain", "trained to the end", same_folder_allowed),
    Row("folder: domain b is a link to a", _REFUSED, partial(linked, "link")),
    Row("folder: domain b is hard links to a", _REFUSED, partial(linked, "hard link")),
    Row("folder: testA is a link to trainA", _REFUSED, train_is_test),
    Row(
        "folder: 5 of a domain's 44 images bad, found in mid-run",
        "saved, exit 65, listed",
        too_many_bad,
    ),
    Row(
        "folder: 5 of a domain's 44 images bad, found at the start",
        f"{_REFUSED}, listed",
        too_many_bad_at_start,
    ),
    Row(
        "folder: 5 of a domain's 44 images bad, max_bad_fraction=0.2",
        "all skipped and listed",
        many_bad_allowed,
    ),
    Row("folder: gray, one channel asked for", "trained to the end", gray),
    Row("folder: other channels than the networks", _REFUSED, other_channels),
    Row("folder: one file of pairs is cut", "skipped in both domains, listed", aligned),
    Row("folder: an image removed before a resume", _TOLD, changed_since),
    Row("list: leads out of its folder", f"{_REFUSED}, names list and line", traversal),
    Row("list: an absolute path", f"{_REFUSED}, names list and line", absolute),
    Row("list: names a missing file", "skipped and listed", missing_in_list),
]
