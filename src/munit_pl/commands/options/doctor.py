"""The command line of ``munit-doctor``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from munit_pl import __version__

_EPILOG = """examples:
  munit-doctor                # all that this machine can do, into outputs/doctor
  munit-doctor --device cpu   # though there is a GPU
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "munit-doctor",
        description="Train for a few iterations in every way that this machine can, compare the "
        "results, and write a report to attach where you ask for help.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="(%(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/doctor"), metavar="DIR", help="(%(default)s)"
    )
    return parser.parse_args(argv)
