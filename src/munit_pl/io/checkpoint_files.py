"""Checkpoint files: written durably, verified by SHA-256, the newest valid one found."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from zipfile import ZipFile

from munit_pl.io.files import digest, whole_file, writer_of
from munit_pl.io.regular_files import open_regular
from munit_pl.io.safe_reading import is_archive, read_checkpoint

SCHEMA = 1  # of what a checkpoint holds under "munit_pl"; counted up when an older reader would err


def write_durably(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file so that at every instant, power cuts included, it is the old one or the new one.

    Beside it goes ``<name>.sha256``, which ``sha256sum -c`` reads. While the file is replaced it
    lists the old hash and the new one, so that either is known to be good.

    Args:
        path: The file; its folder exists.
        write: Writes the content to what it is given, in order.

    Raises:
        OSError: If it cannot be written. What was there is as it was, as after any other error.
    """
    with whole_file(path) as new:
        with new.open("xb") as file:
            hashed = _Hashed(file)
            write(cast(BinaryIO, hashed))
            _sync(file)
        sha = hashed.sha.hexdigest()
        _list_too(path, sha)
    _finish(path, sha)


def link_durably(path: Path, name: Path) -> None:
    """Let ``name`` be the file ``path`` too; a copy where the file system knows no hard links."""
    if name.exists() and name.samefile(path):
        return
    listed = _listed(path)
    sha = listed.pop() if len(listed) == 1 else digest(path)
    with whole_file(name) as new:
        try:
            os.link(path, new)
        except OSError:
            with path.open("rb") as source, new.open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
                _sync(file)
        _list_too(name, sha)
    _finish(name, sha)


def verify(path: Path) -> None:
    """Make sure that a checkpoint is whole.

    Its hash must be listed beside it. One without a list, as of another program, must be readable.

    Raises:
        ValueError: If it is not; one line says what is wrong.
    """
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}")
    if not path.stat().st_size:
        raise ValueError(f"{path} is no checkpoint: it is empty")
    if listed := _listed(path):
        if digest(path) not in listed:
            raise ValueError(f"{path} is damaged: its hash is not that in {_sidecar(path).name}")
        return
    read_checkpoint(path)
    if is_archive(path):
        with ZipFile(path) as archive:
            if archive.testzip():
                raise ValueError(f"{path} is damaged: some of its bytes have changed")


def newest_valid(folder: Path) -> tuple[Path | None, list[str]]:
    """Return the checkpoint of the most iterations that is whole, and why others were skipped.

    Those are ``00010000.ckpt`` and its like, and ``last.ckpt`` where it is a file of its own.
    """
    passed: list[str] = []
    candidates = {path: int(path.stem) for path in step_files(folder)}
    last = folder / "last.ckpt"
    if last.is_file() and not any(last.samefile(path) for path in candidates):
        try:
            candidates[last] = int(read_checkpoint(last)["global_step"])
        except (ValueError, TypeError, KeyError) as error:
            passed.append(str(error))
    for path in sorted(candidates, key=lambda path: candidates[path], reverse=True):
        try:
            verify(path)
        except (ValueError, OSError) as error:
            passed.append(str(error))
        else:
            return path, passed
    return None, passed


def step_files(folder: Path) -> list[Path]:
    """Return the checkpoints that are named after their iterations, the newest first."""
    files = [path for path in folder.glob("*.ckpt") if re.fullmatch(r"[0-9]{1,18}", path.stem)]
    return sorted(files, key=lambda path: int(path.stem), reverse=True)


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint and what lists its hash, which is left over rather than missing."""
    path.unlink(missing_ok=True)
    _sidecar(path).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove unfinished files of processes of this machine that were killed."""
    for path in folder.glob(".*"):
        pid = writer_of(path)
        # This process has begun none: one of its number is of another, in a container for example.
        if pid is not None and (pid == os.getpid() or not _lives(pid)):
            path.unlink(missing_ok=True)


def check_schema(checkpoint: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that holds more than this version knows of.

    Raises:
        ValueError: If it is one.
    """
    own = checkpoint.get("munit_pl")
    schema = own.get("schema") if isinstance(own, Mapping) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise ValueError(
            f"the checkpoint was written by a newer munit_pl (its schema is {schema}, here it is "
            f"{SCHEMA}): install that version to go on from it"
        )


class _Hashed(BufferedIOBase):
    """Passes bytes on to a file, and hashes them on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha.update(data)
        return self._file.write(data)


def _list_too(path: Path, sha: str) -> None:
    """List the hash of what is about to take the place of ``path`` beside that of what is there."""
    former = (_listed(path) or {digest(path)}) if path.exists() else set()
    _list(path, {*former, sha})


def _finish(path: Path, sha: str) -> None:
    """Make sure that a file's name is on the disk, and list no hash but its own."""
    _sync_folder(path.parent)
    if _listed(path) != {sha}:
        _list(path, {sha})


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _listed(path: Path) -> set[str]:
    """Return the hashes that the file beside ``path`` gives it; none if there is no such file."""
    try:
        with open_regular(_sidecar(path)) as file:
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return set()
    return {
        sha
        for sha, name in re.findall(r"^([0-9a-f]{64})  (.+)$", text, re.MULTILINE)
        if name == path.name
    }


def _list(path: Path, shas: set[str]) -> None:
    sidecar = _sidecar(path)
    with whole_file(sidecar) as new, new.open("x") as file:
        file.writelines(f"{sha}  {path.name}\n" for sha in sorted(shas))
        _sync(file)
    _sync_folder(path.parent)


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Let a file's new name be on the disk as its content is."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
