"""Single images: what is read all the same, and what is skipped (A.2.1)."""

import os
import time
from functools import partial

from fault_rows import drawing
from fault_rows.checks import Row, bad_files, ensure, finished, listed, stopped
from fault_rows.machine import without_root
from fault_rows.stage import CHECKPOINTS, Stage, fault

PASS = ["data.batch_size=5", "trainer.max_steps=8"]  # once over the 40 images of each domain


def read(make: drawing.Maker, name: str, stage: Stage) -> None:
    """Train on a domain of such images alone; none is skipped."""
    folder = stage.draw() / "trainA"
    for file in folder.iterdir():
        file.unlink()
        make(file.with_name(f"{file.stem}_{name}"))
    finished(stage, stage.train(*PASS), 8)
    listed(stage)


def skipped(make: drawing.Maker, name: str, stage: Stage, *settings: str) -> None:
    """Train on a domain with one such image; it alone is skipped, and listed."""
    folder = stage.draw() / "trainA"
    (folder / "000.png").unlink()
    make(folder / name)
    finished(stage, stage.train(*PASS, *settings), 8)
    listed(stage, name)


def too_small(stage: Stage) -> None:
    root = stage.draw()
    for folder in root.iterdir():
        for file in folder.iterdir():
            drawing.png(file)
    drawing.tiny(root / "trainA" / "tiny.png")
    settings = ["data.resize=null", "data.crop=[24,24]", "data.batch_size=5"]
    finished(stage, stage.train(*settings, "trainer.max_steps=9"), 9)
    listed(stage, "tiny.png")


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


def unreadable(stage: Stage) -> None:
    file = stage.draw() / "trainA" / "000.png"
    file.chmod(0)
    finished(stage, stage.train(*PASS, prefix=without_root()), 8)
    listed(stage, "000.png")


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


_READ: list[tuple[str, drawing.Maker, str]] = [
    ("PNG named .jpg", drawing.png, "x.jpg"),
    ("CMYK JPEG", drawing.cmyk, "x.jpg"),
    ("16-bit PNG", drawing.png_16, "x.png"),
    ("16-bit TIFF", drawing.tiff_16, "x.tiff"),
    ("palette with a transparent color", drawing.palette, "x.png"),
    ("RGBA with transparency", drawing.transparent, "x.png"),
    ("gray with transparency", drawing.gray_alpha, "x.png"),
    ("EXIF rotation", drawing.rotated, "x.jpg"),
    ("animated GIF", drawing.animated, "x.gif"),
    ("animated WebP", drawing.animated_webp, "x.webp"),
    ("multi-page TIFF", drawing.pages, "x.tif"),
]
_SKIPPED: list[tuple[str, drawing.Maker, str]] = [
    ("truncated JPEG", drawing.truncated_jpeg, "x.jpg"),
    ("zero bytes", drawing.empty, "x.jpg"),
    ("text named .jpg", drawing.text, "x.jpg"),
    ("EPS named .png", drawing.postscript, "x.png"),
    ("floating-point TIFF", drawing.floating, "x.tif"),
    ("bomb of 190 million pixels in 20 kB", drawing.bomb, "x.png"),
    ("thin: 4000x3", drawing.thin, "x.png"),
    ("all white", drawing.white, "x.png"),
    ("all black", drawing.black, "x.png"),
    ("link to nothing", drawing.broken_link, "x.png"),
]
_LISTED = "trained to the end; it alone is skipped and listed in bad_files.jsonl"
ROWS = [
    *(Row(f"image: {what}", "read", partial(read, make, name)) for what, make, name in _READ),
    *(
        Row(f"image: {what}", _LISTED, partial(skipped, make, name))
        for what, make, name in _SKIPPED
    ),
    Row("image: smaller than the crop, not resized", _LISTED, too_small),
    Row("image: not readable (mode 000)", _LISTED, unreadable),
    Row("image: names in Unicode, with newlines, not UTF-8, long paths", "read", odd_names),
    Row("image: bad, with a newline and no UTF-8 in its name", _LISTED, odd_name_of_a_bad_file),
    Row("image: deleted or cut in mid-run", "trained to the end; both listed", vanishes),
    Row("image: cannot be decoded (injected)", _LISTED, partial(injected, "bad_image")),
    Row("image: blank (injected)", _LISTED, partial(injected, "blank_image")),
    Row("image: gone (injected)", _LISTED, partial(injected, "vanished_image")),
    Row("images: all gone for good in mid-run", "waits, saves, exit 75", all_vanish),
    Row("images: all gone for good (injected)", "waits, saves, exit 75", lost),
    Row("images: all gone for ten seconds", "waits; none skipped", comes_back),
]
