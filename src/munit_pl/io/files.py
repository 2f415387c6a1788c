"""Files that appear whole, and their digests."""

import hashlib
import os
from pathlib import Path

from munit_pl.io.regular import open_regular


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that appears under its name when it is complete."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
    unfinished.replace(path)


def digest(path: str | Path) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    sha = hashlib.sha256()
    with open_regular(Path(path)) as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()
