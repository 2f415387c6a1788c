"""``munit-data``: get or draw images, look at them before a run, resize them."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from munit_pl.commands.datasets import downloading, drawing, preparing
from munit_pl.commands.errors import InputError
from munit_pl.commands.options.data import ALIGNED, FOLDERS, parse
from munit_pl.commands.terminal import short_path
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.sizes import MAX_ASPECT
from munit_pl.data.tools.assessment import Assessment, advise, as_values, assess
from munit_pl.data.tools.check_journal import CheckJournal
from munit_pl.data.tools.inspection import ImageSettings, Inspection, inspect_folder
from munit_pl.io.files import write_whole

_NAMED = 10  # of a folder's bad files, in the report for people
_PAPER = 256  # pixels of the shortest side, as the paper's images have


def main(argv: Sequence[str] | None = None) -> int:
    """Run as the command line says, ``sys.argv`` unless given."""
    return run(parse(argv))


def run(options: argparse.Namespace) -> int:
    """Do what was asked for.

    Args:
        options: What `parse` returned.

    Returns:
        The exit status. Of ``check``: 1 if something would stop a run. Of ``download``, ``draw``
        and ``prepare``: 1 if there is no data set, drawing or copy now. 2 for wrong usage and
        folders that are not there, 130 if the user stopped it.
    """
    try:
        return _COMMANDS[options.command](options)
    except InputError as error:
        print(f"munit-data: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        return 130


def _check(options: argparse.Namespace) -> int:
    use = _use(options)
    with CheckJournal(options.root) as journal:
        inspections, absent = _inspect(options, use, journal)
    assessment = assess(inspections)
    assessment.notes.extend([*absent, *advise(inspections, use)])
    print(_table(inspections, use))
    for found in inspections:
        print(_details(found), end="")
    print(_conclusion(assessment))
    suggestion = [] if assessment.stops else _suggest(options, inspections)
    if suggestion:
        print("\nTRY THIS", *suggestion, sep="\n  ")
    if options.json:
        values = {**as_values(inspections, assessment), "suggestion": suggestion}
        try:
            write_whole(options.json, json.dumps(values, indent=1) + "\n")
        except OSError as error:
            raise InputError(f"cannot write {str(options.json)!r}: {error.strerror}") from error
        print(f"all of it: {options.json}")
    return 1 if assessment.stops else 0


def _inspect(
    options: argparse.Namespace, use: ImageSettings, journal: CheckJournal
) -> tuple[list[Inspection], list[str]]:
    """Return what lies in each folder, and a line for each that may be absent and is."""
    inspections: list[Inspection] = []
    absent = []
    for split, domain, folder in _folders(options):
        if split == "test" and not folder.exists():
            absent.append(f"there is no {str(folder)!r}: the test is on training images")
            continue
        trained = next((found for found in inspections if found.domain == domain), None)
        white = trained.max_value if trained else None
        found = inspect_folder(split, domain, folder, use, options.workers, True, white, journal)
        inspections.append(found)
    return inspections, absent


def _suggest(options: argparse.Namespace, inspections: Sequence[Inspection]) -> list[str]:
    from munit_pl.commands.datasets.suggesting import suggest  # Hydra and Lightning: seconds

    named = ALIGNED if options.aligned else FOLDERS
    data = ["data=aligned", "data.paired=false"] if options.aligned else ["data=folder"]
    data.append(f"data.root={short_path(options.root)}")
    for name, default in named.items():
        if (folder := getattr(options, name)) != default:
            data.append(f"data.{name}={folder}")
    return suggest(inspections, data)


def _use(options: argparse.Namespace) -> ImageSettings:
    """Check the options before time is spent."""
    height, width = options.crop
    try:
        ImageFolder([], resize=options.resize, crop=(height, width))
    except ValueError as error:
        raise InputError(str(error)) from error
    if options.workers < 0:
        raise InputError(f"--workers is {options.workers}, but must not be negative")
    if not options.root.is_dir():
        raise InputError(f"there is no folder {str(options.root)!r}")
    if options.json and not options.json.absolute().parent.is_dir():
        raise InputError(f"there is no folder {str(options.json.absolute().parent)!r} for --json")
    return ImageSettings(options.resize, (height, width), options.aligned)


def _folders(options: argparse.Namespace) -> list[tuple[str, str, Path]]:
    """Return split, domain and path of each folder."""
    settings = ALIGNED if options.aligned else FOLDERS
    parts = [(*name.partition("_")[::2], getattr(options, name)) for name in settings]
    return [(split, domain, options.root / folder) for split, domain, folder in parts]


def _table(inspections: Sequence[Inspection], use: ImageSettings) -> str:
    """Return a table with a column for each folder."""
    least = min(use.crop) if use.resize is None else use.resize
    rows: dict[str, Callable[[Inspection], object]] = {
        "images": lambda found: len(found.files),
        "cannot be used": lambda found: len(found.bad),
        "of one color": lambda found: len(found.blank),
        "of nearly one color": lambda found: len(found.nearly_blank),
        "copies of others": lambda found: sum(len(group) - 1 for group in found.duplicates),
        "shortest side, least": lambda found: _quantile(found, 0),
        "median": lambda found: _quantile(found, 0.5),
        "most": lambda found: _quantile(found, 1),
        **{f"below {side}": partial(_below, side=side) for side in sorted({least, _PAPER})},
        f"longer than {MAX_ASPECT}:1": lambda found: len(found.long),
        "turned by EXIF": lambda found: len(found.having(lambda picture: picture.rotated)),
        "transparent": lambda found: len(found.having(lambda picture: picture.transparent)),
        "16-bit gray": lambda found: len(found.sixteen_bit),
        "of several frames": lambda found: len(found.having(lambda picture: picture.frames)),
    }
    cells = [["", *(found.name for found in inspections)]]
    cells += [[row, *(str(value(found)) for found in inspections)] for row, value in rows.items()]
    first, *widths = (max(map(len, column)) for column in zip(*cells, strict=True))
    return "\n".join(
        label.ljust(first)
        + "".join(f"  {value:>{width}}" for value, width in zip(values, widths, strict=True))
        for label, *values in cells
    )


def _below(found: Inspection, side: int) -> int:
    return sum(shortest < side for shortest in found.shortest_sides)


def _quantile(found: Inspection, share: float) -> object:
    sides = found.shortest_sides
    return sides[round(share * (len(sides) - 1))] if sides else "-"


def _details(found: Inspection) -> str:
    """Return what differs too much between folders for a table."""
    lines = [f"\n{found.name}: {str(found.folder)!r}"]
    if found.kinds:
        lines.append(f"  formats: {_counts(found.kinds)}")
    if found.ignored:
        endings = Counter({ending or "without": n for ending, n in found.ignored.items()})
        lines.append(f"  ignored, by ending: {_counts(endings)}")
    faults = dict.fromkeys(found.blank, "is of one color") | found.bad
    for path, reason in sorted(faults.items())[:_NAMED]:
        lines.append(f"  {str(path)!r} {_printable(reason)}")
    if len(faults) > _NAMED:
        lines.append(f"  and {len(faults) - _NAMED} more, which --json lists")
    return "\n".join(lines) + "\n"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{_printable(name)} {count}" for name, count in counts.most_common())


def _printable(text: str) -> str:
    """Return a text in one line, whatever a file name brought into it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _conclusion(assessment: Assessment) -> str:
    parts = {
        "STOPS A RUN": assessment.stops,
        "SKIPPED": assessment.skips,
        "GOOD TO KNOW": assessment.notes,
    }
    lines = [
        "\n".join([f"\n{title}", *(f"  {_printable(line)}" for line in part)])
        for title, part in parts.items()
        if part
    ]
    return "\n".join([*lines, "" if assessment.stops else "\nNothing stops a run."])


_COMMANDS = {
    "list": downloading.run_list,
    "download": downloading.run_download,
    "draw": drawing.run,
    "check": _check,
    "prepare": preparing.run,
}


if __name__ == "__main__":
    sys.exit(main())
