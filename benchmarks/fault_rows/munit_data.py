"""``munit-data``: folders looked at, archives unpacked (A.2.1, A.2.4)."""

import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fault_rows import drawing, payloads
from fault_rows.checks import Row, ended, ensure, told, tree
from fault_rows.stage import Stage

Maker = Callable[[Path], None]


def check_dirty(stage: Stage) -> None:
    folder = stage.draw() / "trainA"
    drawing.truncated_jpeg(folder / "cut.jpg")
    drawing.bomb(folder / "bomb.png")
    drawing.thin(folder / "thin.png")
    outcome = stage.run("munit-data", "check", "images", "--json", "report.json")
    ended(outcome, 1, r"cut\.jpg", r"bomb\.png", r"thin\.png")
    ensure((stage.folder / "report.json").exists(), "no report.json")


def check_clean(stage: Stage) -> None:
    stage.draw()
    ended(stage.run("munit-data", "check", "images"), 0, "40")


def check_missing(stage: Stage) -> None:
    told(stage.run("munit-data", "check", "nowhere"), 2, "nowhere", command="munit-data")


def archive(make: Maker, name: str, pattern: str, stage: Stage) -> None:
    """Unpack it: one line, and nothing is written anywhere."""
    make(stage.folder / name)
    before = tree(stage.folder)
    outcome = stage.run("munit-data", "unpack", name, "images")
    ensure(outcome.status in (1, 2), f"exit {outcome.status}")
    told(outcome, outcome.status, pattern, command="munit-data")
    ensure(tree(stage.folder) == before, f"written: {sorted(tree(stage.folder) - before)[:3]}")
    ensure(not Path("/tmp/payload_ran").exists(), "written to /tmp")


def honest_archive(stage: Stage) -> None:
    root = stage.draw(train=4)
    with tarfile.open(stage.folder / "images.tar.gz", "w:gz") as packed:
        packed.add(root, "images")
    ended(stage.run("munit-data", "unpack", "images.tar.gz", "out"), 0)
    ensure(tree(stage.folder / "out" / "images") == tree(root), "something else was unpacked")


_TAR: list[tuple[str, list[tuple[str, bytes, str]], str]] = [
    ("a path upwards", [("../../payload_ran.png", tarfile.REGTYPE, "x")], "outside"),
    ("an absolute path", [("/tmp/payload_ran", tarfile.REGTYPE, "x")], "outside"),
    (
        "a link, then written through",
        [("d", tarfile.SYMTYPE, ".."), ("d/x", tarfile.REGTYPE, "x")],
        "link",
    ),
    ("a hard link out", [("x.png", tarfile.LNKTYPE, "/etc/hostname")], "link"),
    ("a device", [("x.png", tarfile.CHRTYPE, "")], "device"),
    ("a pipe", [("x.png", tarfile.FIFOTYPE, "")], "pipe"),
]
_ZIP: list[tuple[str, Maker, str]] = [
    ("a path upwards", partial(payloads.zip_of, {"../payload_ran.png": b"x"}), "outside"),
    ("an absolute path", partial(payloads.zip_of, {"/tmp/payload_ran": b"x"}), "outside"),
    ("a drive letter", partial(payloads.zip_of, {"C:\\payload_ran.png": b"x"}), "outside"),
    ("a gigabyte of zeros", payloads.zip_bomb, "times as large"),
    ("a million members", payloads.zip_of_many, "(?i)1.?000.?000|million|members"),
]
_LINE = "one line; nothing is written"
ROWS = [
    Row("munit-data check: bad files", "names them, exit 1", check_dirty),
    Row("munit-data check: clean folders", "exit 0", check_clean),
    Row("munit-data check: no such folder", "one line, exit 2", check_missing),
    *(
        Row(
            f"hostile tar: {what}",
            _LINE,
            partial(archive, partial(payloads.tar_of, members), "x.tar", pattern),
        )
        for what, members, pattern in _TAR
    ),
    *(
        Row(f"hostile zip: {what}", _LINE, partial(archive, make, "x.zip", pattern))
        for what, make, pattern in _ZIP
    ),
    Row("munit-data unpack: an honest tar.gz", "unpacked", honest_archive),
]
