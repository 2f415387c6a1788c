"""The command line of ``munit-translate``."""

import argparse
import math
import re
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial

from munit_pl import __version__
from munit_pl.commands.options import add_precision
from munit_pl.data.sizes import Size
from munit_pl.hub.pretrained import suggest_pretrained

KEEP = "none"  # of --resize

_EPILOG = """examples:
  munit-translate last.ckpt photos/ --to b --like shoe.jpg
  munit-translate last.ckpt sketch.png --styles 2 --interpolate 30 --animate mp4
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; what contradicts itself ends the program with status 2."""
    parser = argparse.ArgumentParser(
        "munit-translate",
        "munit-translate CKPT INPUT [INPUT ...] [options]",
        description="Translate images and videos with a trained model, in as many styles as asked.",
        epilog=_EPILOG,
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, max_help_position=29),
    )
    add = parser.add_argument
    # Not listed: the rest fills a screen.
    shown = f"%(prog)s {__version__}"
    add("--version", action="version", version=shown, help=argparse.SUPPRESS)
    add("checkpoint", metavar="CKPT", help="checkpoint, exported model, or: drawn-shoes")
    add("inputs", nargs="+", metavar="INPUT", help="image, video, folder, or pattern in quotes")
    add("--to", choices=["a", "b"], default="b", help="domain to translate to (%(default)s)")
    add("--out", default="translations", metavar="DIR", help="folder of the outputs (%(default)s)")
    add("--overwrite", action="store_true", help="replace outputs that have other settings")
    add("--config", metavar="YAML", help="configuration of an original checkpoint")
    _add_styles(parser)
    _add_files(parser)
    _add_computing(parser)
    options = parser.parse_intermixed_args(arguments)
    if contradiction := _contradiction(options):
        parser.error(contradiction)
    if name := suggest_pretrained(options.checkpoint):
        sys.exit(f"munit-translate: there is no {options.checkpoint}: did you mean {name}?")
    return options


def _add_styles(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("styles")
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--styles", type=_at_least(1), metavar="K", help="random styles, the same for all (10)"
    )
    which.add_argument(
        "--like", nargs="+", metavar="FILE", help="the styles of these images, or folders"
    )
    which.add_argument(
        "--reconstruct", action="store_true", help="each input, of domain --to, in its own style"
    )
    add = group.add_argument
    add("--seed", type=int, default=0, help="what random styles depend on (%(default)s)")
    add("--fresh", action="store_true", help="random styles anew for each image or video")
    add("--mean", action="store_true", help="the mean of the examples' styles instead of each")
    add("--set", type=_dimension, action="append", metavar="DIM=VALUE", help="edit every style")
    ways = group.add_mutually_exclusive_group()
    ways.add_argument(
        "--interpolate", type=_at_least(2), metavar="N", help="N steps from each style to the next"
    )
    ways.add_argument(
        "--sweep", type=_range, metavar="DIM=LOW:HIGH:N", help="N values of one style dimension"
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("files").add_argument
    add("--resize", type=_size, metavar="SIDE|HxW|none", help="inputs (as in training); none: not")
    add("--format", choices=["png", "jpg", "webp"], default="png", help="(%(default)s)")
    add("--quality", type=_at_least(1), default=95, metavar="1-100", help="of jpg, webp (95)")
    add(
        "--animate",
        choices=["gif", "webp", "mp4"],
        help="of each image's styles, of each video's frames",
    )
    add("--page", action="store_true", help="index.html: images, translations in a table")
    add("--fps", type=_rate, default=Fraction(12), metavar="N", help="of images' animations (12)")


def _add_computing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("computing")
    add = group.add_argument
    add("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps (the fastest there is)")
    add_precision(group)
    add("--batch-size", type=_at_least(1), metavar="N", help="images at once (cpu 1, else 8)")
    add("--tile", type=_at_least(16), metavar="SIDE", help="for images too large")
    add("--compile", action="store_true", help="compile the networks; pays on many equal sizes")


def _contradiction(options: argparse.Namespace) -> str | None:
    random = not options.like and not options.reconstruct
    if options.mean and not options.like:
        return "--mean is the mean of examples: give --like"
    if options.fresh and not random:
        return "--fresh is about random styles: leave out --like and --reconstruct"
    if options.reconstruct and (options.set or options.sweep or options.interpolate):
        return "--reconstruct uses the inputs' own styles: leave out --set, --sweep, --interpolate"
    if options.interpolate and (options.mean or (random and options.styles == 1)):
        return "--interpolate goes from one style to another: choose two or more"
    if options.quality > 100:
        return "--quality is at most 100"
    return None


def _at_least(smallest: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"{text} is no whole number from {smallest} on")
        return int(text)

    return number


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no number of frames per second up to 100")
    return rate


def _size(text: str) -> Size | str:
    if text == KEEP:
        return text
    match = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is no side (256), no HEIGHTxWIDTH and not {KEEP}")
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])


def _dimension(text: str) -> tuple[int, float]:
    try:
        dimension, value = text.split("=")
        return int(dimension), _finite(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not DIM=VALUE, such as 3=1.5") from None


def _range(text: str) -> tuple[int, float, float, int]:
    try:
        dimension, values = text.split("=")
        low, high, n = values.split(":")
        swept = int(dimension), _finite(low), _finite(high), _at_least(2)(n)
    except (ValueError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(
            f"{text} is not DIM=LOW:HIGH:N with N of 2 or more, such as 3=-2:2:9"
        ) from None
    return swept


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError
    return number
