"""``munit-data``: get or draw images, look at them before a run, resize them."""

import argparse
import sys
from collections.abc import Sequence

from munit_pl.commands.datasets import checking, downloading, drawing, preparing
from munit_pl.commands.errors import InputError
from munit_pl.commands.options.data import parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run as the command line says, ``sys.argv`` unless given."""
    return run(parse(argv))


def run(options: argparse.Namespace) -> int:
    """Do what was asked for.

    Args:
        options: What `parse` returned.

    Returns:
        The exit status. Of ``check``: 1 if something would stop a run. Of ``download``, ``draw``
        and ``prepare``: 1 if there is no data set, drawing or copy now. 2 for wrong usage and
        folders that are not there, 130 if the user stopped it.
    """
    try:
        return _COMMANDS[options.command](options)
    except InputError as error:
        print(f"munit-data: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        return 130


_COMMANDS = {
    "list": downloading.run_list,
    "download": downloading.run_download,
    "draw": drawing.run,
    "check": checking.run,
    "prepare": preparing.run,
}


if __name__ == "__main__":
    sys.exit(main())
