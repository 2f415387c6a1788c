"""Downloaded archives of images, unpacked under limits of size and number."""

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import IO

from tqdm import tqdm

from munit_pl.io.regular_files import open_regular

MAX_MEMBERS = 500_000  # files and folders; the largest data set of the catalogue has 202,599 images
MAX_RATIO = 200  # unpacked bytes per byte of the archive: images hardly shrink, a bomb does
HARMLESS = 100 * 10**6  # bytes to which an archive may grow at any ratio

_MAX_HEADER = 2**20  # bytes
_EXTENSIONS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
_SPARED = 2**30  # bytes of the disk that are left free
# What the libraries raise for damaged files, beside OSErrors without a number.
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError, LookupError),
)


def extract(archive: Path, folder: Path, show: bool = False) -> None:
    """Unpack a zip, tar, tar.gz, tar.bz2 or tar.xz into an empty folder of one's own.

    Only regular files and folders come out, each below ``folder``. What was unpacked before an
    error stays there.

    Args:
        archive: The file; its first bytes decide of what kind it is.
        folder: Where the files go.
        show: Whether a bar shows the progress, on a terminal.

    Raises:
        ValueError: The archive is damaged, of another kind, too large when unpacked, or holds what
            no archive of images does, such as links or names that lead out of ``folder``.
        OSError: The archive cannot be read, or ``folder`` not be written.
    """
    bar = tqdm(unit="B", unit_scale=True, leave=False, disable=None if show else True)
    with bar, open_regular(archive) as file, _one_line(archive, folder):
        free = shutil.disk_usage(folder).free - _SPARED
        limits = _Limits(archive.stat().st_size, free)
        is_zip = file.read(2) == b"PK"
        file.seek(0)
        if is_zip:
            with zipfile.ZipFile(file) as zipped:
                for entry in zipped.infolist():
                    kind = stat.S_IFMT(entry.external_attr >> 16)
                    is_plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
                    limits.add(entry.filename, entry.file_size, is_plain)
                bar.total = limits.bytes
                for entry in zipped.infolist():
                    zipped.extract(entry, folder)
                    bar.update(entry.file_size)
            return
        with _open_tar(file) as tar:
            for member in tar:
                limits.add(member.name, member.size, member.isreg() or member.isdir())
                tar.extract(member, folder, filter="data")
                bar.update(member.size)


def _open_tar(file: IO[bytes]) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=file, tarinfo=_Header)
    except tarfile.ReadError as error:
        kinds = "zip, tar, tar.gz, tar.bz2 or tar.xz"
        raise ValueError(f"it is no {kinds}, or damaged: fetch it again") from error


class _Header(tarfile.TarInfo):
    """A member's header. A damaged one is an error, where tarfile would take it for the end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        # tarfile reads these whole, and takes the header's word for how large they are.
        if self.type in _EXTENSIONS and self.size > _MAX_HEADER:
            raise tarfile.ReadError("a header in it is larger than any file's name")
        return super()._proc_member(tar)  # type: ignore[misc]


class _Limits:
    """Refuses an archive that grows too large, or a member that is no plain file below a folder.

    Args:
        archive_bytes: Size of the archive.
        free: Bytes that its files may take together.

    Attributes:
        bytes: Of the members so far, as the archive declares them; no more are written.
    """

    def __init__(self, archive_bytes: int, free: int) -> None:
        self.free = free
        self.most = max(HARMLESS, MAX_RATIO * archive_bytes)
        self.members = 0
        self.bytes = 0

    def add(self, name: str, size: int, is_plain: bool) -> None:
        """Count a member, before it is unpacked."""
        shown = repr(name[:100])
        path = PureWindowsPath(name)  # whose parts are those of any system's paths
        if path.drive or path.root or ".." in path.parts:
            raise ValueError(f"it would write {shown} outside the folder: do not use it")
        if not is_plain:
            raise ValueError(f"{shown} is a link, a device or a pipe: do not use it")
        self.members += 1
        self.bytes += size
        if self.members > MAX_MEMBERS:
            raise ValueError(f"it holds more than {MAX_MEMBERS} files and folders: do not use it")
        if self.bytes > self.most:
            raise ValueError(
                f"its files are more than {MAX_RATIO} times as large as itself, as images never "
                "are: do not use it"
            )
        if self.bytes > self.free:
            raise ValueError(
                f"its files take more than the {max(self.free, 0) / 2**30:.1f} GiB that they may: "
                "free some space, or take another disk"
            )


@contextmanager
def _one_line(archive: Path, folder: Path) -> Iterator[None]:
    """Name archive and folder in what is wrong with either."""
    failed = f"cannot unpack {str(archive)!r}"
    damaged = f"{failed}: it is damaged or incomplete, fetch it again"
    try:
        yield
    except _DAMAGED as error:
        raise ValueError(f"{damaged} ({' '.join(str(error).split())})") from error
    except ValueError as error:
        raise ValueError(f"{failed}: {error}") from error
    except OSError as error:
        if error.errno is None:  # not of the file system, but what gzip and bz2 raise
            raise ValueError(f"{damaged} ({error})") from error
        raise OSError(f"{failed} to {str(folder)!r}: {error.strerror}") from error
