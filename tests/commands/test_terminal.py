import io
import sys

from tqdm import tqdm

from munit_pl.commands.terminal import guard_terminal, shown


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
