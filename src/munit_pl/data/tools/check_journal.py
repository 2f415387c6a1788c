"""What a check of a data set had found when it was interrupted, for the next one to go on."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from munit_pl.data.images.opening import ImageFile

_CACHE = Path("munit_pl", "checks")  # below the user's cache


class CheckJournal:
    """A file with a line for each image that was looked at; it goes once all are.

    Where it cannot be written there is none. A line holds for a file of the size and the time of
    change that it had; of a row, as long as its table's files are those that they were.

    Args:
        root: The data set's folder or file.
    """

    def __init__(self, root: Path) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
        name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
        self.path = cache / _CACHE / f"{name}.jsonl"
        self._found: dict[str, tuple[list[Any], Any]] = {}
        self._file: IO[str] | None = None

    def __enter__(self) -> "CheckJournal":
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._read()
            self._file = self.path.open("a", encoding="ascii")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        if kind is None:
            with suppress(OSError):
                self.path.unlink()

    def known(self, images: Iterable[ImageFile], *how: object) -> dict[ImageFile, Any]:
        """Return what was found of those images that were looked at in the same way.

        Args:
            images: The images.
            *how: Plain values that say in which way.
        """
        states = {image: _state(image, how) for image in (images if self._found else ())}
        return {
            image: self._found[str(image)][1]
            for image, state in states.items()
            if state is not None and self._found.get(str(image), (None,))[0] == state
        }

    def add(self, image: ImageFile, found: object, *how: object) -> None:
        """Note what was found of an image, plain values."""
        if self._file is not None:
            with suppress(OSError):
                self._file.write(f"{json.dumps([str(image), _state(image, how), found])}\n")

    def _read(self) -> None:
        if self.path.exists():
            for line in self.path.read_text(encoding="ascii", errors="replace").splitlines():
                with suppress(ValueError, TypeError):  # the last one may be cut off
                    path, state, found = json.loads(line)
                    self._found[path] = state, found


def _state(image: ImageFile, how: Sequence[object]) -> list[Any] | None:
    try:
        if not isinstance(image, Path):
            return [image.stamp, *how]
        status = os.stat(image)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, *how]
