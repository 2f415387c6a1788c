"""One run for one folder at a time."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from munit_pl.commands.errors import InputError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder; the lock ends with the process, however that ends.

    Raises:
        InputError: If another run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "run.lock"
    with file.open("a+") as lock:
        if not _lock(lock.fileno()):
            lock.seek(0)
            holder = lock.read().strip()
            raise InputError(f"{folder} is in use by another run ({holder}): name another (run=)")
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield


def _lock(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
