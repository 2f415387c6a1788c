"""A folder's images decoded before a run, to report their sizes, kinds and faults."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from munit_pl.data.images.bit_depth import FULL, find_max_value, largest_value
from munit_pl.data.images.contrast import BLANK, levels
from munit_pl.data.images.opening import open_image, orientation
from munit_pl.data.images.reading import read_image
from munit_pl.data.isolated_processes import TOO_MUCH, run_all
from munit_pl.data.listing import scan_folder
from munit_pl.data.sizes import fitted_size, is_too_long
from munit_pl.data.tools.check_journal import CheckJournal

NEARLY_BLANK = 16  # gray levels


class DecodedImage(NamedTuple):
    """What is known of an image that was decoded.

    Attributes:
        size: Upright height and width, in pixels; of a half, where a file holds two images.
        kind: Format and Pillow's mode, such as "JPEG RGB" or "PNG I;16".
        rotated: Whether EXIF says to turn or mirror it.
        transparent: Whether pixels may be transparent.
        frames: Whether there are more images in the file, of which only the first is used.
        levels: Gray levels between the darkest and the brightest pixel, 0 to 255, of the channel
            that has most; of the half that has fewer, where a file holds two images.
        digest: SHA-256 of the size and of the upright pixels, 8-bit RGB on white. What decodes to
            the same pixels is the same, whatever the format and the metadata.
        largest: The largest value in a 16-bit gray file; None of other kinds.
    """

    size: tuple[int, int]
    kind: str
    rotated: bool
    transparent: bool
    frames: bool
    levels: int
    digest: str
    largest: int | None = None

    @classmethod
    def from_plain(cls, values: Sequence[Any]) -> "DecodedImage":
        """Return what JSON made a list of."""
        size, *others = values
        return cls(tuple(size), *others)


class ImageSettings(NamedTuple):
    """How a run uses the images; the names are those of the data's settings.

    Attributes:
        resize: Pixels of the shortest side; None keeps the size.
        crop: Height and width.
        halves: Whether a file holds domain a in one half and domain b in the other.
    """

    resize: int | None = 256
    crop: tuple[int, int] = (256, 256)
    halves: bool = False

    def fault(self, size: tuple[int, int]) -> str | None:
        """Say why an image of a height and width cannot be used; None if it can."""
        try:
            fitted_size(size, self.resize, self.crop)
        except ValueError as error:
            return str(error)
        return None


@dataclass
class Inspection:
    """What lies in a folder.

    Attributes:
        split: What it is for, "train" or "test".
        domain: "a" or "b"; "" where each file holds both.
        folder: Where it is.
        unusable: Why no run can use it at all; None if one can.
        pictures: The images that could be decoded.
        bad: Those that cannot be used, each with what is wrong: path and reason make a sentence.
            Some could be decoded, but do not fit the settings.
        fatal: Those of the bad ones that ended the process that read them, or took it too much
            memory or time; a run's may go the same way.
        ignored: Other files, by ending.
        max_value: What was taken for white in 16-bit gray files.
    """

    split: str
    domain: str
    folder: Path
    unusable: str | None = None
    decoded: dict[Path, DecodedImage] = field(default_factory=dict)
    bad: dict[Path, str] = field(default_factory=dict)
    fatal: list[Path] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    max_value: int = FULL

    @property
    def name(self) -> str:
        """The setting that names the folder, such as "train_a"."""
        return f"{self.split}_{self.domain}" if self.domain else self.split

    @property
    def files(self) -> set[Path]:
        """The files that were meant to be images."""
        return self.decoded.keys() | self.bad.keys()

    @property
    def usable(self) -> list[Path]:
        """The files that are images which fit the settings."""
        return [path for path in self.decoded if path not in self.bad]

    def having(self, what: Callable[[DecodedImage], bool]) -> list[Path]:
        """Return the decoded images of which something is true."""
        return [path for path, picture in self.decoded.items() if what(picture)]

    @property
    def blank(self) -> list[Path]:
        """Images of one color."""
        return self.having(lambda picture: picture.levels < BLANK)

    @property
    def nearly_blank(self) -> list[Path]:
        """Images of nearly one color."""
        return self.having(lambda picture: BLANK <= picture.levels < NEARLY_BLANK)

    @property
    def long(self) -> list[Path]:
        """Images of which one side is more than ``MAX_ASPECT`` times the other."""
        return self.having(lambda picture: is_too_long(picture.size))

    @property
    def sixteen_bit(self) -> dict[Path, int]:
        """The largest value of each 16-bit gray file."""
        return {p: pic.largest for p, pic in self.decoded.items() if pic.largest is not None}

    @property
    def too_bright(self) -> list[Path]:
        """16-bit gray files with values above what was taken for white."""
        return [path for path, largest in self.sixteen_bit.items() if largest > self.max_value]

    @property
    def kinds(self) -> Counter[str]:
        """How many images there are of each format and mode."""
        return Counter(picture.kind for picture in self.decoded.values())

    @property
    def shortest_sides(self) -> list[int]:
        """The images' shortest sides in pixels, in order of size."""
        return sorted(min(picture.size) for picture in self.decoded.values())

    @property
    def duplicates(self) -> list[list[Path]]:
        """Images that are the same as others in the folder, together."""
        groups: dict[str, list[Path]] = {}
        for path, picture in self.decoded.items():
            groups.setdefault(picture.digest, []).append(path)
        return [group for group in groups.values() if len(group) > 1]


def inspect_folder(
    split: str,
    domain: str,
    folder: Path,
    use: ImageSettings,
    workers: int = 0,
    show: bool = False,
    max_value: int | None = None,
    journal: CheckJournal | None = None,
) -> Inspection:
    """Decode all images of a folder and tell what lies there; nothing in it stops that.

    Args:
        split: "train" or "test".
        domain: "a" or "b"; "" where each file holds both.
        folder: Where it is.
        use: How a run would use the images.
        workers: Processes that decode; with 0 it is this one, which a crashing decoder ends.
        show: Whether a bar shows the progress, on a terminal.
        max_value: What is white in 16-bit gray files; None finds out, as for training images.
        journal: Tells what is known already, and is told what is found.
    """
    found = Inspection(split, domain, folder)
    try:
        images, listed_bad, found.ignored = scan_folder(folder)
    except (OSError, ValueError) as error:
        found.unusable = " ".join(str(error).split())
        return found
    found.bad |= listed_bad
    found.max_value = max_value or find_max_value(images, workers)
    how = use.halves, found.max_value
    known = journal.known(images, *how) if journal else {}
    look_at = partial(_look, halves=use.halves, max_value=found.max_value)
    looks = run_all(look_at, [path for path in images if path not in known], workers)
    hidden = None if show else True
    for path in tqdm(images, found.name, unit="image", leave=False, disable=hidden):
        look = known[path] if path in known else next(looks)
        if journal and path not in known:
            journal.add(path, look, *how)
        if isinstance(look, list):
            look = DecodedImage.from_plain(look)
        if isinstance(look, DecodedImage):
            found.decoded[path] = look
            if fault := use.fault(look.size):
                found.bad[path] = fault
        else:
            found.bad[path] = look or TOO_MUCH
            if look is None:
                found.fatal.append(path)
    return found


def inspect_image(path: Path, halves: bool = False, max_value: int = FULL) -> DecodedImage:
    """Decode an image and tell what it is.

    Args:
        path: The file.
        halves: Whether it holds two images of equal width side by side.
        max_value: What is white, if it is 16-bit gray.

    Raises:
        OSError: The file cannot be read or decoded.
        ValueError: It cannot be used: pixels of an unknown range, or an odd width of two halves.
    """
    image = read_image(path, 3, max_value=max_value)
    height, width = image.height, image.width
    parts = [image]
    if halves:
        if width % 2:
            raise ValueError(
                f"is {height}x{width} (height x width), but two halves have an even width"
            )
        width //= 2
        parts = [image.crop((left, 0, left + width, height)) for left in (0, width)]
    digest = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()
    least = min(map(levels, parts))
    return DecodedImage((height, width), *_header(path), least, digest, largest_value(path))


def _header(path: Path) -> tuple[str, bool, bool, bool]:
    """Return an image's kind, and whether it is rotated, transparent, of several frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken metadata, which nobody uses
        with open_image(path) as image:
            kind, transparent = f"{image.format} {image.mode}", image.has_transparency_data
            rotated, frames = 2 <= orientation(image) <= 8, False
            with suppress(Exception):  # of any kind, as the metadata's
                frames = getattr(image, "is_animated", False)  # without reading the second one
    return kind, rotated, transparent, frames


def _look(path: Path, halves: bool, max_value: int) -> DecodedImage | str | None:
    """Return what is known of an image, or what is wrong with it; None if memory runs out."""
    try:
        return inspect_image(path, halves, max_value)
    except Exception as error:  # of any kind: a report on many files does not end at one
        if isinstance(error.__cause__ or error, MemoryError):
            return None
        cause = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            cause = error.strerror
        for start in ("read", "use"):
            cause = cause.removeprefix(f"cannot {start} image {str(path)!r}: ")
        return cause if cause.startswith("is ") else f"cannot be used: {cause}"
