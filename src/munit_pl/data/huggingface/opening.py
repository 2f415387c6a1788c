"""Data sets of Hugging Face's hub, saved ones, parquet files and tar shards, opened unread."""

import contextlib
import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

_BUILDERS = {".parquet": "parquet", ".tar": "webdataset"}
_SHARD = re.compile(r"(^|[-_.])\d+([-_.]of[-_.]\d+)?$")  # of a file's name: train-00000-of-00002
_ON_HUB = re.compile(r"[\w.-]+(/[\w.-]+)?")
_DEFAULT = "default"  # what a set's only configuration is called


def require_datasets() -> ModuleType:
    """Import datasets.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        import datasets
    except ImportError:
        raise ImportError(
            "data=huggingface needs datasets: pip install 'munit-pl[datasets]'"
        ) from None
    return datasets


def is_saved(path: Path) -> bool:
    """Tell whether a folder is what `save_to_disk` wrote."""
    return (path / "dataset_dict.json").exists() or (path / "state.json").exists()


def holds_shards(path: Path) -> bool:
    """Tell whether a path is a parquet file or a tar shard, or a folder with one, at any depth."""
    files = _below(path) if path.is_dir() else [path]
    return any(file.suffix.lower() in _BUILDERS for file in files)


class OpenedSet:
    """A data set: configurations of splits, each of which is a table.

    Attributes:
        path: What it was opened by.
        configurations: Their names.
        folders: Where files lie that its rows may name.
    """

    path: str
    configurations: Sequence[str]
    folders: Sequence[Path]

    def splits(self, configuration: str) -> Sequence[str]:
        """Return the splits of a configuration."""
        raise NotImplementedError

    def load(self, configuration: str, split: str) -> "Dataset":
        """Return a split's table, which stays on disk."""
        raise NotImplementedError


def open_set(path: str, revision: str | None = None) -> OpenedSet:
    """Open a data set; no code of its own is ever run.

    Args:
        path: A folder that `save_to_disk` wrote, a parquet file or a tar shard, or a folder of
            these, at any depth; else a set of the hub, "USER/SET".
        revision: A branch, tag or commit of the hub's.

    Raises:
        ConnectionError: The hub does not answer, or does not have it.
        ImportError: If datasets is not installed.
        OSError: There is no such folder.
        ValueError: It holds no data set.
    """
    require_datasets()
    there = Path(path)
    if not there.exists():
        if not _ON_HUB.fullmatch(path):
            raise FileNotFoundError(f"there is no data set {path!r}: no such file or folder")
        return _HubSet(path, revision)
    if revision is not None:
        raise ValueError(f"data.revision is of sets on the hub, but {path!r} is on this machine")
    if is_saved(there):
        return _SavedSet(path)
    return _FileSet(path)


class _HubSet(OpenedSet):
    """A set of the hub, fetched configuration by configuration into the cache of `datasets`."""

    def __init__(self, path: str, revision: str | None) -> None:
        datasets = require_datasets()
        from huggingface_hub.constants import HF_HUB_CACHE

        self.path = path
        self.revision = revision
        repository = Path(HF_HUB_CACHE, "--".join(["datasets", *path.split("/")]))
        self.folders = [repository, Path(datasets.config.DOWNLOADED_DATASETS_PATH)]
        with _fetching(path):
            self.configurations = datasets.get_dataset_config_names(path, revision=revision)
        self._loaded: dict[str, DatasetDict] = {}

    def splits(self, configuration: str) -> list[str]:
        return [*self._configuration(configuration)]

    def load(self, configuration: str, split: str) -> "Dataset":
        return self._configuration(configuration)[split]

    def _configuration(self, name: str) -> "DatasetDict":
        if name not in self._loaded:
            with _fetching(self.path):
                self._loaded[name] = require_datasets().load_dataset(
                    self.path, name, revision=self.revision
                )
        return self._loaded[name]


class _SavedSet(OpenedSet):
    """What `save_to_disk` wrote: Arrow files, which are mapped into memory as they are."""

    def __init__(self, path: str) -> None:
        datasets = require_datasets()
        self.path = path
        self.folders = [Path(path)]
        self.configurations = [_DEFAULT]
        with _opening(path):
            saved = datasets.load_from_disk(path, keep_in_memory=False)
        self._splits = saved if isinstance(saved, datasets.DatasetDict) else {"train": saved}

    def splits(self, configuration: str) -> list[str]:
        return [*self._splits]

    def load(self, configuration: str, split: str) -> "Dataset":
        return self._splits[split]


class _FileSet(OpenedSet):
    """Parquet files or tar shards, which `datasets` turns into Arrow files in its cache, once.

    ``trainA-00000-of-00002.parquet`` is of split trainA, as is ``trainA/000.tar``; folders above
    are configurations.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        root = Path(path)
        self.folders = [root if root.is_dir() else root.parent]
        files = sorted(_below(root)) if root.is_dir() else [root]
        found = [file for file in files if file.suffix.lower() in _BUILDERS]
        if not found:
            raise ValueError(
                f"{path!r} holds no parquet files, no tar shards and no saved data set; folders "
                "of images are data=folder data.root=FOLDER"
            )
        self._files: dict[str, dict[str, list[Path]]] = {}
        for file in found:
            configuration, split = _place(file.relative_to(self.folders[0]))
            self._files.setdefault(configuration, {}).setdefault(split, []).append(file)
        self.configurations = [*self._files]
        self._loaded: dict[tuple[str, str], Dataset] = {}

    def splits(self, configuration: str) -> list[str]:
        return [*self._files[configuration]]

    def load(self, configuration: str, split: str) -> "Dataset":
        if (configuration, split) not in self._loaded:
            files = self._files[configuration][split]
            kinds = {file.suffix.lower() for file in files}
            if len(kinds) > 1:
                raise ValueError(f"{self.path!r} holds parquet and tar files of one split {split}")
            patterns = [glob.escape(str(file)) for file in files]
            with _opening(self.path):
                self._loaded[configuration, split] = require_datasets().load_dataset(
                    _BUILDERS[kinds.pop()], data_files={split: patterns}, split=split
                )
        return self._loaded[configuration, split]


def _below(folder: Path) -> Iterator[Path]:
    """Return the files in a folder and below it; what is hidden is left out."""
    for path in folder.iterdir():
        if not path.name.startswith("."):
            yield from _below(path) if path.is_dir() and not path.is_symlink() else [path]


def _place(file: Path) -> tuple[str, str]:
    """Return the configuration and the split that a file is of, by its path in the set."""
    *folders, _ = file.parts
    name = _SHARD.sub("", file.stem)
    split = name or (folders.pop() if folders else "train")
    return "/".join(folders) or _DEFAULT, re.sub(r"\W+", "_", split)


@contextlib.contextmanager
def _opening(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of Arrow's own kinds, and of those of whatever reads tar files
        raise ValueError(f"data set {path!r} cannot be opened: {_cause(error)}") from error


@contextlib.contextmanager
def _fetching(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of the hub's own kinds and of those of what it connects with
        raise ConnectionError(
            f"there is no file or folder {path!r}, and from the hub it could not be fetched: "
            f"{_cause(error)}"
        ) from error


def _cause(error: BaseException) -> str:
    """Return what is behind an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
