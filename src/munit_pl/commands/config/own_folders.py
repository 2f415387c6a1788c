"""Which settings train on a folder, as far as a look at what it holds tells."""

import mimetypes
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def settings_for(root: str | Path) -> str:
    """Return the settings that train on the images of a folder, as they are typed.

    What is an image is decided by endings here, by the first bytes later.
    """
    domains = _settings(domain_folders(Path(root)))
    return shlex.join([f"data={_kind(Path(root))}", f"data.root={root}", *domains])


def missing_folder(data: Any) -> Iterator[str]:
    """Yield what is wrong where ``data.root`` holds other folders than those that are to be read.

    Args:
        data: The settings of the data.
    """
    if not isinstance(data, Mapping):
        return
    root = Path(str(data.get("root", "")))
    for name in ("train", "train_a", "train_b"):
        folder = data.get(name)
        if not isinstance(folder, str) or not root.is_dir() or (root / folder).is_dir():
            continue
        there = [path.name for path in _folders(root)]
        found = f"the folder{'s' if len(there) > 1 else ''} {' and '.join(there[:10])}"
        if not there:
            found = "images, but no folders" if _holds_images(root, False) else "no images"
        kind = _kind(root)
        cure = [*([] if str(data["_target_"]).endswith(_CLASSES[kind]) else [f"data={kind}"])]
        cure += _settings(domain_folders(root))
        end = f"add {shlex.join(cure)}" if cure else _TWO_FOLDERS
        yield f"there is no folder {str(root / folder)!r}, but {str(root)!r} holds {found}: {end}"
        return


_CLASSES = {"folder": ".UnpairedDataModule", "aligned": ".AlignedDataModule"}
_TWO_FOLDERS = "name one for each domain, as data.train_a=FOLDER data.train_b=FOLDER"


def _kind(root: Path) -> str:
    return "aligned" if _holds_images(root / "train", below=False) else "folder"


def domain_folders(root: Path) -> dict[str, str]:
    """Return each domain's folder below ``root``, by "train_a" and "train_b".

    Empty where folders have the usual names, or not two of other names are found.
    """
    # With one of the usual names there is no guessing which folder was meant for the other.
    if _kind(root) == "aligned" or any((root / name).is_dir() for name in ("trainA", "trainB")):
        return {}
    classes = _folders(root / "train")
    found = classes if len(classes) == 2 else _folders(root)
    found = [path for path in found if not re.match("test|.*_masks$", path.name)]
    if len(found) != 2:
        return {}
    names = [path.relative_to(root).as_posix() for path in found]
    return dict(zip(("train_a", "train_b"), names, strict=True))


def _settings(folders: Mapping[str, str]) -> list[str]:
    return [f"data.{name}={folder}" for name, folder in folders.items()]


def _folders(root: Path) -> list[Path]:
    """Return the folders in ``root`` that hold images, in their order by name."""
    if not root.is_dir():
        return []
    below = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    return [path for path in below if _holds_images(path)]


def _holds_images(folder: Path, below: bool = True) -> bool:
    """Tell whether there is an image in a folder, or in one below it."""
    for _, _, names in os.walk(folder):
        kinds = (mimetypes.guess_type(name, strict=False)[0] for name in names)
        if any(kind and kind.startswith("image/") for kind in kinds):
            return True
        if not below:
            break
    return False
