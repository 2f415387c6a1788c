"""Which image replaces one that cannot be read, and how long a lost disk is waited for."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from munit_pl.data.cropping import BlankCrop
from munit_pl.data.domain import Domain, LoadedImage, SampleDomain
from munit_pl.data.file_identity import files_of
from munit_pl.data.skipped_files import BadFile, DataError, SkippedFiles, StopReason
from munit_pl.data.worker_processes import note_reading
from munit_pl.exits import ExitCode

MAX_ATTEMPTS = 100  # images tried for one sample
MAX_UNREADABLE = 10  # in a row that the system does not read, until the disk counts as lost
PATIENCE = 60.0  # seconds to wait for a lost disk


class UnreadableImage(Exception):
    """An image cannot be read, or not be used.

    Attributes:
        bad: The image's file.
        by_system: Whether the system could not read it, as when a disk is lost; else the file is
            at fault.
    """

    def __init__(self, bad: BadFile, by_system: bool) -> None:
        super().__init__(str(bad))
        self.bad = bad
        self.by_system = by_system


@dataclass(frozen=True)
class Candidate:
    """An image that may be read for a sample.

    Attributes:
        index: Which of its domain's.
        rng: Draws its crop and flip; None augments nothing.
    """

    index: int
    rng: torch.Generator | None = None


class Source(NamedTuple):
    """What one domain's part of a sample is read from.

    Attributes:
        domain: The domain.
        name: What it is called.
        candidates: The right image, then those that may replace it; iterated anew after each wait
            for a lost disk.
    """

    domain: SampleDomain
    name: str
    candidates: Iterable[Candidate]


class WithReplacement:
    """A domain in which the next image takes the place of one that cannot be read.

    Args:
        domain: The domain.
        name: What it is called.
        skipped: Notes the files that cannot be read, and says when they are too many.
    """

    def __init__(
        self, domain: SampleDomain, name: str, skipped: SkippedFiles | None = None
    ) -> None:
        self.domain = domain
        self.name = name
        self.skipped = skipped
        self.files = files_of(domain)

    def __len__(self) -> int:
        return len(self.domain)

    def load(self, index: int, rng: torch.Generator | None) -> Tensor:
        """Return an image, ``(C, H, W)`` in [-1, 1].

        Raises:
            DataError: As `first_readable` does, and where too many files cannot be read.
        """
        source = Source(self.domain, self.name, candidates_from(index, len(self.domain), rng))
        (image,), bad = first_readable([source], index)
        if self.skipped is not None:
            self.skipped.add(bad)
            if self.skipped.stop_reason:
                raise DataError(self.skipped.stop_reason)
        return image.x


def with_replacement(
    domains: tuple[Domain, Domain], skipped: SkippedFiles | None = None
) -> tuple[Domain, Domain]:
    """Return domains a and b, in which other images stand in for files that cannot be read.

    Args:
        domains: Both domains, of files or drawn.
        skipped: As of `WithReplacement`.
    """
    a, b = (
        WithReplacement(domain, name, skipped) if files_of(domain) else domain
        for name, domain in zip("ab", domains, strict=True)
    )
    return a, b


def candidates_from(index: int, n: int, rng: torch.Generator | None = None) -> list[Candidate]:
    """Return an image of ``n`` and those after it, as often around as it takes."""
    return [Candidate((index + attempt) % n, rng) for attempt in range(MAX_ATTEMPTS)]


def first_readable(
    sources: Sequence[Source], position: int
) -> tuple[list[LoadedImage], list[BadFile]]:
    """Read the first candidates of several domains that can be read together.

    If the system cannot read file after file, a disk may be away for a while. Then all begins anew,
    with the first candidates, so that the outcome is what it would have been with the disk there.

    Args:
        sources: The domains; a pair's image is replaced together with its partner.
        position: Of the sample, for messages.

    Returns:
        An image of each domain, and the files skipped before they were found.

    Raises:
        DataError: After ``MAX_ATTEMPTS``, or ``PATIENCE``.
    """
    skipped: list[BadFile] = []
    for pause in _pauses():
        if pause:
            time.sleep(pause)
        skipped = []
        unread = 0
        attempts = zip(*(source.candidates for source in sources), strict=False)
        for candidates in islice(attempts, MAX_ATTEMPTS):
            try:
                return [
                    read_candidate(source.domain, source.name, candidate, position)
                    for source, candidate in zip(sources, candidates, strict=True)
                ], skipped
            except UnreadableImage as error:
                skipped.append(error.bad)
                unread = unread + 1 if error.by_system else 0
            if unread == MAX_UNREADABLE:
                break
        else:
            raise DataError(_none_is_good(skipped[-1]))
    raise DataError(_disk_is_lost(skipped[-1]))


def read_candidate(
    domain: SampleDomain, name: str, candidate: Candidate, position: int
) -> LoadedImage:
    """Load an image of the domain called ``name``.

    Raises:
        UnreadableImage: If that cannot be done.
    """
    file = _name_of(domain, candidate.index)
    note_reading(file)
    try:
        image = domain.load(candidate.index, candidate.rng)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        bad = BadFile(file, name, reason, position, isinstance(error, BlankCrop))
        raise UnreadableImage(bad, _is_of_the_system(error)) from error
    finally:
        note_reading("")
    return image if isinstance(image, LoadedImage) else LoadedImage(image)


def _name_of(domain: SampleDomain, index: int) -> str:
    """Return the path of an image, or its number if its domain has no files."""
    files = getattr(domain, "files", None)
    return f"image {index}" if files is None else str(files[index])


def _pauses() -> Iterator[float]:
    """Return seconds to wait before each round: none, then twice as long each time."""
    yield 0.0
    pause, left = 1.0, PATIENCE
    while left > 0:
        yield min(pause, left)
        left -= pause
        pause *= 2


def _is_of_the_system(error: Exception) -> bool:
    """Return whether the system failed to read, as opposed to what was read being wrong."""
    if isinstance(error, FileNotFoundError | PermissionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno is not None


def _none_is_good(last: BadFile) -> StopReason:
    return StopReason(
        ExitCode.BAD_DATA,
        f"domain {last.domain}: {MAX_ATTEMPTS} images in a row cannot be used: repair or remove "
        f"them; the last: {last}",
    )


def _disk_is_lost(last: BadFile) -> StopReason:
    return StopReason(
        ExitCode.DATA_LOST,
        f"domain {last.domain}: no image can be read any more, after {PATIENCE:g} seconds of "
        f"waiting: see whether the disk is there, and start the run again; the last: {last}",
    )
