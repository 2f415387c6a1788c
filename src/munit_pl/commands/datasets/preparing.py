"""``munit-data prepare``: a data set's resized copy."""

import argparse
import sys

from munit_pl.commands.errors import InputError
from munit_pl.data.tools.copy_image import CopySettings
from munit_pl.data.tools.prepare import NOTE, prepare

_NAMED = 10  # files that were skipped


def run(options: argparse.Namespace) -> int:
    """Do as the options say and return the exit status: 1 if there is no copy.

    Raises:
        InputError: An option is out of range, or a folder is not what it should be.
    """
    if options.size < 1:
        raise InputError(f"--size is {options.size}, but must be at least 1")
    if options.workers < 0:
        raise InputError(f"--workers is {options.workers}, but must not be negative")
    settings = CopySettings(options.size, options.format)
    try:
        done = prepare(options.root, options.out, settings, options.workers, show=True)
    except (FileNotFoundError, ValueError) as error:
        raise InputError(str(error)) from error
    except OSError as error:
        print(f"munit-data: {error}", file=sys.stderr)
        return 1
    for name, fault in list(done.bad.items())[:_NAMED]:
        print(f"skipped: {name!r} {fault}")
    if len(done.bad) > _NAMED:
        print(f"and {len(done.bad) - _NAMED} more, which {str(options.out / NOTE)!r} lists")
    if done.on_white:
        print(f"laid on white: {done.on_white} transparent images; --format png keeps them")
    there = f", {done.images - done.made} of them there already" * (done.made < done.images)
    print(
        f"{done.images} images in {str(options.out)!r}{there}; {len(done.bad)} files were skipped"
    )
    return 0
