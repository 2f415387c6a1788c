"""What the folders of a data set mean for a run: what stops it, what it skips, what to know."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from munit_pl.data.file_identity import overlap
from munit_pl.data.images.bit_depth import white_above
from munit_pl.data.images.opening import ImageFile
from munit_pl.data.skipped_files import BadFile, SkippedFiles
from munit_pl.data.tools.inspection import ImageSettings, Inspection

_SMALLEST = 64  # pixels, which discriminators of three scales see something of


class Assessment(NamedTuple):
    """What was found, a line each.

    Attributes:
        stops: A run would end, before training or in it; each line says what to do.
        skips: A run goes on without these.
        notes: Good to know.
    """

    stops: list[str]
    skips: list[str]
    notes: list[str]


def assess(inspections: Sequence[Inspection], max_bad_fraction: float = 0.01) -> Assessment:
    """Tell what stops a run on these folders, what it skips, and what else to know.

    Args:
        inspections: Of all folders that a run would read.
        max_bad_fraction: Share of a domain's images that may be unusable, in [0, 1].
    """
    assessment = Assessment([], [], [])
    for found in inspections:
        _assess_folder(found, assessment)
    for domain in dict.fromkeys(found.domain for found in inspections):
        folders = [found for found in inspections if found.domain == domain]
        _assess_domain(folders, assessment, max_bad_fraction)
    for one, other in combinations(inspections, 2):
        _assess_copies(one, other, assessment)
        if one.split == other.split:
            _assess_domains(one, other, assessment)
    return assessment


def advise(inspections: Sequence[Inspection], use: ImageSettings) -> list[str]:
    """Tell how to train on images of which at least half are smaller than a run would have them.

    Args:
        inspections: Of all folders that a run would read.
        use: How it would use the images.
    """
    wanted = min(use.crop) if use.resize is None else use.resize
    sides = sorted(side for found in inspections for side in found.shortest_sides)
    median = sides[len(sides) // 2] if sides else wanted
    side = max(_SMALLEST, median // 16 * 16)
    if side >= wanted:
        return []
    how = "too small" if use.resize is None else f"enlarged to {wanted}"
    return [
        f"half of the images have a shortest side of at most {median} pixels and are {how}: to "
        f"train near their own size, in less time, give a long run data.resize={side} "
        f"data.crop={side}"
    ]


def shared(one: Inspection, other: Inspection) -> list[tuple[ImageFile, ImageFile]]:
    """Return the images of one folder that another holds too, pixel for pixel, with one there."""
    there = {picture.digest: path for path, picture in other.decoded.items()}
    return [
        (path, there[picture.digest])
        for path, picture in one.decoded.items()
        if picture.digest in there
    ]


def _assess_folder(found: Inspection, assessment: Assessment) -> None:
    if found.unusable is not None:
        assessment.stops.append(f"{found.name}: {found.unusable}")
        return
    if found.fatal:
        assessment.stops.append(
            f"{found.name}: {_images(len(found.fatal))} that may end the run: repair or remove"
        )
    if not found.usable:
        assessment.stops.append(f"{found.name}: none of its {len(found.files)} images can be used")
        return
    if found.bad:
        assessment.skips.append(
            f"{found.name}: {len(found.bad)} of {_images(len(found.files))} that cannot be used"
        )
    if blank := len(found.files) - len(found.bad) - len(found.usable):
        assessment.skips.append(f"{found.name}: {_images(blank)} of one color")
    if copies := sum(len(group) - 1 for group in found.duplicates):
        assessment.notes.append(f"{found.name}: exact copies of other images there: {copies}")
    _assess_range(found, assessment)


def _assess_range(found: Inspection, assessment: Assessment) -> None:
    if not found.sixteen_bit:
        return
    largest = max(found.sixteen_bit.values())
    assessment.notes.append(
        f"{found.name}: {_images(len(found.sixteen_bit))} of 16-bit gray, with values up to "
        f"{largest}, of {max(largest, 1).bit_length()} bits: a run takes {found.max_value} for "
        f"white, as {_setting(found.domain, found.max_value)} does"
    )
    if found.too_bright:
        assessment.notes.append(
            f"{found.name}: {_images(len(found.too_bright))} with values above {found.max_value}, "
            f"which become white: give {_setting(found.domain, white_above(largest))}"
        )


def _setting(domain: str, max_value: int) -> str:
    return " ".join(f"data.max_value_{name}={max_value}" for name in domain or "ab")


def _assess_domain(
    folders: Sequence[Inspection], assessment: Assessment, max_bad_fraction: float
) -> None:
    """Count bad files as a run does: those of training and test together."""
    names = " and ".join(found.name for found in folders)
    total = len(set().union(*(found.files for found in folders)))
    skipped = SkippedFiles({names: total}, max_bad_fraction)
    for found in folders:
        skipped.add(BadFile(str(path), names, reason) for path, reason in found.bad.items())
    if skipped.stop_reason:
        assessment.stops.append(
            f"{names}: {skipped.count} of {_images(total)} cannot be used, which is "
            f"{skipped.count / total:.1%}, and data.max_bad_fraction={skipped.max_fraction:g} "
            f"allows {skipped.max_fraction:.0%}: repair or remove them, or raise "
            "data.max_bad_fraction"
        )


def _assess_copies(one: Inspection, other: Inspection, assessment: Assessment) -> None:
    names, files = f"{one.name} and {other.name}", (list(one.decoded), list(other.decoded))
    same = overlap(*files).same
    if same and one.split == other.split:
        assessment.stops.append(
            f"{names} are the same files: name two folders of different images, or set "
            "data.allow_same_domain=true"
        )
    elif same and one.domain == other.domain and files[0] != files[1]:
        assessment.stops.append(
            f"{names} are the same files: name a folder of other images for the test, or none"
        )
    elif pairs := shared(one, other):
        tested = "" if one.split == other.split else ", so tests tell less than they seem to"
        assessment.notes.append(f"{names} share {_images(len(pairs))}, pixel for pixel{tested}")


def _assess_domains(a: Inspection, b: Inspection, assessment: Assessment) -> None:
    """Compare the two domains of a split."""
    names = f"{a.name} and {b.name}"
    smaller, larger = sorted((a, b), key=lambda found: len(found.usable))
    if a.split == "train" and 0 < len(smaller.usable) < len(larger.usable):
        ratio = len(larger.usable) / len(smaller.usable)
        assessment.notes.append(
            f"{names} have {len(a.usable)} and {_images(len(b.usable))}: in an epoch, a pass over "
            f"the larger domain, each of {smaller.name} is seen {ratio:.3g} times"
        )
    if common := len(_names(a) & _names(b)):
        assessment.notes.append(
            f"{names} have {common} file names in common, which is fine: names never pair images"
        )


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _names(found: Inspection) -> set[Path]:
    return {path.relative_to(found.source) for path in found.decoded if isinstance(path, Path)}


def as_values(inspections: Sequence[Inspection], assessment: Assessment) -> Mapping[str, object]:
    """Return all that was found as values for JSON; paths are text, with surrogates for bytes."""
    return {
        **assessment._asdict(),
        "folders": {found.name: _values(found) for found in inspections},
        "shared": {
            f"{one.name} {other.name}": [
                [str(path) for path in pair] for pair in shared(one, other)
            ]
            for one, other in combinations(inspections, 2)
        },
    }


def _values(found: Inspection) -> Mapping[str, object]:
    lists = {
        "blank": found.blank,
        "nearly_blank": found.nearly_blank,
        "longer_than_8_to_1": found.long,
        "rotated_by_exif": found.having(lambda picture: picture.rotated),
        "transparent": found.having(lambda picture: picture.transparent),
        "several_frames": found.having(lambda picture: picture.frames),
    }
    return {
        "folder": str(found.source),
        "trouble": found.unusable,
        "images": len(found.files),
        "sizes": {str(path): picture.size for path, picture in found.decoded.items()},
        "kinds": found.kinds,
        "bad": {str(path): reason for path, reason in found.bad.items()},
        "ignored": found.ignored,
        "max_value": found.max_value,
        "largest_of_16_bits": {str(path): value for path, value in found.sixteen_bit.items()},
        "duplicates": [[str(path) for path in group] for group in found.duplicates],
        **{name: [str(path) for path in paths] for name, paths in lists.items()},
    }
