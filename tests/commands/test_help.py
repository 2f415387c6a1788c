"""What each installed command says when it is asked for help."""

import sys
from contextlib import suppress

from munit_pl.commands import benchmark, data, demo, doctor, evaluate, export, train, translate

SCREEN = 45  # lines of a terminal

COMMANDS = {
    "munit-train": train,
    "munit-translate": translate,
    "munit-evaluate": evaluate,
    "munit-benchmark": benchmark,
    "munit-demo": demo,
    "munit-doctor": doctor,
    "munit-export": export,
    "munit-data": data,
    "munit-data list": data,
    "munit-data download": data,
    "munit-data draw": data,
    "munit-data prepare": data,
    "munit-data check": data,
}


def shown(line):
    """The lines of 80 characters that a terminal makes of one."""
    return max(1, -(-len(line) // 80))


def test_the_help_fits_a_screen_and_shows_an_example(capsys, monkeypatch):
    for command in COMMANDS:
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr(sys, "argv", [*command.split(), "--help"])
        with suppress(SystemExit):
            COMMANDS[command].main()
        printed = capsys.readouterr().out
        assert sum(map(shown, printed.splitlines())) <= SCREEN
        told, _, examples = printed.lower().partition("example")
        assert told.startswith("usage: munit-")
        assert f"{command.partition(' ')[0]} " in examples
