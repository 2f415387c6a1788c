"""Images in the rows of an Arrow table, which stays on disk: read by index, from any process."""

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from munit_pl.io.regular_files import open_regular

if TYPE_CHECKING:
    from datasets import Dataset

_LOOKED_AT = 64  # rows that tell whether a set has changed

Indices = range | npt.NDArray[np.int32]


class ImageColumn:
    """A column of encoded images; equal where table and column are called alike.

    Args:
        dataset: The table.
        name: The column's name.
        title: What the table is called.
        folders: Where files may lie that a row names in place of holding the image itself.

    Attributes:
        title: What table and column are called together.
    """

    def __init__(self, dataset: "Dataset", name: str, title: str, folders: Sequence[Path]) -> None:
        self.title = f"{title}/{name}"
        self.folders = [folder.resolve() for folder in folders]
        # As Arrow has it: the set's own decoder would read whatever a row names, without limits.
        self._table = dataset.select_columns([name]).with_format("arrow")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageColumn) and self.title == other.title

    def __hash__(self) -> int:
        return hash(self.title)

    def open(self, index: int) -> IO[bytes]:
        """Return the image of a row, as a file of it would be.

        Raises:
            OSError: If the row has none, or names a file that lies elsewhere or cannot be read.
        """
        match self._value(index):
            case bytes() as encoded:
                return BytesIO(encoded)
            case {"bytes": bytes() as encoded}:
                return BytesIO(encoded)
            case str() as name:
                return open_regular(self._inside(name))
            case {"path": str() as name}:
                return open_regular(self._inside(name))
        raise OSError("the row holds no image")

    @cached_property
    def stamp(self) -> str:
        """Sizes and times of change of the files that the table is in, as a hash."""
        status = [os.stat(file["filename"]) for file in self._table.cache_files]
        states = repr([(file.st_size, file.st_mtime_ns) for file in status])
        return hashlib.blake2b(states.encode(), digest_size=16).hexdigest()

    def digest(self, index: int) -> bytes:
        """Return what tells a row's content from others."""
        return hashlib.blake2b(repr(self._value(index)).encode(), digest_size=16).digest()

    def _value(self, index: int) -> Any:
        return self._table[index].column(0)[0].as_py()

    def _inside(self, name: str) -> Path:
        """Return the file that a row names, if it is one of the set's."""
        for folder in self.folders:
            file = (folder / name).resolve()
            if file.is_relative_to(folder):
                return file
        raise OSError(f"the row names the file {name[:200]!r}, which is outside of the data set")


@dataclass(frozen=True)
class Row:
    """An image in a row of a table."""

    column: ImageColumn
    index: int

    def open(self) -> IO[bytes]:
        """Return the image as a file of it would be.

        Raises:
            OSError: As `ImageColumn.open` does.
        """
        return self.column.open(self.index)

    @property
    def stamp(self) -> str:
        """What is another once the table has changed."""
        return self.column.stamp

    def __str__(self) -> str:
        return f"{self.column.title}/{self.index}"


class Rows(Sequence[Row]):
    """Some or all rows of a column, in any order; equal where they are the same ones.

    Args:
        column: The images.
        indices: Which rows, four bytes for each if they are not a range.
    """

    def __init__(self, column: ImageColumn, indices: Indices) -> None:
        self.column = column
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> "Rows": ...
    def __getitem__(self, place: int | slice) -> "Row | Rows":
        if isinstance(place, slice):
            return Rows(self.column, self.indices[place])
        return Row(self.column, int(self.indices[place]))

    def __iter__(self) -> Iterator[Row]:
        return (Row(self.column, int(index)) for index in self.indices)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Rows)
            and self.column == other.column
            and np.array_equal(self.indices, other.indices)
        )

    __hash__ = None  # type: ignore[assignment]

    def without(self, places: Collection[int]) -> "Rows":
        """Return all but those at some places."""
        return Rows(self.column, np.delete(np.asarray(self.indices, np.int32), list(places)))

    def of(self, column: ImageColumn) -> "Rows":
        """Return another column of the same rows, such as the masks of images."""
        return Rows(column, self.indices)

    def fingerprint(self) -> str:
        """Return what tells these rows from others: a hash of some of them, evenly spread."""
        digest = hashlib.blake2b(digest_size=16)
        for row in self[:: max(1, -(-len(self) // _LOOKED_AT))]:
            digest.update(row.column.digest(row.index))
        return digest.hexdigest()
