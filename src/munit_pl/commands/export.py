"""``munit-export``: a trained model for others, as weights or as graphs."""

import argparse
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from munit_pl.commands.inputs import InputError
from munit_pl.commands.processes import tell
from munit_pl.export.card import facts_beside
from munit_pl.export.folder import write_folder
from munit_pl.export.programs import ExportError, export_graphs, require_onnx
from munit_pl.formats.exported import export_generators
from munit_pl.formats.finding import find_model
from munit_pl.formats.generators import Generators, read_generators
from munit_pl.formats.onnx_graphs import OnnxGraph

_EPILOG = """examples:
  munit-export last.ckpt shoes                    # a folder to share: weights and a card
  munit-export last.ckpt shoes.safetensors --half # one file
  munit-export last.ckpt shoes-onnx --format onnx # graphs for onnxruntime, checked
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run as the command line says; ends with one line and exit code 1 on bad input."""
    options = _parse(argv)
    try:
        with _tidied_on_sigterm():
            _export(options)
    except (InputError, ExportError, ImportError, OSError, ValueError) as error:
        sys.exit(f"munit-export: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    print(f"written to {options.out}")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "munit-export",
        description="Write a trained model for others: weights to share, or graphs to run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("checkpoint", metavar="CKPT", type=Path, help="as for munit-translate")
    add("out", metavar="OUT", type=Path, help="a new folder; or a new file, *.safetensors")
    formats = ["safetensors", "torch", "onnx"]
    add("--format", choices=formats, default=formats[0], help="(%(default)s)")
    add("--half", action="store_true", help="weights in half of the bytes, as float16")
    add("--config", type=Path, metavar="YAML", help="of an original checkpoint")
    add("--data", metavar="TEXT", help="what it was trained on, for the card")
    add("--licence", metavar="NAME", help="of the weights, for the card: apache-2.0")
    options = parser.parse_args(argv)
    graphs, one_file = options.format != "safetensors", options.out.suffix == ".safetensors"
    if graphs and options.half:
        parser.error(f"--format {options.format} is in float32: leave out --half")
    if graphs and one_file:
        parser.error(f"--format {options.format} makes a folder, but OUT is {options.out}")
    if (graphs or one_file) and (options.data or options.licence):
        parser.error("--data and --licence are for the card, which only a folder of weights has")
    return options


def _export(options: argparse.Namespace) -> None:
    if options.format == "onnx":
        require_onnx()
    with _unfinished(options.out) as unfinished:
        gens = _read(options)
        if options.format != "safetensors":
            unfinished.mkdir()
            export_graphs(unfinished, *gens, options.format, told=print)
        elif options.out.suffix == ".safetensors":
            export_generators(unfinished, *gens, half=options.half)
        else:
            facts = facts_beside(options.checkpoint)
            facts = facts._replace(data=options.data or facts.data, licence=options.licence)
            networks = dict(zip(("gen_a", "gen_b"), gens, strict=True))
            write_folder(unfinished, networks, facts, options.half)


def _read(options: argparse.Namespace) -> Generators:
    options.checkpoint = find_model(options.checkpoint, tell)
    gens = read_generators(options.checkpoint, options.config)
    if isinstance(gens[0].decoder, OnnxGraph):
        raise InputError(f"{options.checkpoint} is an export already: give the checkpoint")
    return gens


@contextlib.contextmanager
def _unfinished(out: Path) -> Iterator[Path]:
    """Yield where to write ``out``, which appears when it is complete, and never replaces anything.

    Raises:
        InputError: If there is something already, or nothing can be written there.
    """
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} is there already: give another name")
    beside = out.absolute().parent / f".{out.name}.{os.getpid()}"
    made = [folder for folder in beside.parents if not folder.exists()]
    try:
        try:
            beside.mkdir(parents=True)  # now, and not after the work
        except OSError as error:
            raise InputError(f"nothing can be written to {out}: {error.strerror}") from error
        yield beside / out.name
        (beside / out.name).rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        for folder in made:  # the innermost first; what something lies in stays
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def _tidied_on_sigterm() -> Iterator[None]:
    """Let SIGTERM, of which Python would die at once, unwind as Ctrl-C does."""

    def leave(number: int, _: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # a second one would cut the tidying short
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    main()
