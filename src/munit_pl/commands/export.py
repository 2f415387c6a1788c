"""``munit-export``: a trained model for others, as weights or as graphs."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from munit_pl.commands.errors import InputError
from munit_pl.commands.options.export import parse
from munit_pl.commands.runtime.processes import tell
from munit_pl.export.programs import ExportError, export_graphs, require_onnx
from munit_pl.hub.card import facts_beside
from munit_pl.hub.folder import write_folder
from munit_pl.hub.model_lookup import find_model
from munit_pl.inference.generator_loading import Generators, read_generators
from munit_pl.inference.one_way import SourceDomain
from munit_pl.inference.onnx import OnnxGraph
from munit_pl.io.files import whole_folder
from munit_pl.models.base.description import describe, export_generators


def main(argv: Sequence[str] | None = None) -> None:
    """Run as the command line says; ends with one line and exit code 1 on bad input."""
    run(parse(argv))


def run(options: argparse.Namespace) -> None:
    """Do what was asked for, `parse` having read it."""
    try:
        with _tidied_on_sigterm():
            _export(options)
    except (InputError, ExportError, ImportError, OSError, ValueError) as error:
        sys.exit(f"munit-export: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    print(f"written to {options.out}")


def _export(options: argparse.Namespace) -> None:
    if options.format == "onnx":
        require_onnx()
    with _place_for(options.out):
        if options.out.suffix == ".safetensors":
            export_generators(options.out, *_read(options), half=options.half)
            return
        with whole_folder(options.out) as folder:
            gens = _read(options)
            if options.format != "safetensors":
                export_graphs(folder, *gens, options.format, log=print)
                return
            facts = facts_beside(options.checkpoint)
            license = options.license or facts.license
            facts = facts._replace(data=options.data or facts.data, license=license)
            networks = dict(zip(("gen_a", "gen_b"), gens, strict=True))
            write_folder(folder, networks, describe(networks), facts, options.half)


def _read(options: argparse.Namespace) -> Generators:
    options.checkpoint = find_model(options.checkpoint, tell)
    gens = read_generators(options.checkpoint, options.config)
    if isinstance(gens[0].decoder, OnnxGraph):
        raise InputError(f"{options.checkpoint} is an export already: give the checkpoint")
    if any(isinstance(gen, SourceDomain) for gen in gens):
        raise InputError(f"{options.checkpoint} is of one direction, and exports are of both")
    return gens


@contextlib.contextmanager
def _place_for(out: Path) -> Iterator[None]:
    """Make the folders that ``out`` is to lie in, and remove them if it does not come to be.

    Raises:
        InputError: If there is something already, or nothing can be written there.
    """
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} is there already: give another name")
    made = [folder for folder in out.absolute().parents if not folder.exists()]
    try:
        try:
            out.absolute().parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise InputError(f"nothing can be written to {out}: {out.parent} is a file") from None
        except OSError as error:
            raise InputError(f"nothing can be written to {out}: {error.strerror}") from error
        yield
    finally:
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
