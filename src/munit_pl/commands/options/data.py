"""The command line of ``munit-data``."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from munit_pl import __version__

FOLDERS = {"train_a": "trainA", "train_b": "trainB", "test_a": "testA", "test_b": "testB"}
ALIGNED = {"train": "train", "test": "val"}
DRAWINGS = 8  # in a folder


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; wrong usage ends the program with status 2.

    Returns:
        The options. Of ``check``, ``settings`` are those of the data, as `munit-train` has them.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser, settings = _parser(), []
    if arguments[:1] == ["check"]:  # argparse takes no words after options
        settings = [word for word in arguments if re.match(r"data(\.\w+)*=", word)]
    options = parser.parse_args([word for word in arguments if word not in settings])
    if options.command == "check":
        options.settings = settings
        if not options.root and not settings:
            parser.error("give ROOT, or settings such as data=huggingface data.path=SET")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "munit-data",
        description="Get or draw images, look at a data set, resize it.",
        epilog="Example: munit-data download edges2shoes. Each command has a --help of its own.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_download(commands)
    _add_draw(commands)
    _add_check(commands)
    _add_prepare(commands)
    return parser


def _add_download(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    commands.add_parser(
        "list",
        help="list the public data sets that download knows",
        description="List the public data sets that munit-data download knows.",
        epilog="Example: munit-data list",
    )
    fetch = commands.add_parser(
        "download",
        help="fetch a public data set, and make trainA, trainB, testA, testB of it",
        description="Fetch a public data set and make trainA, trainB, testA and testB of it. What "
        "was interrupted goes on where it was if the same is asked for again. Pairs are split: "
        "half of the training files give domain a, the others domain b.",
        epilog="Example: munit-data download afhq --domains cat dog",
    )
    fetch.add_argument("name", metavar="NAME", help="as munit-data list has it")
    fetch.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="new, or empty; unless given, NAME in $MUNIT_DATA, or in datasets, where its "
        "experiment looks; the archive lies beside it",
    )
    fetch.add_argument(
        "--domains", nargs=2, metavar=("A", "B"), help="which two, of a set that has more"
    )
    fetch.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FOLDER",
        help="the archive's content, which you have fetched yourself; it stays as it is",
    )
    workers = min(8, os.cpu_count() or 1)
    fetch.add_argument("--workers", type=int, default=workers, metavar="N", help="processes")


def _add_draw(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "draw",
        help="draw shoes, for a first try of munit-translate",
        description="Draw shoes that drawn-shoes and the demo are tested on, 64x64. Files of "
        "other content are never replaced.",
        epilog="Example: munit-data draw drawing.png && munit-translate drawn-shoes drawing.png",
    )
    what = f"a file, *.png; or a folder, for {DRAWINGS} of them"
    parser.add_argument("out", metavar="OUT", type=Path, help=what)
    parser.add_argument(
        "--domain", choices=("a", "b"), default="a", help="a: line drawings (default); b: in color"
    )


def _add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = commands.add_parser(
        "check",
        help="decode every image and tell what would stop a run",
        description="Decode every image of a data set; tell what would stop a run, and what it "
        "would skip. Images that decode to the same pixels (SHA-256) count as copies. What "
        "was interrupted goes on where it was if it is started again.",
        usage="munit-data check [options] ROOT | SET [data.domain_a.label=cat ...] | "
        "data=huggingface data.path=USER/SET [...]",
        epilog="Examples: munit-data check my_data --resize 128 --crop 128 128; "
        "munit-data check my_set data.domain_a.label=cat data.domain_b.label=dog",
    )
    check.add_argument(
        "root",
        metavar="ROOT",
        nargs="?",
        type=Path,
        help="what holds the folders, or a data set that munit-train data=huggingface reads",
    )
    for name, default in FOLDERS.items():
        check.add_argument(f"--{name.replace('_', '-')}", default=default, metavar="FOLDER")
    check.add_argument("--aligned", action="store_true", help="each file shows both domains")
    for name, default in ALIGNED.items():
        check.add_argument(f"--{name}", default=default, metavar="FOLDER", help="if --aligned")
    check.add_argument(
        "--resize", type=_size, default=256, metavar="N", help="shortest side; null keeps the size"
    )
    check.add_argument("--crop", type=int, nargs=2, default=(256, 256), metavar=("H", "W"))
    check.add_argument("--json", type=Path, metavar="FILE", help="write all that is found")
    check.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes"
    )


def _add_prepare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "prepare",
        help="write a resized copy, which is read many times as fast",
        description="Copy the images below ROOT, upright and resized, into the same folders of "
        "OUT; data.root=OUT then trains on them. What cannot be used is left out and listed. OUT "
        "appears once it is complete; the same command goes on with what was interrupted. Not for "
        "files that show both domains side by side.",
        epilog="Example: munit-data prepare my_data small --size 256",
    )
    parser.add_argument("root", metavar="ROOT", type=Path, help="what holds the folders")
    parser.add_argument("out", metavar="OUT", type=Path, help="new, empty, or an earlier copy")
    parser.add_argument(
        "--size", type=int, default=256, metavar="N", help="shortest side; none is enlarged"
    )
    parser.add_argument(
        "--format",
        choices=("jpg", "png"),
        default="jpg",
        help="jpg has quality 95; png loses nothing and keeps transparency",
    )
    workers = min(8, os.cpu_count() or 1)
    parser.add_argument("--workers", type=int, default=workers, metavar="N", help="processes")


def _size(text: str) -> int | None:
    if text != "null" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pixels, and not null")
    return None if text == "null" else int(text)
