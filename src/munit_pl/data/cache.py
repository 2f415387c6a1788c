"""Resized images in memory, which all processes of a machine share that read the same files.

The memory is a file without a name, as Linux has them: nothing is left of it once the last process
that knows it is gone, killed or not, and the size of /dev/shm does not bound it.
"""

import hashlib
import os
import re
import struct
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import gethostname
from typing import Any

from PIL import Image
from torch import distributed

from munit_pl.data.folder import ImageFolder
from munit_pl.data.images import MODES, read_size
from munit_pl.data.opening import MAX_PIXELS
from munit_pl.data.sizes import MAX_ASPECT, resized

SHARE = 0.5  # of the memory that is free at the start; training takes some of it later

_HEADER = struct.Struct("<IIB")  # height, width, channels; zeros until the pixels are there
_PAGE = 4096
_LOOKED_AT = 200  # files, to estimate how much memory they all take
_CONTROL_GROUP = Path("/sys/fs/cgroup")  # of a container


class Memory:
    """A file in memory that grows where it is written to, up to a limit.

    What is pickled, for a process that loads images, is where the file can be opened.

    Args:
        limit: Bytes that it may take.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.file = os.memfd_create("images of munit_pl")

    @property
    def place(self) -> tuple[str, tuple[int, int]]:
        """Where other processes open it, and what it is known by."""
        status = os.fstat(self.file)
        return f"/proc/{os.getpid()}/fd/{self.file}", (status.st_dev, status.st_ino)

    @classmethod
    def opened(cls, place: tuple[str, tuple[int, int]], limit: int) -> "Memory":
        """Open the file of another process.

        Raises:
            OSError: It cannot be opened, or is another one.
        """
        memory = cls.__new__(cls)
        memory.limit = limit
        memory._open(place)
        return memory

    def _open(self, place: tuple[str, tuple[int, int]]) -> None:
        path, known_by = place
        self.file = os.open(path, os.O_RDWR)
        if self.place[1] != known_by:
            raise OSError(f"{path} is another file by now")

    @property
    def taken(self) -> int:
        """Bytes that the file takes now."""
        return os.fstat(self.file).st_blocks * 512

    def __getstate__(self) -> dict[str, Any]:
        return {"place": self.place, "limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.limit = state["limit"]
        self._open(state["place"])

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)


class ImageCache:
    """One list of images, kept by their indices.

    Args:
        memory: Where they lie.
        first: The place of the first one.
        room: Bytes of a place. They only take memory as far as they are written.
    """

    def __init__(self, memory: Memory, first: int, room: int) -> None:
        self.memory = memory
        self.first = first
        self.room = room

    def get(self, index: int) -> Image.Image | None:
        """Return an image that was kept, by whatever process; None if none was."""
        start = (self.first + index) * self.room
        header = os.pread(self.memory.file, _HEADER.size, start)
        if len(header) < _HEADER.size:  # beyond the end of the file
            return None
        height, width, channels = _HEADER.unpack(header)
        if not channels:
            return None
        # Not mapped: what the system returns of a file is there, in whatever order two processors
        # see each other's writes.
        pixels = os.pread(self.memory.file, height * width * channels, start + _HEADER.size)
        return Image.frombytes(MODES[channels], (width, height), pixels)

    def put(self, index: int, image: Image.Image) -> None:
        """Keep an image, gray, RGB or RGBA, unless that would take more memory than there may be.

        Two processes may do so at once: they write the same.
        """
        pixels = image.tobytes()
        if self.memory.taken + _pages(len(pixels) + _HEADER.size) > self.memory.limit:
            return
        start = (self.first + index) * self.room
        try:
            written = os.pwrite(self.memory.file, pixels, start + _HEADER.size)
            if written == len(pixels):
                header = _HEADER.pack(image.height, image.width, len(image.getbands()))
                os.pwrite(self.memory.file, header, start)
        except OSError:  # no memory: the image is read again, as all are without a cache
            return


def keep_in_memory(folders: Sequence[ImageFolder]) -> None:
    """Give folders a cache, together; all processes of a distributed run must do so at once.

    Folders of the same files share what is kept. Images that do not fit are read anew each time;
    if that is to be expected, a warning says so.

    Args:
        folders: All that a run reads.
    """
    if not hasattr(os, "memfd_create"):
        warnings.warn("cache memory needs Linux: each image is decoded anew", stacklevel=2)
        return
    shelves: dict[tuple[object, ...], int] = {}
    placed = []
    end = 0
    for folder in folders:
        key = (folder.channels, folder.resize, folder.background, folder.max_value, *folder.files)
        if key not in shelves:
            shelves[key] = end
            end += len(folder)
        placed.append(shelves[key])
    room = max(map(_room, folders))
    layout = hashlib.sha256(repr(list(shelves)).encode(errors="surrogateescape")).hexdigest()

    def make() -> Memory:
        return Memory(int(SHARE * free_memory()))

    memory, is_own = _of_this_machine(make, layout)
    if is_own:
        distinct = dict(zip(placed, folders, strict=True))
        _warn_of_little_memory(sum(map(estimate, distinct.values())), memory.limit)
    for folder, first in zip(folders, placed, strict=True):
        folder.cache = ImageCache(memory, first, room)


def estimate(folder: ImageFolder) -> int:
    """Return how many bytes a folder's resized images take, as some of their headers tell."""
    files = folder.files[:: max(1, -(-len(folder) // _LOOKED_AT))]
    sizes = []
    for file in files:
        try:
            height, width = resized(read_size(file), folder.resize)
        except OSError:  # passed over when it is read
            continue
        sizes.append(_pages(height * width * folder.channels + _HEADER.size))
    return len(folder) * sum(sizes) // max(1, len(sizes))


def free_memory() -> int:
    """Return how many bytes of memory are available: of the machine, or of the container."""
    meminfo = Path("/proc/meminfo").read_text()
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo)
    free = 1024 * int(found[1]) if found else 0
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            left = int((_CONTROL_GROUP / limit).read_text()) - int(
                (_CONTROL_GROUP / used).read_text()
            )
            statistics = ((_CONTROL_GROUP / limit).parent / "memory.stat").read_text()
        except (OSError, ValueError):  # none, or "max"
            continue
        # Files that were read and may be forgotten count as used.
        idle = re.search(r"^(?:total_)?inactive_file (\d+)", statistics, re.MULTILINE)
        free = min(free, left + (int(idle[1]) if idle else 0))
    return max(0, free)


def _of_this_machine(make: Callable[[], Memory], layout: str) -> tuple[Memory, bool]:
    """Return the memory of the first process of a run on this machine, and if it is this one."""
    own = make()
    if not (distributed.is_available() and distributed.is_initialized()):
        return own, True
    here = (gethostname(), layout)
    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, (here, own.place, own.limit))
    for there, place, limit in everyone:
        if there != here:
            continue
        if place == own.place:
            return own, True
        try:
            return Memory.opened(place, limit), False
        except OSError:  # of a container of its own
            continue
    return own, True


def _warn_of_little_memory(needed: int, limit: int) -> None:
    if needed > limit:
        warnings.warn(
            f"cache memory: the images take about {needed / 2**30:.1f} GiB once they are resized, "
            f"of which {limit / 2**30:.1f} GiB are kept in memory; the others are decoded anew "
            "each time",
            stacklevel=4,
        )


def _room(folder: ImageFolder) -> int:
    """Return the bytes of a place for any of a folder's images."""
    pixels = MAX_PIXELS if folder.resize is None else MAX_ASPECT * folder.resize**2
    return _pages(pixels * folder.channels + _HEADER.size)


def _pages(size: int) -> int:
    """Round a number of bytes up to what the system gives out at once."""
    return -(-size // _PAGE) * _PAGE
