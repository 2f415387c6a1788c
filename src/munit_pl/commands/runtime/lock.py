"""A lock that lets one run at a time use a folder."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from munit_pl.commands.errors import InputError
from munit_pl.io.files import write_whole


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder; the lock ends with the process, however that ends.

    Raises:
        InputError: If another run holds it, or nothing can be written to it.
    """
    with _writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    holder = folder / "run.lock"  # said beside the lock, whose content is filelock's
    with ExitStack() as stack:
        try:
            # A soft lock would outlive a process that is killed.
            stack.enter_context(FileLock(folder / ".run.lock", timeout=0, fallback_to_soft=False))
        except Timeout:
            told = holder.read_text(errors="replace") if holder.exists() else "not known"
            raise InputError(
                f"{folder} is in use by another run ({told}): name another (run=)"
            ) from None
        except OSError:  # a file system without locks
            pass
        with _writing_to(folder):
            write_whole(holder, f"process {os.getpid()} on {socket.gethostname()}")
        yield


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"nothing can be written to {folder}: {error.strerror}: name another (output_dir=)"
        ) from None
