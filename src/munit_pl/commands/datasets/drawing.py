"""``munit-data draw``: drawn shoes as files, so that there is something to translate."""

import argparse
import io
import sys

from PIL import Image
from torch import Tensor

from munit_pl.commands.errors import InputError
from munit_pl.commands.options.data import DRAWINGS
from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.io.files import write_whole

_NAMES = {"a": "drawing", "b": "shoe"}


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
    files = [out] if single else [out / f"{name}_{i}.png" for i in range(1, DRAWINGS + 1)]
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
    to_pil_image(x).save(file, "PNG")
    return file.getvalue()
