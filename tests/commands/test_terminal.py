import errno
import io
import sys

import pytest
from tqdm import tqdm

from munit_pl.commands.terminal import fail_if_lost, guard_terminal, shown


def test_control_characters_are_shown_as_python_writes_them():
    for text, expected in (
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("kept\x1b[A\rgone", "kept\\x1b[A\\rgone"),
        ("\x9b2J\x08\x7f", "\\x9b2J\\x08\\x7f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udcff.png", "\\udcff.png"),
    ):
        assert shown(text) == expected
    for text in (
        "two\nlines\tof h\u00e9",
        "\rbar",
        "\x1b[A\x1b[A",
        "\x1b[1;31mred\x1b[0m",
        "x\r\n",
    ):
        assert shown(text) == text


def test_messages_are_guarded_and_bars_are_as_ever(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, screen)
    guard_terminal()
    print("file \x1b[2J.png")
    print("file \x1b[2J.png", file=sys.stderr)
    assert screen.getvalue() == "file \\x1b[2J.png\n" * 2
    with tqdm(total=1, desc="outer") as bar, tqdm(total=1, desc="inner") as inner:
        tqdm.write("name \x07", file=sys.stderr)
        inner.update()
        bar.update()
    drawn = screen.getvalue().split("\n", 2)[2]
    assert "name \\x07\n" in drawn
    assert {bar for bar in ("\r", "\x1b[A", "\\r", "\\x1b[A") if bar in drawn} == {"\r", "\x1b[A"}


def test_what_cannot_be_written_is_lost_and_ends_nothing(monkeypatch):
    class Stream(io.StringIO):
        def __init__(self, number):
            super().__init__()
            self.number = number

        def write(self, *_):
            raise OSError(self.number, "it cannot be written")

        flush = write

    for number in (errno.EPIPE, errno.ENOSPC, errno.EIO):
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, Stream(number))
        guard_terminal()
        print("a line", flush=True)
        with tqdm(total=1) as bar:
            tqdm.write("a line")
            bar.update()
        if number == errno.EPIPE:  # the reader had seen enough
            fail_if_lost("munit-data")
        else:
            with pytest.raises(SystemExit, match="munit-data: cannot write to stdout: it cannot"):
                fail_if_lost("munit-data")


def test_a_stream_that_is_closed_is_nowhere(monkeypatch):
    for stream in (None, io.StringIO()):
        if stream is not None:
            stream.close()
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        guard_terminal()
        print("a line", flush=True)
        tqdm.write("a line", file=sys.stderr)
        fail_if_lost("munit-data")
