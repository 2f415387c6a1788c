"""What zip and tar files hold, read without believing what they say of themselves."""

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple, cast

# What the libraries raise for damaged files, beside OSErrors without a number.
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError, LookupError),
)

_HEADER = 2**15  # bytes that tarfile may read to learn of one member, whatever the header says
_ENTRY = 200  # bytes a zip's table of contents may take per member that is allowed
_COMPRESSED: dict[bytes, Callable[[IO[bytes]], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


class Member(NamedTuple):
    """A file or folder in an archive.

    Attributes:
        name: Its path, as the archive has it: nobody has looked whether it is safe.
        size: How many bytes the archive says it has.
        data: A file's content, to be read before the next member is asked for; None for a folder.
    """

    name: str
    size: int
    data: IO[bytes] | None


class Contents(NamedTuple):
    """What an archive holds: all files' bytes, as declared, where that is known, and the members.

    Asking for members raises ValueError for those that are neither regular files nor folders, and
    one of ``DAMAGED`` or OSError if the archive is damaged.
    """

    size: int | None
    members: Iterator[Member]


@contextmanager
def open_archive(file: IO[bytes], max_members: int) -> Iterator[Contents]:
    """Open a zip, tar, tar.gz, tar.bz2 or tar.xz, as its first bytes say.

    Args:
        file: The archive, from its start on.
        max_members: A table of contents that is far too long for so many is not read.

    Raises:
        ValueError: It is of another kind, or nobody should unpack it.
    """
    start = file.read(6)
    file.seek(0)
    if start[:4] in (b"PK\3\4", b"PK\5\6"):
        with zipfile.ZipFile(cast(IO[bytes], _Table(file, max_members))) as archive:
            entries = archive.infolist()
            if len(entries) > max_members:
                raise ValueError(f"it holds more than {max_members} files and folders")
            _check_zip(entries)
            yield Contents(sum(entry.file_size for entry in entries), _read_zip(archive, entries))
        return
    opener = next((f for magic, f in _COMPRESSED.items() if start.startswith(magic)), None)
    stream = _Meter(file if opener is None else cast(IO[bytes], opener(file)))
    try:
        tar = tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|", tarinfo=_Header)  # noqa: SIM115
    except tarfile.ReadError as error:
        raise ValueError(f"it is no zip, tar, tar.gz, tar.bz2 or tar.xz ({error})") from error
    with tar:
        yield Contents(None, _read_tar(tar, stream))


class _Table:
    """A zip's file, from which no table of contents is read that would fill the memory."""

    def __init__(self, file: IO[bytes], max_members: int) -> None:
        self._most = max(max_members * _ENTRY, 2**20)
        self._read = file.read
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:  # the rest: of the last 64 KiB, for zipfile
        if size > self._most:
            raise ValueError("its table of contents is too large: do not use it")
        return self._read(size)


def _check_zip(entries: list[zipfile.ZipInfo]) -> None:
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        name, kind = entry.filename[:100], stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            link = "a symbolic link" if kind == stat.S_IFLNK else "no plain file"
            raise ValueError(f"{name!r} is {link}: pack the files themselves")
        if entry.flag_bits & 0x41:
            raise ValueError(f"{name!r} is encrypted: pack it without a password")
        # The others of zipfile's decompressors return all they can at once, which may be gigabytes.
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name!r} is compressed otherwise than by deflate: pack it again")
        if entry.header_offset < end:
            raise ValueError(f"{name!r} shares its bytes with another file: do not use it")
        end = entry.header_offset + 30 + entry.compress_size  # 30: the header before each member


def _read_zip(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> Iterator[Member]:
    for entry in entries:
        if entry.is_dir():
            yield Member(entry.filename, 0, None)
        else:
            with archive.open(entry) as data:
                yield Member(entry.filename, entry.file_size, data)


class _Meter:
    """A stream of which no more is read than was allowed: tarfile believes what headers say."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = _HEADER

    def allow(self, size: int) -> None:
        """Allow ``size`` bytes, and the next member's header."""
        self._left = size + _HEADER

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("a header in it is larger than any file's name: do not use it")
        return data


class _Header(tarfile.TarInfo):
    """A member's header. A damaged one is an error; tarfile would take it for the end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def _read_tar(tar: tarfile.TarFile, stream: _Meter) -> Iterator[Member]:
    while member := tar.next():
        # There may be many, and none is asked for again.
        tar.members.clear()  # type: ignore[attr-defined]
        if member.size < 0:
            raise tarfile.ReadError(f"{member.name[:100]!r} has a negative size")
        if member.isdir():
            yield Member(member.name, 0, None)
        elif member.isreg() and not member.issparse():
            stream.allow(member.size)
            yield Member(member.name, member.size, tar.extractfile(member))
        else:
            kind = _KINDS.get(member.type, "no plain file")
            raise ValueError(f"{member.name[:100]!r} is {kind}: pack the files themselves")
        stream.allow(0)
