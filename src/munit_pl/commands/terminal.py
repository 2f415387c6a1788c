"""What reaches the terminal: text, the bars of tqdm, colours; no other control characters."""

import re
import sys
from typing import Any, TextIO

_CURSOR_UP = re.compile(r"(?:\x1b\[A)+")  # written alone by bars below each other
_CONTROL = re.compile(
    r"\x1b(?!\[[\d;]*m)"  # colours are those of W&B and Optuna
    r"|(?<!\A)\r(?!\n|\Z)"  # bars start with a return, or end with one
    r"|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]"
    r"|[\u202a-\u202e\u2066-\u2069]"  # the order of letters, in which endings can be hidden
    r"|[\ud800-\udfff]"  # bytes of names that are no text
)


def guard_terminal() -> None:
    """Have stdout and stderr show control characters as escapes.

    Names of files and answers of servers are untrusted, and any message may quote them.
    """
    sys.stdout, sys.stderr = _Guarded(sys.stdout), _Guarded(sys.stderr)


def shown(text: str) -> str:
    """Return a text that is written at once, with control characters as escapes."""
    if _CURSOR_UP.fullmatch(text):
        return text
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


class _Guarded:
    """A stream that is written to as `shown` says.

    Args:
        stream: Where it goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(shown(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
