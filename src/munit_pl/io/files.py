"""Files and folders that appear whole or not at all, and files' digests."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from munit_pl.io.regular_files import open_regular


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file, which takes the place of ``path`` once it is written.

    Its ending is that of ``path``, and it lies in the same folder. Where writing fails, nothing is
    left of it, and ``path`` is as it was.

    Args:
        path: The file; its folder exists.
    """
    # Cut, as a name that is as long as names may be leaves no room.
    unfinished = path.with_name(f".{path.stem[:30]}.tmp-{os.getpid()}{path.suffix[:12]}")
    unfinished.unlink(missing_ok=True)  # of a process of this number that was killed
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that appears under its name when it is complete."""
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a new folder to fill, which becomes ``path`` once it is complete.

    It lies beside ``path``. Where filling it fails, nothing is left of it.

    Args:
        path: The folder: none yet, or an empty one. The folder that it lies in exists.

    Raises:
        OSError: If no folder can be made there (which is found out at once), or ``path`` is
            something else.
    """
    unfinished = path.with_name(f".{path.name[:30]}.tmp-{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process of this number that was killed
    try:
        try:
            unfinished.mkdir()
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        yield unfinished
        if path.exists():
            path.rmdir()
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def writer_of(path: Path) -> int | None:
    """Return the number of the process that `whole_file` gave this path; None for other files."""
    match = re.fullmatch(r"\..*\.tmp-([0-9]+)(\.[^.]*)?", path.name, re.DOTALL)
    return int(match[1]) if match else None


def digest(path: str | Path) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    sha = hashlib.sha256()
    with open_regular(Path(path)) as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()
