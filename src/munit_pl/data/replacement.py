"""What stands in for an image that cannot be used, and for how long to wait for a lost disk."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from munit_pl.data.domain import Domain
from munit_pl.data.image_folder import BlankCrop
from munit_pl.data.skipped_files import BadFile, DataError, Trouble
from munit_pl.data.worker_processes import note_reading
from munit_pl.exits import ExitCode

MAX_ATTEMPTS = 100  # images tried for one sample
MAX_UNREADABLE = 10  # in a row that the system does not read, until the disk counts as lost
PATIENCE = 60.0  # seconds to wait for a lost disk

T = TypeVar("T")


class Unusable(Exception):
    """An image cannot be used.

    Attributes:
        bad: The image's file.
        unread: Whether the system could not read it, as when a disk is lost; else it is at fault.
    """

    def __init__(self, bad: BadFile, unread: bool) -> None:
        super().__init__(str(bad))
        self.bad = bad
        self.unread = unread


class Sample(NamedTuple):
    """What is read at a position.

    Attributes:
        x_a: An image of domain a, ``(C, H, W)`` in [-1, 1].
        x_b: One of domain b.
        passed_over: The files that could not be used, for which others stand in.
    """

    x_a: Tensor
    x_b: Tensor
    passed_over: list[BadFile]


class Usable:
    """A domain in which the next image stands in for one that cannot be used.

    Args:
        domain: The domain.
        name: What it is called.
    """

    def __init__(self, domain: Domain, name: str) -> None:
        self.domain = domain
        self.name = name

    def __len__(self) -> int:
        return len(self.domain)

    def load(self, index: int, rng: torch.Generator | None) -> Tensor:
        """Return an image, ``(C, H, W)`` in [-1, 1].

        Raises:
            DataError: As `first_usable` does.
        """
        n = len(self.domain)
        image, _ = first_usable(
            lambda attempt: read_image_of(self.domain, self.name, (index + attempt) % n, rng, index)
        )
        return image


def read_image_of(
    domain: Domain, name: str, index: int, rng: torch.Generator | None, position: int
) -> Tensor:
    """Load an image of the domain called ``name``.

    Raises:
        Unusable: If that cannot be done.
    """
    file = name_of(domain, index)
    note_reading(file)
    try:
        return domain.load(index, rng)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        bad = BadFile(file, name, reason, position, isinstance(error, BlankCrop))
        raise Unusable(bad, _is_of_the_system(error)) from error
    finally:
        note_reading("")


def name_of(domain: Domain, index: int) -> str:
    """Return the path of an image, or its number if its domain has no files."""
    files = getattr(domain, "files", None)
    return f"image {index}" if files is None else str(files[index])


def read_both(
    load_a: Callable[[int], Tensor], load_b: Callable[[int], Tensor], paired: bool
) -> Sample:
    """Read both domains' images of a sample, each on its own or, if paired, together.

    Args:
        load_a: Loads domain a's image: the right one at attempt 0, then those that may stand in
            for it; raises `Unusable`.
        load_b: Likewise of domain b.
        paired: Whether both must be of one attempt.

    Raises:
        DataError: As `first_usable` does.
    """
    if paired:
        pair, passed_over = first_usable(lambda attempt: (load_a(attempt), load_b(attempt)))
        return Sample(*pair, passed_over)
    x_a, bad_a = first_usable(load_a)
    x_b, bad_b = first_usable(load_b)
    return Sample(x_a, x_b, bad_a + bad_b)


def first_usable(load: Callable[[int], T]) -> tuple[T, list[BadFile]]:
    """Return what the first attempt gives that succeeds, and the files passed over before it.

    If the system cannot read file after file, a disk may be away for a while. Then all begins anew,
    with attempt 0, so that the outcome is what it would have been with the disk in its place.

    Args:
        load: Makes an attempt; raises `Unusable`.

    Raises:
        DataError: After ``MAX_ATTEMPTS``, or ``PATIENCE``.
    """
    passed_over: list[BadFile] = []
    for pause in _pauses():
        if pause:
            time.sleep(pause)
        passed_over = []
        unread = 0
        for attempt in range(MAX_ATTEMPTS):
            try:
                return load(attempt), passed_over
            except Unusable as error:
                passed_over.append(error.bad)
                unread = unread + 1 if error.unread else 0
            if unread == MAX_UNREADABLE:
                break
        else:
            raise DataError(_none_is_good(passed_over[-1]))
    raise DataError(_disk_is_lost(passed_over[-1]))


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


def _none_is_good(last: BadFile) -> Trouble:
    return Trouble(
        ExitCode.BAD_DATA,
        f"domain {last.domain}: {MAX_ATTEMPTS} images in a row cannot be used: repair or remove "
        f"them; the last: {last}",
    )


def _disk_is_lost(last: BadFile) -> Trouble:
    return Trouble(
        ExitCode.DATA_LOST,
        f"domain {last.domain}: no image can be read any more, after {PATIENCE:g} seconds of "
        f"waiting: see whether the disk is there, and start the run again; the last: {last}",
    )
