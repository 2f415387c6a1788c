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

from munit_pl.commands.terminal import guard_terminal


def start(name: str) -> NoReturn:
    """Run a command.

    Args:
        name: Its module's, in `munit_pl.commands` and in `munit_pl.commands.options`.
    """
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # it is not where Ctrl-C is to be ignored
        # Not an exception: modules that are half imported may catch it, or go on without numpy.
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    options = import_module(f"munit_pl.commands.options.{name}").parse()
    guard_terminal()
    command = import_module(f"munit_pl.commands.{name}")
    signal.signal(signal.SIGINT, usual)
    sys.exit(command.run(options))


benchmark, data, demo, evaluate, export, train, translate = (
    partial(start, name)
    for name in ("benchmark", "data", "demo", "evaluate", "export", "train", "translate")
)
