"""The command line of ``munit-benchmark``."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from munit_pl import __version__
from munit_pl.commands.config.overrides import check_overrides
from munit_pl.commands.config.spelling import spelled
from munit_pl.commands.errors import InputError
from munit_pl.evaluation.comparison.rows import ROWS, STEPS, Extent

# All that a full comparison does, in as little time as it can be done in: its numbers say nothing.
_SMALL_STEPS = 20
_SMALL_SETTINGS = (
    "model.generator.dim=4",
    "model.discriminator.dim=4",
    "callbacks.grid.num_images=2",
)
# Of images of one's own, which the rows' small networks are made for as they are for drawn shoes.
_OWN_DATA = {"data=folder", "data=aligned", "data=huggingface"}
_OWN_SETTINGS = ("data.resize=64", "data.crop=[64,64]")
_SMALL_EXTENT = Extent(inputs=4, styles=2, varied=2, pairs=2, compared=8, subset=8)
_ASKED_ELSEWHERE = {
    "+experiment": "--rows",
    "seed": "--seeds",
    "trainer.max_steps": "--steps",
    "output_dir": "--out",
}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Take the settings apart from the options, and fill in what depends on ``--small``.

    Wrong usage ends the program with status 2, a wrong setting with 1.

    Returns:
        The options. ``configs`` holds the configuration that each row's settings compose.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    settings = [word for word in arguments if re.match(r"~|[^-].*=", word)]
    parser = _parser()
    options = parser.parse_args([word for word in arguments if word not in settings])
    for setting in settings:
        if option := _ASKED_ELSEWHERE.get(setting.split("=")[0]):
            parser.error(f"{setting} is asked for by {option}")
    small = options.small
    own = not _OWN_DATA.isdisjoint(settings)
    options.settings = [
        *(_OWN_SETTINGS if own else ()),
        *(_SMALL_SETTINGS if small else ()),
        *settings,
    ]
    options.extent = _SMALL_EXTENT if small else Extent()
    options.seeds = options.seeds or ([0] if small else [0, 1, 2])
    if options.steps is None:
        options.steps = _SMALL_STEPS if small else STEPS
    if options.steps < 2:
        parser.error(f"--steps is {options.steps}, but must be at least 2")
    options.out = options.out or Path("outputs", "table1-small" if small else "table1")
    try:
        options.configs = {
            row: check_overrides([f"+experiment=table1/{row}", *options.settings])
            for row in options.rows
        }
    except InputError as error:
        sys.exit(f"munit-benchmark: {error}")
    # As Hydra takes them, of one value each.
    row = f"+experiment=table1/{options.rows[0]}"
    options.settings = spelled([row, *options.settings], sweeping=True).taken[1:]
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "munit-benchmark",
        "munit-benchmark table1 [options] [trainer.precision=32-true ...]",
        description="Train every method of the paper's Table 1 on drawn shoes, or on images of "
        "your own, with one budget, and measure them. Started again, it goes on where it stopped; "
        "processes with other rows or seeds may share its folder.",
        epilog="Settings are those of munit-train. Schedules are given for "
        f"{STEPS} iterations and scaled to --steps. "
        "Examples: munit-benchmark table1 --rows munit unit --seeds 0; "
        "munit-benchmark table1 data=folder data.root=horse2zebra --out horses",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("table", choices=["table1"])
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="default: 0 1 2")
    parser.add_argument("--steps", type=int, metavar="N", help=f"iterations; default: {STEPS}")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: outputs/table1")
    parser.add_argument("--small", action="store_true", help="a trial of two minutes")
    return parser
