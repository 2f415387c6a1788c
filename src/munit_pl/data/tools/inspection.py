"""A domain's images decoded before a run, to report their sizes, kinds and faults."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from munit_pl.data.huggingface.rows import Row, Rows
from munit_pl.data.images.bit_depth import FULL, find_max_value
from munit_pl.data.images.contrast import BLANK
from munit_pl.data.images.opening import ImageFile
from munit_pl.data.isolated_processes import TOO_MUCH, run_all
from munit_pl.data.listing import scan_folder
from munit_pl.data.sizes import fitted_size, format_size, is_too_long
from munit_pl.data.tools.check_journal import CheckJournal
from munit_pl.data.tools.decoded_image import DecodedImage, look_at

NEARLY_BLANK = 16  # gray levels


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
    """What lies in a folder, or in a column of a data set.

    Attributes:
        split: What it is for, "train" or "test".
        domain: "a" or "b"; "" where each file holds both.
        source: The folder, or what the column is called.
        unusable: Why no run can use it at all; None if one can.
        decoded: The images that could be decoded.
        bad: Those that cannot be used, each with what is wrong: path and reason make a sentence.
            Some could be decoded, but do not fit the settings.
        fatal: Those of the bad ones that ended the process that read them, or took it too much
            memory or time; a run's may go the same way.
        ignored: Other files, by ending.
        max_value: What was taken for white in 16-bit gray files.
    """

    split: str
    domain: str
    source: Path | str
    unusable: str | None = None
    decoded: dict[ImageFile, DecodedImage] = field(default_factory=dict)
    bad: dict[ImageFile, str] = field(default_factory=dict)
    fatal: list[ImageFile] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    max_value: int = FULL

    @property
    def name(self) -> str:
        """The setting that names the folder, such as "train_a"."""
        return f"{self.split}_{self.domain}" if self.domain else self.split

    @property
    def files(self) -> set[ImageFile]:
        """The files that were meant to be images."""
        return self.decoded.keys() | self.bad.keys()

    @property
    def usable(self) -> list[ImageFile]:
        """The images that a run uses."""
        # Only training images are drawn from until a crop shows something.
        skipped = {*self.bad, *(self.blank if self.split == "train" else ())}
        return [path for path in self.decoded if path not in skipped]

    def having(self, what: Callable[[DecodedImage], bool]) -> list[ImageFile]:
        """Return the decoded images of which something is true."""
        return [path for path, picture in self.decoded.items() if what(picture)]

    @property
    def blank(self) -> list[ImageFile]:
        """Images of one color."""
        return self.having(lambda picture: picture.levels < BLANK)

    @property
    def nearly_blank(self) -> list[ImageFile]:
        """Images of nearly one color."""
        return self.having(lambda picture: BLANK <= picture.levels < NEARLY_BLANK)

    @property
    def long(self) -> list[ImageFile]:
        """Images of which one side is more than ``MAX_ASPECT`` times the other."""
        return self.having(lambda picture: is_too_long(picture.size))

    @property
    def sixteen_bit(self) -> dict[ImageFile, int]:
        """The largest value of each 16-bit gray file."""
        return {p: pic.largest for p, pic in self.decoded.items() if pic.largest is not None}

    @property
    def too_bright(self) -> list[ImageFile]:
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
    def duplicates(self) -> list[list[ImageFile]]:
        """Images that are the same as others in the folder, together."""
        groups: dict[str, list[ImageFile]] = {}
        for path, picture in self.decoded.items():
            groups.setdefault(picture.digest, []).append(path)
        return [group for group in groups.values() if len(group) > 1]


def inspect_images(
    split: str,
    domain: str,
    source: Path | Rows,
    use: ImageSettings,
    workers: int = 0,
    show: bool = False,
    max_value: int | None = None,
    journal: CheckJournal | None = None,
) -> Inspection:
    """Decode all images of a folder, or of rows, and tell what they are; nothing there stops that.

    Args:
        split: "train" or "test".
        domain: "a" or "b"; "" where each file holds both.
        source: The folder, or the rows.
        use: How a run would use the images.
        workers: Processes that decode; with 0 it is this one, which a crashing decoder ends.
        show: Whether a bar shows the progress, on a terminal.
        max_value: What is white in 16-bit gray files; None finds out, as for training images.
        journal: Tells what is known already, and is told what is found.
    """
    images: Sequence[ImageFile]
    if isinstance(source, Rows):
        found, images = Inspection(split, domain, source.column.title), source
    else:
        found = Inspection(split, domain, source)
        try:
            images, listed_bad, found.ignored = scan_folder(source)
        except (OSError, ValueError) as error:
            found.unusable = " ".join(str(error).split())
            return found
        found.bad.update(listed_bad.items())
    found.max_value = max_value or find_max_value(images, workers)
    # With the fields' names: what an earlier version noted has others, and is looked at anew.
    how = use.halves, found.max_value, *DecodedImage._fields
    known = journal.known(images, *how) if journal else {}
    unknown = [place for place, image in enumerate(images) if image not in known]
    # Processes get the images once, and then their places: a row alone would carry its table.
    look = partial(_look_at_place, images=images, halves=use.halves, max_value=found.max_value)
    looks = run_all(look, unknown, workers)
    for image in tqdm(
        images, found.name, unit="image", leave=False, disable=None if show else True
    ):
        told = known[image] if image in known else next(looks)
        if journal and image not in known:
            journal.add(image, told, *how)
        _note(found, image, told, use)
    return found


def _look_at_place(
    place: int, images: Sequence[ImageFile], halves: bool, max_value: int
) -> DecodedImage | str | None:
    return look_at(images[place], halves, max_value)


def _note(found: Inspection, image: ImageFile, told: object, use: ImageSettings) -> None:
    """Note what was told of an image, by `look_at` or by a journal."""
    decoded = DecodedImage.from_plain(told) if isinstance(told, list) else told
    if isinstance(decoded, DecodedImage):
        found.decoded[image] = decoded
        if fault := use.fault(decoded.size):
            found.bad[image] = fault
    else:
        found.bad[image] = str(told or TOO_MUCH)
        if told is None:
            found.fatal.append(image)


def match_pairs(a: Inspection, b: Inspection, use: ImageSettings) -> None:
    """Note which images of two columns, pairs in each row, cannot be used because of the other.

    Args:
        a: What was found of domain a.
        b: Of domain b.
        use: How a run would use the images.
    """
    there = {row.index: row for row in b.files if isinstance(row, Row)}
    for row in a.files:
        if not isinstance(row, Row) or row.index not in there:
            continue
        partner = there[row.index]
        fault, other = a.bad.get(row), b.bad.get(partner)
        if fault is None and other is None:
            sizes = a.decoded[row].size, b.decoded[partner].size
            first, second = (fitted_size(size, use.resize, use.crop) for size in sizes)
            if first != second:
                shapes = "is resized to {}, and its partner to {}: make them of one shape"
                a.bad[row] = shapes.format(format_size(first), format_size(second))
                b.bad[partner] = shapes.format(format_size(second), format_size(first))
        elif fault is None:
            a.bad[row] = f"has a partner that {other}"
        elif other is None:
            b.bad[partner] = f"has a partner that {fault}"
