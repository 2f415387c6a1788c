"""What the columns of a data set's table hold: encoded images, labels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from munit_pl.data.huggingface.opening import require_datasets

if TYPE_CHECKING:
    from datasets import Dataset

_LABELS = ("label", "labels", "class", "cls")  # columns of labels that are not declared so


def image_columns(table: "Dataset", declared: bool = True) -> list[str]:
    """Return the columns that hold encoded images.

    Args:
        table: The table.
        declared: Whether columns that may hold any bytes count only if none is declared as images.
    """
    kinds: Mapping[str, Any] = table.features
    images = [name for name, kind in kinds.items() if _is(kind, "Image")]
    encoded = [name for name, kind in kinds.items() if _is(kind, "Image") or _holds_bytes(kind)]
    return images if declared and images else encoded


def label_column_of(table: "Dataset") -> str | None:
    """Return the only column that is declared to hold labels, or one that is called so."""
    kinds: Mapping[str, Any] = table.features
    declared = [name for name, kind in kinds.items() if _is(kind, "ClassLabel")]
    called = [name for name in _LABELS if name in kinds]
    return declared[0] if len(declared) == 1 else next(iter(called), None)


def labels_of(table: "Dataset", column: str | None) -> dict[str, Any]:
    """Return the labels that rows have, by their names, in order; none without such a column.

    Args:
        table: The table.
        column: The column of the labels; None looks for it.

    Raises:
        ValueError: If there is no such column.
    """
    column = column or label_column_of(table)
    if column is None:
        return {}
    if column not in table.features:
        raise ValueError(f"data.label_column={column}: the columns are {', '.join(table.features)}")
    present = [value for value in _values(table, column).unique().to_pylist() if value is not None]
    names = getattr(table.features[column], "names", None)
    if names is None:
        return {str(value): value for value in sorted(present, key=str)}
    return {names[value]: value for value in sorted(present) if 0 <= value < len(names)}


def rows_with(table: "Dataset", label: str | int, column: str | None) -> npt.NDArray[np.int32]:
    """Return which rows have a label, one of `labels_of`."""
    from pyarrow import compute

    known = labels_of(table, column)
    column = column or label_column_of(table)
    if str(label) not in known:
        return np.empty(0, np.int32)
    has = compute.equal(_values(table, str(column)), known[str(label)])
    rows: npt.NDArray[np.int32] = compute.indices_nonzero(has).to_numpy().astype(np.int32)
    return rows


def _values(table: "Dataset", column: str) -> Any:
    return table.select_columns([column]).with_format("arrow")[:].column(0)


def _is(kind: object, name: str) -> bool:
    return isinstance(kind, getattr(require_datasets(), name))


def _holds_bytes(kind: object) -> bool:
    if isinstance(kind, Mapping):  # as Arrow files have images that were not written by `datasets`
        return {"bytes", "path"} <= kind.keys()
    return getattr(kind, "dtype", "") in ("binary", "large_binary")
