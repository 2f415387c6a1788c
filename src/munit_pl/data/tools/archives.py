"""Untrusted archives of images, unpacked so that they can do no harm."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NamedTuple

from tqdm import tqdm

from munit_pl.data.tools.archive_members import DAMAGED, open_archive
from munit_pl.io.files import whole_folder
from munit_pl.io.regular_files import open_regular

MAX_BYTES = 200 * 2**30  # unpacked, however much space is free
MAX_MEMBERS = 1_000_000  # files and folders
MAX_RATIO = 200  # unpacked bytes per byte of the archive: images hardly shrink, a bomb does
HARMLESS = 100 * 10**6  # bytes to which an archive may grow at any ratio
MAX_DEPTH = 64  # folders in each other: beyond 1000 Python cannot even remove them

_SPARED = 2**30  # bytes of the disk that are left free
_CHUNK = 2**20


class Unpacked(NamedTuple):
    """What came out of an archive: how many files, and how many bytes they have."""

    files: int
    bytes: int


def extract(
    archive: Path,
    folder: Path,
    max_bytes: int | None = None,
    max_members: int = MAX_MEMBERS,
    show: bool = False,
) -> Unpacked:
    """Unpack a zip, tar, tar.gz, tar.bz2 or tar.xz into a new folder, or leave nothing behind.

    Only regular files and folders come out, each below ``folder``; archives in the archive stay
    packed. Files get mode 0644 and folders 0755, less what the umask takes away.

    Args:
        archive: The file; its first bytes decide of what kind it is.
        folder: Where the files go: no such folder yet, or an empty one.
        max_bytes: Bytes of all files together; unless given, the free space less 1 GiB, and
            ``MAX_BYTES`` at most.
        max_members: Files and folders together.
        show: Whether a bar shows the progress, on a terminal.

    Raises:
        ValueError: The archive is damaged, of another kind, too large when unpacked, or holds what
            no archive of images does, such as links or names that lead out of ``folder``.
        OSError: The archive cannot be read, or ``folder`` not be written.
    """
    target = folder.resolve()
    _check_target(target)
    if max_bytes is None:
        max_bytes = min(shutil.disk_usage(target.parent).free - _SPARED, MAX_BYTES)
    bar = tqdm(unit="B", unit_scale=True, leave=False, disable=None if show else True)
    with (
        bar,
        open_regular(archive) as file,
        _one_line(archive, folder),
        whole_folder(target) as fresh,
    ):
        fresh.chmod(fresh.stat().st_mode & 0o755)
        output = _Output(fresh, archive.stat().st_size, max_bytes, max_members, bar)
        output.take(file)
    return Unpacked(output.files, output.bytes)


def _check_target(target: Path) -> None:
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(target.parent)!r} to unpack into")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{str(target)!r} is there already: name a folder that is not")


@contextmanager
def _one_line(archive: Path, folder: Path) -> Iterator[None]:
    """Name archive and folder in what is wrong with either."""
    failed = f"cannot unpack {str(archive)!r}"
    damaged = f"{failed}: it is damaged or incomplete, fetch it again"
    try:
        yield
    except DAMAGED as error:
        raise ValueError(f"{damaged} ({' '.join(str(error).split())})") from error
    except ValueError as error:
        raise ValueError(f"{failed}: {error}") from error
    except OSError as error:
        if error.errno is None:  # not of the file system, but what gzip and bz2 raise
            raise ValueError(f"{damaged} ({error})") from error
        raise OSError(
            f"{failed} to {str(folder)!r}, nothing is left there: {error.strerror}"
        ) from error


class _Output:
    """A new folder that takes what an archive holds, and refuses what is dangerous or too much."""

    def __init__(
        self,
        folder: Path,
        archive_bytes: int,
        max_bytes: int,
        max_members: int,
        bar: "tqdm[None]",
    ) -> None:
        self.folder = folder
        self.archive_bytes = archive_bytes
        self.max_bytes = max_bytes
        self.max_members = max_members
        self.bar = bar
        self.files = 0
        self.bytes = 0
        self.folders = {PurePosixPath()}

    def take(self, archive: IO[bytes]) -> None:
        with open_archive(archive, self.max_members) as contents:
            if contents.size is not None:
                self._check_size(contents.size)
                self.bar.total = contents.size
            for member in contents.members:
                path = _safe_path(member.name)
                if member.data is None:
                    self._add_folder(path)
                else:
                    self._check_size(self.bytes + member.size)
                    self._add_folder(path.parent)
                    self._add_file(path, member.size, member.data)

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise ValueError(
                f"its files take more than the {max(self.max_bytes, 0) / 2**30:.1f} GiB that they "
                "may: free some space, or take another disk"
            )
        if size > max(HARMLESS, MAX_RATIO * self.archive_bytes):
            raise ValueError(
                f"its files are more than {MAX_RATIO} times as large as itself, as images never "
                "are: do not use it"
            )

    def _add_folder(self, path: PurePosixPath) -> None:
        for folder in (path, *path.parents)[::-1]:
            if folder not in self.folders:
                self.folders.add(folder)
                self._check_members()
                with _only_once(folder):
                    (self.folder / folder).mkdir(mode=0o755)

    def _add_file(self, path: PurePosixPath, size: int, data: IO[bytes]) -> None:
        self.files += 1
        self._check_members()
        with _only_once(path):  # and whatever was overlooked: "x" follows no link
            output = open(self.folder / path, "xb", opener=_open_plain)  # noqa: SIM115
        with output:
            left = size
            while left > 0 and (chunk := data.read(min(left, _CHUNK))):
                output.write(chunk)
                left -= len(chunk)
                self.bytes += len(chunk)
                self.bar.update(len(chunk))
        if left:
            raise EOFError(f"{str(path)!r} is not as long as it should be")

    def _check_members(self) -> None:
        if self.files + len(self.folders) - 1 > self.max_members:
            raise ValueError(f"it holds more than {self.max_members} files and folders")


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags, 0o644)


@contextmanager
def _only_once(path: PurePosixPath) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ValueError(f"it holds {str(path)!r} twice: do not use it") from error


def _safe_path(name: str) -> PurePosixPath:
    """Return a member's path, which stays below the folder that it is joined to."""
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    shown = repr(name[:100])
    if path.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise ValueError(f"it would write {shown} outside the folder: do not use it")
    if "\\" in name or "\0" in name:
        raise ValueError(f"the name {shown} holds a character that no name may: pack it again")
    if len(path.parts) > MAX_DEPTH:
        raise ValueError(f"{shown} lies in more than {MAX_DEPTH} folders: do not use it")
    return path
