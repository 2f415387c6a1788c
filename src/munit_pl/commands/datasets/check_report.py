"""What ``munit-data check`` prints of the images that it decoded."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

from munit_pl.data.sizes import MAX_ASPECT
from munit_pl.data.tools.assessment import Assessment
from munit_pl.data.tools.inspection import ImageSettings, Inspection

_NAMED = 10  # of a folder's bad files
_PAPER = 256  # pixels of the shortest side, as the paper's images have


def table(inspections: Sequence[Inspection], use: ImageSettings) -> str:
    """Return a table with a column for each folder, or column of a data set."""
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


def details(found: Inspection) -> str:
    """Return what differs too much between them for a table."""
    lines = [f"\n{found.name}: {str(found.source)!r}"]
    if found.kinds:
        lines.append(f"  formats: {_counts(found.kinds)}")
    if found.ignored:
        endings = Counter({ending or "without": n for ending, n in found.ignored.items()})
        lines.append(f"  ignored, by ending: {_counts(endings)}")
    faults = found.bad | {path: "is of one color" for path in found.blank if path not in found.bad}
    for path, reason in islice(faults.items(), _NAMED):
        lines.append(f"  {str(path)!r} {_printable(reason)}")
    if len(faults) > _NAMED:
        lines.append(f"  and {len(faults) - _NAMED} more, which --json lists")
    return "\n".join(lines) + "\n"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{_printable(name)} {count}" for name, count in counts.most_common())


def _printable(text: str) -> str:
    """Return a text in one line, whatever a file name brought into it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def conclusion(assessment: Assessment) -> str:
    """Return what stops a run, what it skips and what else to know."""
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
