"""Where outputs go, what is known of those that are there, and how they appear: whole."""

import hashlib
import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from munit_pl.commands.errors import InputError
from munit_pl.io.files import whole_file
from munit_pl.io.regular_files import open_regular

Settings = Mapping[str, Any]  # what an output depends on, as JSON can say it


class Outputs:
    """A folder of outputs with a manifest, one line of JSON for each output.

    A line is written before its output gets its name, and an output that is replaced goes before
    the new line is written: a file under its final name is whole, and the newest line of that
    name tells how it was made, wherever a run was stopped.

    Args:
        folder: Where outputs go.
        manifest: Name of the manifest that this process adds to. Those of others are read too.
        overwrite: Whether outputs of other settings are replaced.
    """

    def __init__(self, folder: Path, manifest: str, overwrite: bool) -> None:
        self.folder = folder
        self.overwrite = overwrite
        self._manifest = folder / manifest
        self._made_with = _read_manifests(folder)
        self._lines: IO[str] | None = None

    def is_done(self, name: str, settings: Settings) -> bool:
        """Tell whether an output of these settings is there.

        Raises:
            InputError: If there is one of other settings, and it is not to be replaced.
        """
        if not (self.folder / name).exists():
            return False
        made_with = self._made_with.get(name)
        if made_with == fingerprint(settings):
            return True
        if self.overwrite:
            return False
        if made_with:
            why = "is of other settings, or its input has changed"
        else:
            why = "stands in no manifest, or another process has made it just now"
        raise InputError(f"{self.folder / name} {why}: give another --out, or --overwrite")

    @contextmanager
    def making(self, name: str, settings: Settings, more: Settings) -> Iterator[Path]:
        """Give a path to write to; afterwards the file gets its name and the manifest its line.

        Where writing fails, nothing is left of it.

        Args:
            name: The output's path in the folder, with ``/``.
            settings: What `is_done` compares.
            more: What else the line tells.
        """
        final = self.folder / name
        final.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(final) as path:
            yield path
            final.unlink(missing_ok=True)
            self._add_line({"output": name, **settings, **more}, fingerprint(settings))

    def _add_line(self, line: Settings, made_with: str) -> None:
        told = {**line, "settings": made_with, "written": round(time.time(), 6)}
        if self._lines is None:
            self._lines = _open_to_append(self._manifest)
        self._lines.write(json.dumps(told, ensure_ascii=False) + "\n")
        self._lines.flush()

    def close(self) -> None:
        """Close the manifest."""
        if self._lines is not None:
            self._lines.close()


def fingerprint(settings: object) -> str:
    """Return a short text that is equal for equal settings alone."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _read_manifests(folder: Path) -> dict[str, str]:
    """Return the fingerprint in each output's newest line."""
    newest: dict[str, tuple[float, str]] = {}
    for manifest in sorted(folder.glob("manifest*.jsonl")):
        with io.TextIOWrapper(open_regular(manifest), "utf-8", "surrogateescape") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                    name, written, made_with = (entry[k] for k in ("output", "written", "settings"))
                except (ValueError, TypeError, KeyError):
                    continue  # broken off with its run: such an output never got its name
                if name not in newest or written >= newest[name][0]:
                    newest[name] = written, made_with
    return {name: made_with for name, (_, made_with) in newest.items()}


def _open_to_append(path: Path) -> IO[str]:
    """Open a text file to add lines to, even where its last line was broken off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    broken_off = False
    if path.exists():
        with open_regular(path) as there:
            broken_off = not there.read().endswith(b"\n")
    file = path.open("a", encoding="utf-8", errors="surrogateescape", newline="\n")
    if broken_off:
        file.write("\n")
    return file
