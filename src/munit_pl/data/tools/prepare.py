"""A data set's resized copy, which is read many times as fast as large originals."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from munit_pl.data.isolated_processes import TOO_MUCH, run_all
from munit_pl.data.listing import scan_folder
from munit_pl.data.tools.copy_image import CopySettings, resized_copy
from munit_pl.io.files import whole_file, write_whole, writer_of
from munit_pl.io.regular_files import open_regular

NOTE = "prepared.json"  # in each copy: what it was made of, and how

_UNFINISHED = ".unfinished"


@dataclass
class Prepared:
    """What came of a copy.

    Attributes:
        images: How many images it holds.
        made: How many of them were written now; the others were there.
        bad: Files that were left out, by their paths below the original, each with what is wrong.
        on_white: How many images lost their transparency, which JPEG has not.
    """

    images: int = 0
    made: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    on_white: int = 0


class _Outcome(NamedTuple):
    fault: str = ""  # of the file that was read
    failure: str = ""  # of the disk that was to be written to
    made: bool = True
    on_white: bool = False


def prepare(
    root: Path,
    out: Path,
    settings: CopySettings | None = None,
    workers: int = 0,
    show: bool = False,
) -> Prepared:
    """Copy all images below a folder into another, upright, resized, in the same folders.

    The copy is made in a folder beside ``out``, which takes its name once it is complete. What was
    interrupted goes on where it was if the same is asked for again; so does a complete copy whose
    original has new or changed files. Images that are what they should be already are copied byte
    by byte. Of the others colors are converted to sRGB and metadata left out. 16-bit gray keeps its
    values, for a run to tell what white is, and becomes PNG, as JPEG has 8 bits.

    Args:
        root: What holds the folders of images, such as trainA and trainB.
        out: Where the copy goes: no such folder yet, an empty one, or an earlier copy.
        settings: How; JPEGs of 256 pixels unless given.
        workers: Processes that work; 0 is this one.
        show: Whether a bar shows the progress, on a terminal.

    Raises:
        FileNotFoundError: There is no such ``root``.
        ValueError: ``out`` holds something else or lies in ``root``, there is no image that can be
            used, two would get the same name, or an earlier copy has images that the original has
            no more.
        OSError: ``out`` cannot be written.
    """
    settings = settings or CopySettings()
    copy = _unfinished(root, out, settings)
    images, bad = _images(root)
    names = _names([path.relative_to(root) for path in images], f".{settings.format}")
    jobs = [(path, copy / name) for path, name in zip(images, names, strict=True)]
    _check_strays(copy, {name for _, target in jobs for name in _names_of(target)})
    found = Prepared(bad={str(path.relative_to(root)): fault for path, fault in bad.items()})
    outcomes = run_all(partial(_prepare, settings=settings), jobs, workers)
    hidden = None if show else True
    bar = tqdm(outcomes, "prepare", len(jobs), unit="image", leave=False, disable=hidden)
    for (path, target), outcome in zip(jobs, bar, strict=True):
        outcome = outcome or _Outcome(TOO_MUCH)
        if outcome.failure:
            raise OSError(f"cannot write {str(target)!r}: {outcome.failure}")
        if outcome.fault:
            for name in _names_of(target):
                name.unlink(missing_ok=True)  # of a file that was sound before
            found.bad[str(path.relative_to(root))] = outcome.fault
            continue
        found.images += 1
        found.made += outcome.made
        found.on_white += outcome.on_white
    if not found.images:
        raise ValueError(f"none of the {len(images)} images in {str(root)!r} can be used")
    _finish(copy, out, _note(root, settings) | {"images": found.images, "skipped": found.bad})
    return found


def _unfinished(root: Path, out: Path, settings: CopySettings) -> Path:
    """Return the folder that the copy is made in: a new one, or what an earlier call left."""
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {str(root)!r}")
    if out.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{str(out)!r} lies in {str(root)!r}: name a folder elsewhere")
    if not out.resolve().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(out.resolve().parent)!r}")
    copy = out.with_name(out.name + _UNFINISHED)
    for folder in (out, copy):
        _check_own(folder, _note(root, settings))
    if out.exists():
        if copy.exists():
            raise ValueError(f"there are {str(out)!r} and {str(copy)!r}: remove one of them")
        if any(out.iterdir()):
            out.rename(copy)
        else:
            out.rmdir()
    copy.mkdir(exist_ok=True)
    _write_note(copy, _note(root, settings))
    return copy


def _check_own(folder: Path, note: dict[str, object]) -> None:
    """Refuse a folder that holds something else than a copy as it is asked for."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        with open_regular(folder / NOTE) as file:
            there = json.load(file)
        differing = [name for name in note if there.get(name) != note[name]]
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{str(folder)!r} is there already, and no copy that was prepared: name another folder"
        ) from error
    if differing:
        told = ", ".join(f"{name} {there.get(name)!r}" for name in differing)
        raise ValueError(
            f"{str(folder)!r} was prepared in another way ({told}): name another folder"
        )


def _note(root: Path, settings: CopySettings) -> dict[str, object]:
    return {"root": str(root.resolve()), **settings._asdict()}


def _write_note(folder: Path, note: dict[str, object]) -> None:
    write_whole(folder / NOTE, json.dumps(note, indent=1) + "\n")


def _images(root: Path) -> tuple[list[Path], dict[Path, str]]:
    """Find all images below a folder, in links to folders there too, as a run reads those."""
    linked = [path for path in sorted(root.iterdir()) if path.is_symlink() and path.is_dir()]
    images: list[Path] = []
    bad: dict[Path, str] = {}
    error = None
    for folder in (root, *(path for path in linked if not path.name.startswith("."))):
        try:
            found = scan_folder(folder)
        except ValueError as none_there:
            error = error or none_there
            continue
        images += found.images
        bad |= found.bad
    if not images:
        raise error or ValueError(f"no image in {str(root)!r}")
    return images, bad


def _names(paths: Sequence[Path], ending: str) -> Iterator[Path]:
    """Yield the copies' paths: other endings, or longer names where files differ in these only."""
    wanted = Counter(path.with_suffix(ending) for path in paths)
    names = [
        path.with_suffix(ending)
        if wanted[path.with_suffix(ending)] == 1
        else path.with_name(path.name + ending)
        for path in paths
    ]
    path, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{count} images would be called {str(path)!r}: rename all but one")
    return iter(names)


def _names_of(target: Path) -> set[Path]:
    """Return what a copy may be called: that of 16-bit gray is a PNG always."""
    return {target, target.with_suffix(".png")}


def _check_strays(copy: Path, targets: set[Path]) -> None:
    strays = [path for path in copy.rglob("*") if path.is_file() and path not in targets]
    strays = [path for path in strays if path.name != NOTE and writer_of(path) is None]
    if strays:
        raise ValueError(
            f"{str(copy)!r} holds {len(strays)} files that the original has no more, such as "
            f"{str(strays[0].relative_to(copy))!r}: remove them, or all of the copy"
        )


def _prepare(job: tuple[Path, Path], settings: CopySettings) -> _Outcome:
    """Copy one image; tell what is wrong with it, or with where it goes."""
    path, target = job
    try:
        changed = path.stat().st_mtime_ns
        if any(name.exists() and _is_of(name, changed) for name in _names_of(target)):
            return _Outcome(made=False)
        picture, on_white, ending = resized_copy(path, settings)
    except Exception as error:  # of any kind: the other images are copied all the same
        cause = " ".join(str(error).split()) or type(error).__name__
        return _Outcome(fault=cause)
    target = target.with_suffix(f".{ending}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as unfinished:
            if picture is None:
                shutil.copyfile(path, unfinished)
            elif ending == "jpg":
                picture.save(unfinished, "JPEG", quality=95, subsampling=0)
            else:
                picture.save(unfinished, "PNG")
            os.utime(unfinished, ns=(changed, changed))  # so that a file that changes is known
        for name in _names_of(target) - {target}:
            name.unlink(missing_ok=True)  # of a file that was of other bits before
    except OSError as error:
        return _Outcome(failure=error.strerror or str(error))
    return _Outcome(on_white=on_white)


def _is_of(target: Path, changed: int) -> bool:
    """Return whether a copy is of a file as it was changed last; a lost power supply empties it."""
    status = target.stat()
    return status.st_mtime_ns == changed and status.st_size > 0


def _finish(copy: Path, out: Path, note: dict[str, object]) -> None:
    """Give a copy its name, now that it is complete."""
    for path in copy.rglob(".*"):
        if writer_of(path) is not None:  # it was killed
            path.unlink()
    _write_note(copy, note)
    copy.rename(out)
