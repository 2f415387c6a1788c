"""The command line of ``munit-export``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from munit_pl import __version__

_EPILOG = """examples:
  munit-export last.ckpt shoes                    # a folder to share: weights and a card
  munit-export last.ckpt shoes.safetensors --half # one file
  munit-export last.ckpt shoes-onnx --format onnx # graphs for onnxruntime, checked
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; what contradicts itself ends the program with status 2."""
    parser = argparse.ArgumentParser(
        "munit-export",
        description="Write a trained model for others: weights to share, or graphs to run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("checkpoint", metavar="CKPT", type=Path, help="as for munit-translate")
    add("out", metavar="OUT", type=Path, help="a new folder; or a new file, *.safetensors")
    formats = ["safetensors", "torch", "onnx"]
    add("--format", choices=formats, default=formats[0], help="(%(default)s)")
    add("--half", action="store_true", help="weights in half of the bytes, as float16")
    add("--config", type=Path, metavar="YAML", help="of an original checkpoint")
    add("--data", metavar="TEXT", help="what it was trained on, for the card")
    add("--license", metavar="NAME", help="of the weights, for the card: apache-2.0")
    options = parser.parse_args(argv)
    graphs, one_file = options.format != "safetensors", options.out.suffix == ".safetensors"
    if graphs and options.half:
        parser.error(f"--format {options.format} is in float32: leave out --half")
    if graphs and one_file:
        parser.error(f"--format {options.format} makes a folder, but OUT is {options.out}")
    if (graphs or one_file) and (options.data or options.license):
        parser.error("--data and --license are for the card, which only a folder of weights has")
    return options
