"""Which files a data set consists of: whether two share some, and whether they have changed."""

import hashlib
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lightning.pytorch.utilities import rank_zero_warn

from munit_pl.data.file_list import FileList
from munit_pl.data.huggingface.rows import Rows
from munit_pl.data.images.opening import ImageFile

_LOOKED_AT = 2000  # files of each of two lists


def files_of(domain: object) -> Sequence[Path] | Rows:
    """Return a domain's files or rows in use; none if it has neither."""
    files: Sequence[Path] | Rows = getattr(domain, "files", ())
    return files


class Overlap(NamedTuple):
    """How many files two lists share, links of both kinds followed.

    Attributes:
        shared: Files found in both.
        looked_at: Files of the shorter list that were looked for.
        same: Whether all that was looked at is shared, and the lists are of one length.
    """

    shared: int
    looked_at: int
    same: bool


def overlap(files: Sequence[ImageFile], others: Sequence[ImageFile]) -> Overlap:
    """Return what two lists of files share; of long ones, as far as evenly spread files tell."""
    here, there = _identities(files), _identities(others)
    shared, fewest = len(here & there), min(len(here), len(there))
    return Overlap(
        shared, fewest, 0 < len(here) == len(there) == shared and len(files) == len(others)
    )


def compare_files(
    files: Sequence[Path] | Rows,
    others: Sequence[Path] | Rows,
    which: str,
    remedy: str,
    by_name_too: bool = True,
) -> None:
    """Refuse two lists of the same images, and warn if they share some.

    Args:
        files: Paths of images, or rows.
        others: More.
        which: What both are, for messages: "the training images of domains a and b".
        remedy: What to do if they are the same.
        by_name_too: Whether lists of the same paths are meant; else they may be the same on
            purpose, and only images that have two names are.

    Raises:
        ValueError: If they are the same.
    """
    if not by_name_too and files == others:
        return
    found = overlap(files, others)
    if found.same:
        raise ValueError(
            f"{which} are the same files, such as {str(files[0])!r} and {str(others[0])!r}: "
            f"{remedy}"
        )
    if found.shared:
        rank_zero_warn(
            f"{which} share files: {found.shared} of the {found.looked_at} that were looked at"
        )


def _identities(files: Sequence[ImageFile]) -> set[Hashable]:
    step = max(1, -(-len(files) // _LOOKED_AT))
    found: set[Hashable] = set()
    for file in files[::step]:
        if not isinstance(file, Path):
            found.add(file)
            continue
        try:
            status = os.stat(file)
        except OSError:  # skipped when it is read
            continue
        found.add((status.st_dev, status.st_ino))
    return found


def fingerprint(files: Sequence[Path] | Rows, root: Path) -> str:
    """Return what tells lists of files apart: a hash of their paths below ``root``, in order."""
    if isinstance(files, Rows):
        return files.fingerprint()
    start, names = os.fsencode(os.path.join(root, "")), FileList.of(files).joined()
    below = names.removeprefix(start).replace(b"\0" + start, b"\0")
    return hashlib.blake2b(below[:-1], digest_size=16).hexdigest()


def warn_of_changes(
    then: Mapping[str, tuple[int, str]], now: Mapping[str, tuple[int, str]]
) -> None:
    """Warn if lists of images are not those of before.

    Args:
        then: For each list, by what it is called, how many files it had, and their `fingerprint`.
        now: Likewise.
    """
    for which, (count, names) in then.items():
        count_now, names_now = now.get(which, (0, ""))
        if count != count_now:
            rank_zero_warn(
                f"the {which} have changed since: {count} then, {count_now} now; which are read "
                "differs from here on"
            )
        elif names != names_now:
            rank_zero_warn(
                f"the {which} are others than before; which are read differs from here on"
            )
