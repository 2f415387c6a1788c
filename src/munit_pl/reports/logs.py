"""Reading a run's ``metrics.csv`` files back."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

Points = dict[float, float]  # values by iteration


def log_files(folder: Path) -> list[Path]:
    """Return a run's files ``metrics.csv``, in the order in which it was started and resumed."""
    files = folder.glob("csv/version_*/metrics.csv")
    return sorted(files, key=lambda path: (len(path.parent.name), path.parent.name))  # 2 before 10


def read_logs(paths: Iterable[Path]) -> dict[str, Points]:
    """Return each column's values by iteration, in order.

    Args:
        paths: Files ``metrics.csv`` of a run, in the order in which it was started and resumed.
            What was logged after the point where it was resumed later is left out, and so are
            values that are not finite and what was cut off in the middle of a line.
    """
    points: dict[str, Points] = {}
    for path in paths:
        with path.open(newline="", encoding="utf-8") as file:
            lines = [(_number(row.get("step")), row) for row in csv.DictReader(file)]
        rows = [(step, row) for step, row in lines if math.isfinite(step)]
        start = min((step for step, _ in rows), default=math.inf)
        for column, before in points.items():
            points[column] = {step: value for step, value in before.items() if step < start}
        for step, row in rows:
            for column, text in row.items():
                if column is not None and math.isfinite(value := _number(text)):
                    points.setdefault(column, {})[step] = value
    return {
        column: dict(sorted(values.items()))
        for column, values in sorted(points.items())
        if values and column not in ("step", "epoch")
    }


def by_domain(column: str) -> tuple[str, str]:
    """Split a column's name into what it shows, which both domains share, and the domain."""
    title, _, domain = column.rpartition("_")
    return (title, domain) if domain in ("a", "b") else (column, "")


def _number(text: str | None) -> float:
    """Return a cell's number; an empty one, or one of a line that was cut off, has none."""
    try:
        return float(text or "nan")
    except (ValueError, TypeError):
        return math.nan
