"""A million paths in the memory of their letters."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np

_END = "\0"  # no path holds one


class FileList(Sequence[Path]):
    """Paths, made of one text as they are asked for.

    A list of a million takes a tenth of the memory of as many `Path`, is pickled at once, and is
    shared with forked workers: reading it writes no reference counts.

    Args:
        names: The paths, without zero bytes.
        folder: Where they are, unless they are whole.
    """

    def __init__(self, names: Sequence[str], folder: Path | None = None) -> None:
        self._text = os.fsencode(_END.join([*names, ""]))
        self._ends = np.flatnonzero(np.frombuffer(self._text, np.uint8) == ord(_END))
        self._folder = folder

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Path: ...

    @overload
    def __getitem__(self, index: slice) -> "FileList": ...

    def __getitem__(self, index: int | slice) -> "Path | FileList":
        if isinstance(index, slice):
            return FileList([self._name(i) for i in range(len(self))[index]], self._folder)
        name = self._name(range(len(self))[index])
        return Path(name) if self._folder is None else self._folder / name

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FileList) and self._folder == other._folder:
            return self._text == other._text
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} paths>"

    def joined(self) -> bytes:
        """Return all paths as bytes, each followed by a zero byte."""
        if self._folder is None or not len(self):
            return self._text
        before = os.fsencode(self._folder / "x")[:-1]  # nothing of Path(".")
        return before + self._text[:-1].replace(b"\0", b"\0" + before) + b"\0"

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "FileList":
        """Return paths as such a list."""
        return paths if isinstance(paths, cls) else cls([str(path) for path in paths])

    def _name(self, i: int) -> str:
        start = self._ends[i - 1] + 1 if i else 0
        return os.fsdecode(self._text[start : self._ends[i]])
