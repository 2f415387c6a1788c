"""The command line of ``munit-demo``."""

import argparse
from collections.abc import Sequence

from munit_pl import __version__
from munit_pl.commands.options import add_precision

SIZES = range(16, 1025)

_EPILOG = """examples:
  munit-demo                                   the package's own model
  munit-demo last.ckpt
  munit-demo shoes.safetensors --host 0.0.0.0  for the network: docs/web.md
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; wrong usage ends the program with status 2."""
    return _parser().parse_args(argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "munit-demo",
        description="Try a model on a web page: random styles, those of examples, by hand, moving.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("checkpoint", nargs="?", metavar="CKPT", help="as for munit-translate")
    add("--config", metavar="YAML", help="configuration that came with an original checkpoint")
    add(
        "--size",
        type=_size,
        metavar="SIDE",
        help="shortest side in pixels that pictures are brought to (that of training)",
    )
    add("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps (the fastest there is)")
    add_precision(parser)
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)")
    add("--port", type=_port, help="(the first free one from 7860 on)")
    return parser


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) not in SIZES:
        raise argparse.ArgumentTypeError(
            f"{text} is no whole number from {SIZES[0]} to {SIZES[-1]}"
        )
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port from 1 to 65535")
    return int(text)
