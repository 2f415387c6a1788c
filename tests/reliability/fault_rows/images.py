"""Images and folders: what is skipped, waited for, refused, or ends a run."""

import os
import time
from functools import partial

from fault_rows import drawing
from fault_rows.checks import Row, bad_files, ensure, finished, listed, refused, stopped, told
from fault_rows.stage import CHECKPOINTS, Stage, fault

PASS = ["data.batch_size=5", "trainer.max_steps=8"]  # once over the 40 images of each domain


def skipped(make: drawing.Maker, stage: Stage) -> None:
    """Train on a domain with one such image; it alone is skipped, and listed."""
    folder = stage.draw() / "trainA"
    (folder / "000.png").unlink()
    make(folder / "x.jpg")
    finished(stage, stage.train(*PASS), 8)
    listed(stage, "x.jpg")


def odd_names(stage: Stage) -> None:
    folder = stage.draw() / "trainA"
    below = folder / ("d" * 200) / ("e" * 200)
    below.mkdir(parents=True)
    names = ["mañana 日本.png", "two\nlines.png", "a b.png", "-rf.png", "'\"$(x).png", "%s{}.png"]
    for place in (folder, below):
        for name in names:
            drawing.png(place / name)
    with open(os.fsencode(folder) + b"/\xff\xfe.png", "wb") as file:
        drawing.noise(1).save(file, "PNG")
    finished(stage, stage.train("data.batch_size=5", "trainer.max_steps=11"), 11)
    listed(stage)


def odd_name_of_a_bad_file(stage: Stage) -> None:
    folder = stage.draw() / "trainA"
    name = os.fsdecode(b"a\n\xff.jpg")
    drawing.truncated_jpeg(folder / name)
    finished(stage, stage.train("data.batch_size=5", "trainer.max_steps=9"), 9)
    ensure(set(bad_files(stage)) == {name}, f"lists {sorted(map(ascii, bad_files(stage)))}")


def vanishes(stage: Stage) -> None:
    """One image is deleted, another is cut, after the run has listed them."""
    folder = stage.draw() / "trainA"
    command = stage.start_train("trainer.max_steps=200", "data.max_bad_fraction=0.2")
    command.wait_for(CHECKPOINTS / "00000002.ckpt")
    (folder / "000.png").unlink()
    cut = folder / "001.jpg"
    cut.write_bytes(cut.read_bytes()[:200])
    finished(stage, command.wait(), 200)
    listed(stage, "000.png", "001.jpg")


def injected(kind: str, stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train(*fault(kind, step=3)), 4)
    ensure(len(bad_files(stage)) == 1, f"bad_files.jsonl lists {sorted(bad_files(stage))}")


def all_vanish(stage: Stage) -> None:
    root = stage.draw()
    command = stage.start_train(
        "trainer.max_steps=1000000", "callbacks.checkpoints.every_n_steps=5"
    )
    command.wait_for(CHECKPOINTS / "00000005.ckpt")
    root.rename(root.with_name("elsewhere"))
    stopped(stage, command.wait(), 75)


def lost(stage: Stage) -> None:
    stage.draw()
    stopped(stage, stage.train("trainer.max_steps=100", *fault("lost_images", step=5)), 75)


def comes_back(stage: Stage) -> None:
    """The images are away for ten seconds."""
    root = stage.draw()
    command = stage.start_train("trainer.max_steps=200")
    command.wait_for(CHECKPOINTS / "00000004.ckpt")
    away = root.rename(root.with_name("elsewhere"))
    time.sleep(10)
    away.rename(root)
    finished(stage, command.wait(), 200)
    ensure(not bad_files(stage), f"bad_files.jsonl lists {len(bad_files(stage))} files")


def missing(stage: Stage) -> None:
    refused(stage, stage.train("data.root=nowhere"), "nowhere")
    ensure(not (stage.folder / "nowhere").exists(), "the folder was made")


def all_bad(stage: Stage) -> None:
    for file in (stage.draw() / "trainA").iterdir():
        drawing.truncated_jpeg(file)
    outcome = stage.train()
    told(outcome, outcome.status, "trainA")
    ensure(outcome.status in (2, 65), f"exit {outcome.status}")


def too_many_bad(stage: Stage) -> None:
    """Five truncated photographs, which the listing cannot see, of forty."""
    folder = stage.draw() / "trainA"
    names = [f"{i:03}.jpg" for i in range(1, 11, 2)]
    for name in names:
        drawing.truncated_jpeg(folder / name)
    outcome = stage.train("data.batch_size=2", "trainer.max_steps=1000")
    stopped(stage, outcome, 65, r"\d of 44", r"0\d\d\.jpg", r"bad_files\.jsonl")
    ensure(not set(bad_files(stage)) - set(names), f"lists {sorted(bad_files(stage))}")


def aligned(stage: Stage) -> None:
    """One file of pairs is cut; both of its halves are skipped together."""
    folder = stage.folder / "images"
    for name, count in (("train", 40), ("val", 4)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            drawing.noise(i, 24, 48).save(folder / name / f"{i:03}.jpg")
    cut = folder / "train" / "007.jpg"
    cut.write_bytes(cut.read_bytes()[:900])
    finished(stage, stage.train("data=aligned", *PASS), 8)
    listed(stage, "007.jpg")


_LISTED = "trained to the end; it alone is skipped and listed in bad_files.jsonl"
_SKIPPED: list[tuple[str, drawing.Maker]] = [
    ("truncated JPEG", drawing.truncated_jpeg),
    ("zero bytes", drawing.empty),
    ("all white", drawing.white),
]
ROWS = [
    *(Row(f"image: {what}", _LISTED, partial(skipped, make)) for what, make in _SKIPPED),
    Row("image: names in Unicode, with newlines, not UTF-8, long paths", "read", odd_names),
    Row("image: bad, with a newline and no UTF-8 in its name", _LISTED, odd_name_of_a_bad_file),
    Row("image: deleted or cut in mid-run", "trained to the end; both listed", vanishes),
    Row("image: cannot be decoded (injected)", _LISTED, partial(injected, "bad_image")),
    Row("image: blank (injected)", _LISTED, partial(injected, "blank_image")),
    Row("image: gone (injected)", _LISTED, partial(injected, "vanished_image")),
    Row("images: all gone for good in mid-run", "waits, saves, exit 75", all_vanish),
    Row("images: all gone for good (injected)", "waits, saves, exit 75", lost),
    Row("images: all gone for ten seconds", "waits; none skipped", comes_back),
    Row(
        "folder: the root is missing",
        "refused before training, one line, exit 2; not made",
        missing,
    ),
    Row("folder: nothing but truncated JPEGs", "one line, exit 2 or 65", all_bad),
    Row(
        "folder: 5 of a domain's 44 images bad, found in mid-run",
        "saved, exit 65, listed",
        too_many_bad,
    ),
    Row("folder: one file of pairs is cut", "skipped in both domains, listed", aligned),
]
