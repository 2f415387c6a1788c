"""Opening regular files only: reading a pipe or a device may never end."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a file as bytes.

    Raises:
        OSError: If it cannot be opened, or is a pipe or a device.
    """
    return open(path, "rb", opener=_open)


def _open(path: str, flags: int) -> int:
    number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe opens at once, too
    kind = os.fstat(number).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):  # Python says itself what is a folder
        return number
    os.close(number)
    raise OSError(f"{os.fspath(path)!r} is a pipe or a device, not a file")
