"""The streams of a command: what reaches them, and that neither ends it; paths as shown there."""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

_CURSOR_UP = re.compile(r"(?:\x1b\[A)+")  # written alone by bars below each other
_CONTROL = re.compile(
    r"\x1b(?!\[[\d;]*m)"  # colors are those of W&B and Optuna
    r"|(?<!\A)\r(?!\n|\Z)"  # bars start with a return, or end with one
    r"|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]"
    r"|[\u202a-\u202e\u2066-\u2069]"  # the order of letters, in which endings can be hidden
    r"|[\ud800-\udfff]"  # bytes of names that are no text
)


def guard_terminal() -> None:
    """Have stdout and stderr lose what cannot be written, and show control characters as escapes.

    A reader that has gone (``| head``, or ``| tee`` on Ctrl-C), a full disk and a stream that was
    closed end no command. Names of files and answers of servers are untrusted, and any message may
    quote them.
    """
    sys.stdout, sys.stderr = _Guarded(sys.stdout), _Guarded(sys.stderr)


def short_path(path: Path) -> str:
    """Return a path as short as it can be typed, and never like an option."""
    path = path.absolute()
    text = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    return os.path.join(".", text) if text.startswith("-") else text


def fail_if_lost(command: str) -> None:
    """End a command whose result is what it prints, if a full disk did not take it.

    A reader that has gone wanted no more, as elsewhere.
    """
    sys.stdout.flush()
    lost = sys.stdout.lost if isinstance(sys.stdout, _Guarded) else None
    if lost is not None and not isinstance(lost, BrokenPipeError):
        sys.exit(f"{command}: cannot write to stdout: {lost.strerror}")


def shown(text: str) -> str:
    """Return a text that is written at once, with control characters as escapes."""
    if _CURSOR_UP.fullmatch(text):
        return text
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


class _Guarded:
    """A stream that is written to as `shown` says, and raises no error of the system.

    Args:
        stream: Where it goes; None, as Python has it for a descriptor that is closed, is nowhere.

    Attributes:
        lost: The first error.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or open(os.devnull, "w")  # noqa: SIM115
        self.lost: OSError | None = None
        if isinstance(self._stream, io.TextIOWrapper):  # characters that its encoding has not
            self._stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        with self._surviving():
            self._stream.write(shown(text))
        return len(text)

    def flush(self) -> None:
        with self._surviving():
            self._stream.flush()

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost = self.lost or error
        except ValueError:
            if not self._stream.closed:
                raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
