"""Finding a domain's images in a folder or by a list, and telling what else lies there."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from munit_pl.data.file_list import FileList
from munit_pl.data.images.opening import FORMATS, HEIC, is_heic, reads_heic
from munit_pl.io.regular_files import open_regular

HEIC_ENDINGS = (".heic", ".heif")
ENDINGS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".avif", *HEIC_ENDINGS),
)
_LOOKED_INTO = 20_000  # files of a domain: opening one takes 0.03 ms here, and more over a network

# A bitmap starts with two common letters only, so the size of its second header counts too.
_SIGNATURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|GIF8[79]a|II[*+]\0|MM\0[*+]|P[1-6]\s"
    rb"|....ftypavi[fs]|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    re.DOTALL,
)
_SIGNATURE_BYTES = 18


class Listing(NamedTuple):
    """What was found of a domain.

    Of more than 20,000 files so many are looked into, evenly spread; of all others the ending
    decides, or the list that names them. What is no image among these is found when it is read.

    Attributes:
        images: Files that start as an image does; nothing more of them was read.
        bad: Files that were meant to be images and are none, each with what is wrong, such as
            "is empty": the path and the reason make a sentence.
        ignored: How many other files there were, by ending in small letters ("" for none).
    """

    images: FileList
    bad: dict[Path, str]
    ignored: Counter[str]


def scan_folder(folder: Path) -> Listing:
    """Find the images in a folder and in the folders below it.

    The first bytes decide, not the ending. Hidden files and folders are skipped, and links to
    folders are not followed; links to files are. Bad is what has an image's ending but is empty,
    of another content, not readable, or a link to nothing.

    Returns:
        Paths that start with ``folder``, in the order of their relative paths.

    Raises:
        FileNotFoundError: There is no such folder.
        OSError: It, or a folder below it, cannot be read.
        ValueError: No file in it is an image.
    """
    _check_folder(folder)
    images: list[str] = []
    bad: dict[Path, str] = {}
    ignored: Counter[str] = Counter()
    names = sorted(_visible_files(folder))
    for name, looked_into in _sampled(names):
        ending = os.path.splitext(name)[1].lower()
        fault = _fault(folder / name) if looked_into else _fault_of_ending(ending)
        if fault is None:
            images.append(name)
        elif ending in ENDINGS:
            bad[folder / name] = fault
        else:
            ignored[ending] += 1
    if not images:
        raise ValueError(f"no image in {str(folder)!r}: it holds {_holdings(bad, ignored)}")
    return Listing(FileList(images, folder), bad, ignored)


def list_images(folder: Path) -> list[Path]:
    """Find the images in a folder and below it as `scan_folder` does, and return nothing else.

    Raises:
        FileNotFoundError: There is no such folder.
        OSError: It, or a folder below it, cannot be read.
        ValueError: No file in it is an image.
    """
    return list(scan_folder(folder).images)


def scan_list(list_file: Path, root: Path) -> Listing:
    """Find the images that a text file names, one per line, relative to ``root``.

    Whatever a line names is meant to be an image, so what is none, or missing, is bad. Links below
    ``root`` are followed, those to folders too: who made the folder set them, not the list.

    Returns:
        Paths that start with ``root``, in the order of the lines.

    Raises:
        FileNotFoundError: There is no such list or folder.
        ValueError: A line leads out of ``root``, or none names an image.
    """
    _check_folder(root)
    images: list[str] = []
    bad: dict[Path, str] = {}
    with list_file.open(encoding=_encoding(list_file), errors="surrogateescape") as lines:
        names = [_name_in(line.strip(), root) for line in lines]
    for number, (name, looked_into) in enumerate(_sampled(names), start=1):
        if not name:
            continue
        if _leads_out(name):
            raise ValueError(
                f"{str(list_file)!r}, line {number}: {name!r} leads out of {str(root)!r}: "
                "name files by their path below that folder"
            )
        fault = _fault(root / name) if looked_into or "\0" in name else None
        if fault is None:
            images.append(name)
        else:
            bad[root / name] = fault
    if not images:
        raise ValueError(
            f"the list {str(list_file)!r} names no image in {str(root)!r}: "
            f"{_holdings(bad, Counter())}"
        )
    return Listing(FileList(images, root), bad, Counter())


def _sampled(names: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield all names, and whether the file is one of those that are looked into."""
    step = max(1, -(-len(names) // _LOOKED_INTO))
    return ((name, i % step == 0) for i, name in enumerate(names))


def _name_in(line: str, root: Path) -> str:
    """Return the name that a line of a list gives."""
    if "\\" in line and not (root / line).exists():  # as Windows writes paths
        return line.replace("\\", "/")
    return line


def _leads_out(name: str) -> bool:
    # Most names show at once that they do not.
    if ".." not in name and not name.startswith(("/", "\\")) and name[1:2] != ":":
        return False
    return bool(PurePath(name).anchor) or ".." in PurePath(name).parts


def _encoding(file: Path) -> str:
    """Tell UTF-16, which PowerShell writes, from UTF-8, by its mark."""
    with open_regular(file) as start:
        return "utf-16" if start.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")


def _visible_files(folder: Path) -> Iterator[str]:
    """Yield the paths below a folder of all files that are not hidden, with slashes."""
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        before = (Path(parent).relative_to(folder) / "x").as_posix()[:-1]
        yield from (before + name for name in names if not name.startswith("."))


def _raise(error: OSError) -> None:
    """Make ``os.walk`` stop at an unreadable folder, which it would leave out in silence."""
    raise error


def _fault_of_ending(ending: str) -> str | None:
    """Say in what way an ending is none of an image; None if it is one."""
    if ending in HEIC_ENDINGS and not reads_heic():
        return HEIC
    return None if ending in ENDINGS else "has another ending"


def _fault(path: Path) -> str | None:
    """Say in what way a file does not start as an image; None if it does."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would block
            return "is not a file"
        with path.open("rb", buffering=0) as file:
            start = file.read(_SIGNATURE_BYTES)
    except FileNotFoundError:
        return "is a link to a missing file" if path.is_symlink() else "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError:  # a zero byte in a list's line
        return "has a name that no file can have"
    if not start:
        return "is empty"
    if is_heic(start):
        return None if reads_heic() else HEIC
    return None if _SIGNATURE.match(start) else f"starts as none of {', '.join(FORMATS)} does"


def _holdings(bad: Mapping[Path, str], ignored: Counter[str]) -> str:
    """Say in words what there is, as none of it is an image."""
    held = [
        f"{count} {repr(ending) if ending else 'without ending'}"
        for ending, count in ignored.most_common(10)
    ]
    if bad:
        named = [f"{str(path)!r} {fault}" for path, fault in list(bad.items())[:3]]
        held.append(f"{len(bad)} bad: {'; '.join(named)}")
    return ", ".join(held) or "nothing"
