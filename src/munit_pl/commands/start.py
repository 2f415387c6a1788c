"""Where the installed commands start.

A command line is read first, so that ``--help``, ``--version`` and mistakes are answered at once:
PyTorch and Lightning, which take seconds, are imported for work alone.
"""

import os
import signal
import sys
from functools import partial
from importlib import import_module
from typing import NoReturn

from munit_pl.commands.terminal import fail_if_lost, guard_terminal
from munit_pl.exits import ExitCode


def start(name: str) -> NoReturn:
    """Run a command.

    Args:
        name: Its module's, in `munit_pl.commands` and in `munit_pl.commands.options`.
    """
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # it is not where Ctrl-C is to be ignored
        # Not an exception: modules that are half imported may catch it, or go on without numpy.
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    guard_terminal()
    try:
        options = import_module(f"munit_pl.commands.options.{name}").parse()
    finally:  # --help and --cfg print and exit
        fail_if_lost(f"munit-{name}")
    command = import_module(f"munit_pl.commands.{name}")
    signal.signal(signal.SIGINT, usual)
    try:
        status = command.run(options)
    except SystemExit as error:
        if error.code == ExitCode.BAD_INPUT:  # to take PyTorch apart takes longer than to refuse
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ExitCode.BAD_INPUT)
        raise
    if name == "data":  # the others write files, and print beside it
        fail_if_lost("munit-data")
    sys.exit(status)


benchmark, data, demo, doctor, evaluate, export, train, translate = (
    partial(start, name)
    for name in ("benchmark", "data", "demo", "doctor", "evaluate", "export", "train", "translate")
)
