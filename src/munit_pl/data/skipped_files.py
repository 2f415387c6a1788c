"""Image files that were skipped because they cannot be used, and when they are too many."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from munit_pl.data.file_identity import files_of
from munit_pl.data.images.opening import ImageFile
from munit_pl.exits import ExitCode

_NAMED = 10  # files in a message


class StopReason(NamedTuple):
    """Why a run should end.

    Attributes:
        code: The exit status.
        message: What happened, and what to do.
    """

    code: int
    message: str


class DataError(RuntimeError):
    """No further batch can be loaded.

    Attributes:
        stop_reason: Why, and with which status a command ends.
    """

    def __init__(self, stop_reason: StopReason) -> None:
        super().__init__(stop_reason.message)
        self.stop_reason = stop_reason


class BadFile(NamedTuple):
    """An image file that was skipped.

    Attributes:
        file: Its path; bytes that are no text are surrogates, as Python has them.
        domain: "a" or "b".
        reason: What is wrong with it, in one line.
        position: Where in the stream, or among the test images, it was to be read; None if it was
            found when the folder was listed.
        blank: The file is sound, but every crop tried was of one color. Another crop may do, so
            such files never are too many.
    """

    file: str
    domain: str
    reason: str
    position: int | None = None
    blank: bool = False

    def __str__(self) -> str:
        # Surrogates cannot be printed.
        reason = self.reason.encode(errors="backslashreplace").decode()
        return reason if repr(self.file) in reason else f"{self.file!r} {reason}"


class SkippedFiles:
    """The files that were skipped, by domain; as text, the first of them.

    Args:
        totals: Files of each domain, the bad ones included.
        max_fraction: More than this share of a domain's files ends the run, but a single file never
            does.

    Attributes:
        found: Each file once, as it was first found, by domain and path.
        stop_reason: Why the run should end; None as long as it should not.
        list_file: Where all of them are listed.
    """

    def __init__(self, totals: Mapping[str, int], max_fraction: float = 0.01) -> None:
        self.totals = dict(totals)
        self.max_fraction = max_fraction
        self.found: dict[tuple[str, str], BadFile] = {}
        self.stop_reason: StopReason | None = None
        self.list_file: Path | None = None
        self._replaced = 0
        self._news: list[BadFile] = []
        self._untold: list[BadFile] = []
        self._met: set[tuple[str, str]] = set()  # since this process started

    def __str__(self) -> str:
        return _named([*self.found.values()])

    @property
    def count(self) -> int:
        """Return how many files there are; one that both domains share counts once."""
        return len({file for _, file in self.found})

    def add(self, files: Iterable[BadFile], replaced: int = 0) -> None:
        """Note files that were skipped, known ones too.

        Args:
            files: The files.
            replaced: How many training samples others took the place of because of them.
        """
        self._replaced += replaced
        changed: dict[str, None] = {}
        for bad in files:
            place = bad.domain, bad.file
            if place not in self.found:
                self.found[place] = bad
                self._news.append(bad)
                self._untold.append(bad)
            if place not in self._met:
                self._met.add(place)
                changed[bad.domain] = None
        for domain in changed:
            self._check(domain)

    def restore(self, files: Iterable[BadFile]) -> None:
        """Note what was found before the run was interrupted; it is no news.

        Such a file may have been repaired since, so it does not count until it is met again.
        """
        known = {(bad.domain, bad.file): bad for bad in files}
        self.found = known | self.found
        self._news = [bad for bad in self._news if (bad.domain, bad.file) not in known]

    def take_news(self) -> tuple[list[BadFile], int]:
        """Return the files and the number of replaced samples since the last call."""
        news = self._news, self._replaced
        self._news, self._replaced = [], 0
        return news

    def warn_unless_listed(self) -> None:
        """Warn of the files that were found since the last call, unless they are listed."""
        untold, self._untold = self._untold, []
        for bad in untold if self.list_file is None else ():
            warnings.warn(f"an image of domain {bad.domain} is skipped: {bad}", stacklevel=2)

    def _check(self, domain: str) -> None:
        met = (file for place, file in self.found.items() if place in self._met)
        bad = [file for file in met if file.domain == domain and not file.blank]
        total = self.totals[domain]
        if self.stop_reason or len(bad) <= max(1, self.max_fraction * total):
            return
        where = "`munit-data check` lists" if self.list_file is None else f"{self.list_file} has"
        self.stop_reason = StopReason(
            ExitCode.BAD_DATA,
            f"domain {domain}: {len(bad)} of {total} images cannot be used, more than "
            f"data.max_bad_fraction={self.max_fraction:g} allows: repair or remove them, or raise "
            f"it ({where} all of them): {_named(bad)}",
        )


def _named(files: Sequence[BadFile]) -> str:
    others = f", and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return f"{'; '.join(map(str, files[:_NAMED]))}{others}"


def skipped_when_listed(
    splits: Iterable[tuple[object, object]], max_fraction: float
) -> SkippedFiles:
    """Return the files of two domains that were skipped when their folders were listed.

    Args:
        splits: Domains a and b of each split; those of files have ``files`` and ``bad``.
        max_fraction: As of `SkippedFiles`.
    """
    bad: dict[str, dict[ImageFile, str]] = {}
    totals = {}
    for name, parts in zip("ab", zip(*splits, strict=True), strict=True):
        bad[name] = {}
        for part in parts:
            bad[name] |= getattr(part, "bad", {})
        lists = [files_of(part) for part in parts]
        different = [files for i, files in enumerate(lists) if files not in lists[:i]]
        totals[name] = sum(map(len, different)) + len(bad[name])
    skipped = SkippedFiles(totals, max_fraction)
    for name, files in bad.items():
        skipped.add(BadFile(str(file), name, reason) for file, reason in files.items())
    return skipped
