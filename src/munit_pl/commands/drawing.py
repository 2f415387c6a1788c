"""``munit-data draw``: drawn shoes as files, so that there is something to translate."""

import argparse
import io
import sys
from pathlib import Path

from PIL import Image
from torch import Tensor

from munit_pl.commands.inputs import InputError
from munit_pl.data.drawn import DrawnShoes
from munit_pl.data.images import to_picture
from munit_pl.evaluation.report import write_whole

_NAMES = {"a": "drawing", "b": "shoe"}
_COUNT = 8  # in a folder


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``munit-data``."""
    parser = commands.add_parser(
        "draw",
        help="draw shoes, for a first try of munit-translate",
        description="Draw shoes that drawn-shoes and the demo are tested on, 64x64. Files of "
        "other content are never replaced.",
        epilog="Example: munit-data draw drawing.png && munit-translate drawn-shoes drawing.png",
    )
    what = f"a file, *.png; or a folder, for {_COUNT} of them"
    parser.add_argument("out", metavar="OUT", type=Path, help=what)
    parser.add_argument(
        "--domain", choices=("a", "b"), default="a", help="a: line drawings (default); b: in colour"
    )


def run(options: argparse.Namespace) -> int:
    """Do as the options say and return the exit status: 1 if a file cannot be written.

    Raises:
        InputError: Something else is there, or OUT is an image of another format.
    """
    out = options.out
    single = not out.is_dir() and out.suffix.lower() in Image.registered_extensions()
    if single and out.suffix.lower() != ".png":
        raise InputError(f"drawings are written as PNG: give {str(out.with_suffix('.png'))!r}")
    name = _NAMES[options.domain]
    files = [out] if single else [out / f"{name}_{i}.png" for i in range(1, _COUNT + 1)]
    shoes = DrawnShoes(options.domain, "test", len(files))
    contents = {path: _png(shoes.load(i)) for i, path in enumerate(files)}
    try:
        for path, content in contents.items():
            if path.exists() and path.read_bytes() != content:
                raise InputError(f"{str(path)!r} is there already: give another name")
        files[0].parent.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            write_whole(path, content)
    except OSError as error:
        print(f"munit-data: cannot write {str(out)!r}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{len(files)} {name}{'s' * (len(files) > 1)} in {str(out)!r}")
    return 0


def _png(x: Tensor) -> bytes:
    file = io.BytesIO()
    to_picture(x).save(file, "PNG")
    return file.getvalue()
