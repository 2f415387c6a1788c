"""How published archives are laid out, and how the two domains' folders are made of them."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from munit_pl.data.images.reading import read_image
from munit_pl.data.isolated_processes import TOO_MUCH, run_all
from munit_pl.data.listing import list_images, scan_folder
from munit_pl.data.tools.catalogue import Layout
from munit_pl.io.files import whole_folder

FOLDERS = ("trainA", "trainB", "testA", "testB")

_HELD_OUT = 20  # of a set without a test split, one image in so many
_DEPTH = 3  # folders within each other that a layout may begin in

Plan = dict[str, list[tuple[Path, Path]]]
"""For each of ``FOLDERS``: files, each with its path there."""


class _Job(NamedTuple):
    source: Path
    target: Path
    domain: str  # A or B


@dataclass
class Arranged:
    """What came of a data set: images in each of ``FOLDERS``, and files that were left out.

    Attributes:
        counts: How many images each folder has.
        bad: Files that could not be used, each with what is wrong.
    """

    counts: dict[str, int] = field(default_factory=dict)
    bad: dict[Path, str] = field(default_factory=dict)


def plan(source: Path, layout: Layout, classes: Sequence[str] = ()) -> Plan:
    """Tell which files of an unpacked archive go where.

    Of ``pairs``, half of the training files give domain a and the other half domain b, so that no
    image's counterpart is ever trained on. Which half a file is in follows from its name's
    SHA-256: neighbors may be of one kind, such as boots, and the halves must not differ in kind.

    Args:
        source: A folder that holds the archive's content, or holds folders that do.
        layout: Of the archive.
        classes: For ``classes``: the folders that are domain a and b.

    Raises:
        ValueError: It is not laid out so, or there are too few images.
        OSError: A folder cannot be read.
    """
    if layout == "folders":
        found = _folders(source)
    elif layout == "pairs":
        found = _pairs(source)
    elif layout == "classes":
        found = _classes(source, *classes)
    else:
        found = _cityscapes(source) if layout == "cityscapes" else _synthia2cityscape(source)
    for name, files in found.items():
        if not files:
            raise ValueError(f"there are too few images in {str(source)!r} for {name}")
    return found


def _folders(source: Path) -> Plan:
    root = _find(source, "trainA", "trainB")
    return {name: _images(root / name) for name in FOLDERS if (root / name).is_dir()}


def _pairs(source: Path) -> Plan:
    root = _find(source, "train", "val")
    train = sorted(_images(root / "train"), key=lambda file: _hash(file[1]))
    test = _images(root / "val")
    half = len(train) // 2
    return {"trainA": train[:half], "trainB": train[half:], "testA": test, "testB": test}


def _hash(path: Path) -> bytes:
    return hashlib.sha256(path.as_posix().encode(errors="surrogateescape")).digest()


def _classes(source: Path, a: str, b: str) -> Plan:
    root = _find(source, f"train/{a}", f"train/{b}")
    test = "val" if (root / "val").is_dir() else "test"
    parts = [f"train/{a}", f"train/{b}", f"{test}/{a}", f"{test}/{b}"]
    return {name: _images(root / part) for name, part in zip(FOLDERS, parts, strict=True)}


def _cityscapes(source: Path) -> Plan:
    root = _find(source, "leftImg8bit/train", "gtFine/train")
    found: Plan = {}
    for split, of in (("train", "train"), ("test", "val")):
        found[f"{split}A"] = _images(root / "leftImg8bit" / of)
        labels = _images(root / "gtFine" / of)
        found[f"{split}B"] = [file for file in labels if file[0].stem.endswith("_gtFine_color")]
    return found


def _synthia2cityscape(source: Path) -> Plan:
    real = _find(source, "leftImg8bit/train") / "leftImg8bit"
    color = sorted(path for path in source.rglob("RGB") if path.is_dir())
    if not color:
        raise ValueError(f"{str(source)!r} holds no folder RGB, as SYNTHIA's images lie in")
    drawn = [(path, path.relative_to(source)) for rgb in color for path in list_images(rgb)]
    kept = len(drawn) - max(1, len(drawn) // _HELD_OUT)  # frames of other sequences, if there are
    train, test = drawn[:kept], drawn[kept:]
    lists = [train, _images(real / "train"), test, _images(real / "val")]
    return dict(zip(FOLDERS, lists, strict=True))


def _find(source: Path, *names: str) -> Path:
    """Return the folder, ``source`` or one below it, that holds folders of these names."""
    for folder in _candidates(source):
        if all((folder / name).is_dir() for name in names):
            return folder
    raise ValueError(f"{str(source)!r} does not hold the folders {' and '.join(names)}")


def _candidates(source: Path) -> Iterator[Path]:
    level = [source]
    for _ in range(_DEPTH):
        yield from level
        below = [path for folder in level for path in sorted(folder.iterdir()) if path.is_dir()]
        level = [path for path in below if not path.name.startswith((".", "__MACOSX"))]


def _images(folder: Path) -> list[tuple[Path, Path]]:
    """List what is meant to be an image: `munit-data check` tells of what is none."""
    found = scan_folder(folder)
    files = [*found.images, *(path for path in found.bad if path.is_file())]
    return [(path, path.relative_to(folder)) for path in files]


def arrange(
    planned: Plan,
    out: Path,
    halves: bool = False,
    move: bool = False,
    workers: int = 0,
    show: bool = False,
) -> Arranged:
    """Make the two domains' folders, or leave nothing behind.

    Args:
        planned: Which files go where.
        out: Where the folders go: no such folder yet, or an empty one.
        halves: Whether each file shows domain a in its left half and domain b in its right one:
            the halves become PNGs, which lose nothing.
        move: Whether the files need not stay where they are. Otherwise they are linked, so that
            they take no room, or copied to another disk.
        workers: Processes that cut the halves; 0 is this one.
        show: Whether a bar shows the progress, on a terminal.

    Raises:
        ValueError: Of one of the folders no file can be used.
        OSError: ``out`` cannot be written.
    """
    done = Arranged(dict.fromkeys(planned, 0))
    with whole_folder(out) as fresh:
        jobs = list(_jobs(planned, fresh, halves))
        for parent in {job.target.parent for job in jobs}:
            parent.mkdir(parents=True, exist_ok=True)
        faults = run_all(_halve, jobs, workers) if halves else (_place(job, move) for job in jobs)
        hidden = None if show else True
        bar = tqdm(faults, "arrange", len(jobs), unit="image", leave=False, disable=hidden)
        for job, fault in zip(jobs, bar, strict=True):
            if isinstance(fault, OSError):
                raise fault
            if fault == "":
                done.counts[job.target.relative_to(fresh).parts[0]] += 1
            else:
                done.bad[job.source] = fault or TOO_MUCH
        _check_domains(done)
    return done


def _jobs(planned: Plan, fresh: Path, halves: bool) -> Iterator[_Job]:
    for folder, files in planned.items():
        for path, name in files:
            target = fresh / folder / (name.with_suffix(".png") if halves else name)
            yield _Job(path, target, folder[-1])


def _halve(job: _Job) -> str | OSError:
    """Save the half of an image that is wanted.

    Returns:
        What is wrong with the image, "" if nothing; an error if the half cannot be written.
    """
    try:
        image = read_image(job.source, 3)
        if image.width % 2:
            raise ValueError(f"is {image.width} pixels wide, but two halves have an even width")
    except Exception as error:  # of any kind: the other images are cut all the same
        return " ".join(str(error).split()) or type(error).__name__
    left = 0 if job.domain == "A" else image.width // 2
    half = image.crop((left, 0, left + image.width // 2, image.height))
    try:
        with job.target.open("xb") as file:  # two files may differ in their endings only
            half.save(file, "PNG")
    except OSError as error:
        return OSError(f"cannot write {str(job.target)!r}: {error.strerror or error}")
    return ""


def _place(job: _Job, move: bool) -> str:
    """Bring a file to where it belongs, as it is; what is wrong with it is nobody's matter here."""
    if move:
        job.source.rename(job.target)
        return ""
    try:
        os.link(job.source.resolve(), job.target)
    except OSError:  # on another disk, or one that has no links
        shutil.copyfile(job.source, job.target)
    return ""


def _check_domains(done: Arranged) -> None:
    for folder, count in done.counts.items():
        if not count:
            path, fault = next(iter(done.bad.items()))
            raise ValueError(f"no image for {folder} can be used: {path.name!r} {fault}")
