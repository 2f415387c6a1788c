"""What a command is asked to read: files, folders and patterns become a list of inputs."""

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath

from PIL import Image

from munit_pl.commands.errors import InputError
from munit_pl.data.images.opening import FORMATS
from munit_pl.data.listing import list_images
from munit_pl.inference.video import VIDEOS

_LONGEST = 180  # bytes of a name; most systems take 255, and a style and an ending follow


@dataclass(frozen=True)
class Source:
    """An image or a video to read.

    Attributes:
        path: The file, absolute.
        name: What its outputs are called, before the style: a path with ``/`` in the output tree.
    """

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        """Whether the file's ending is a video's."""
        return _is_video(self.path)

    def stamp(self) -> dict[str, str | int]:
        """Return what tells a file from another, or from itself after it was changed."""
        status = self.path.stat()
        return {"input": str(self.path), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


@dataclass(frozen=True)
class _Found:
    """What one argument stands for: files below a root; ``searched`` if nobody named each."""

    root: Path
    files: list[Path]
    searched: bool


def find_sources(arguments: Sequence[str], out: Path) -> list[Source]:
    """Find every image and video that arguments name, each once, in the order of the arguments.

    An argument is a file, a folder, which is searched with all below it, or a pattern such as
    ``photos/**/*.jpg``. Names keep the folder tree: from the folder on if it is the only argument,
    else from where all arguments part. What is found in ``out`` is skipped: earlier outputs.

    Raises:
        InputError: If an argument names nothing, or outputs would be searched for inputs.
    """
    out = _absolute(out)
    found = [_find(argument, out) for argument in arguments]
    top = Path(os.path.commonpath([each.root for each in found]))
    files = list(dict.fromkeys(file for each in found for file in each.files))
    if not files:
        raise InputError(f"there is no image and no video in {', '.join(arguments)}")
    if out == top and any(each.searched for each in found):
        raise InputError(
            f"the translations would lie among the inputs in {out}, and the next run would "
            "translate them: give another --out"
        )
    names = tell_apart([file.relative_to(top) for file in files])
    return [Source(file, name) for file, name in zip(files, names, strict=True)]


def find_examples(arguments: Sequence[str]) -> list[Path]:
    """Find the images that arguments name, as `find_sources` does.

    Raises:
        InputError: If an argument names nothing, or no image.
    """
    found = (_find(argument, None) for argument in arguments)
    files = list(dict.fromkeys(file for each in found for file in each.files))
    images = [file for file in files if not _is_video(file)]
    if not images:
        raise InputError(f"there is no image in {', '.join(arguments)} to take a style from")
    return images


def tell_apart(paths: Sequence[PurePath]) -> list[str]:
    """Name files so that no two names are equal, not even where case does not count.

    A file is called by its stem; by its whole name if it is a video, or if another's name is
    equal; and where only the case differs, by a number more. The folders stay. Names that would be
    too long for a file once a style is added are cut.
    """
    stems = [_cut(path if _is_video(path) else path.with_suffix("")) for path in paths]
    whole = [_cut(path) for path in paths]
    names = stems
    while names != (longer := _lengthened(names, whole)):  # a whole name may be another's stem
        names = longer
    counts = Counter(map(_key, names))
    taken = {key for key, count in counts.items() if count == 1}
    for i in sorted(range(len(names)), key=lambda i: whole[i]):
        name, number = names[i], 1
        if counts[_key(name)] > 1:
            while _key(name) in taken:
                number += 1
                name = f"{names[i]}-{number}"
            taken.add(_key(name))
            names[i] = name
    return names


def _cut(path: PurePath) -> str:
    name = os.fsencode(path.name)
    if len(name) <= _LONGEST:
        return path.as_posix()
    return path.with_name(name[:_LONGEST].decode(errors="ignore") or "image").as_posix()


def _lengthened(names: list[str], whole: list[str]) -> list[str]:
    counts = Counter(map(_key, names))
    return [
        longer if counts[_key(name)] > 1 else name
        for name, longer in zip(names, whole, strict=True)
    ]


def _key(name: str) -> str:
    """Return what a file system that forgets case and spelling of accents knows a name by."""
    return unicodedata.normalize("NFC", name).casefold()


def _find(argument: str, out: Path | None) -> _Found:
    path = _absolute(Path(argument))
    if path.is_dir():
        return _Found(path, list(_outside(_search(path), path, out)), searched=True)
    if path.exists():
        return _Found(path.parent, [path], searched=False)
    if not glob.has_magic(argument):
        raise InputError(f"there is no file or folder {argument}")
    root = next(parent for parent in path.parents if not glob.has_magic(str(parent)))
    matches = sorted(map(Path, glob.glob(str(path), recursive=True)))
    files = list(_outside((match for match in matches if match.is_file()), root, out))
    if not files:
        raise InputError(f"no file fits the pattern {argument}")
    return _Found(root, files, searched=True)


def _search(folder: Path) -> list[Path]:
    try:
        images = list_images(folder)
    except ValueError:  # none in it, but there may be videos, broken images, or other arguments
        images = []
    except OSError as error:
        raise InputError(f"cannot search {folder}: {error.strerror}") from error
    # Also what is an image by its name alone: it will be reported, and not skipped in silence.
    named = {
        path
        for path in folder.rglob("*")
        if (_is_video(path) or path.suffix.lower() in _image_endings())
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    return sorted({*images, *named}, key=lambda path: path.relative_to(folder).as_posix())


@cache
def _image_endings() -> frozenset[str]:
    known = Image.registered_extensions().items()
    return frozenset(ending for ending, name in known if name in FORMATS)


def _outside(files: Iterator[Path] | list[Path], root: Path, out: Path | None) -> Iterator[Path]:
    """Pass over files in ``out``, unless that is where the search was sent to."""
    if out is None or root.is_relative_to(out):
        return iter(files)
    return (file for file in files if not file.is_relative_to(out))


def _is_video(path: PurePath) -> bool:
    return path.suffix.lower() in VIDEOS


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # links stay: their names are what the user knows
