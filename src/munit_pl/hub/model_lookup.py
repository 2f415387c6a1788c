"""Finding a model's file by its path, its folder, its run's folder, or its name."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path

from munit_pl.hub.huggingface import download
from munit_pl.hub.pretrained import PRETRAINED, suggest_pretrained
from munit_pl.io.checkpoint_files import newest_valid

Warn = Callable[[str], None]

# One slash is what a path makes of two.
_ON_HUB = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?", re.ASCII)
_EXPORTED = ("model.safetensors", "model.json")  # what `munit-export` writes to a folder
_CHECKPOINTS = "checkpoints"  # where a run has them


def find_model(path: str | Path, warn: Warn = warnings.warn) -> Path:
    """Return the file that holds the model that the user named.

    Args:
        path: A file, the folder of an export, a run's folder, whose newest whole checkpoint is
            meant, the name of a model of `PRETRAINED`, or ``hf://USER/NAME``, with ``@REVISION`` or
            without, which is fetched from Hugging Face's hub.
        warn: Called with a line for each checkpoint that is skipped because it is damaged.

    Raises:
        ConnectionError: If the hub does not answer, or does not have it.
        FileNotFoundError: If there is none.
        ImportError: If huggingface_hub is needed and not installed.
        ValueError: If none of a run's checkpoints is whole.
    """
    name, path = str(path), Path(path)
    if on_hub := _ON_HUB.fullmatch(name):
        path = download(*on_hub.groups())
    for file in _EXPORTED if path.is_dir() else ():
        if (path / file).is_file():
            return path / file
    if not path.exists() and name in PRETRAINED:
        return PRETRAINED[name]
    return find_checkpoint(path, warn)


def find_checkpoint(path: str | Path, warn: Warn = warnings.warn) -> Path:
    """Return a checkpoint that was named by its file or its run; see `find_model`."""
    path = Path(path)
    if path.is_dir():
        return newest_of_run(path.parent if path.name == _CHECKPOINTS else path, warn)
    if not path.is_file():
        hint = f": did you mean {other}?" if (other := suggest_pretrained(path)) else ""
        raise FileNotFoundError(f"there is no checkpoint {path}{hint}")
    return path


def newest_of_run(run: Path, warn: Warn = warnings.warn) -> Path:
    """Return the newest whole checkpoint of a run's folder; see `find_model`."""
    if not holds_checkpoints(run):
        raise FileNotFoundError(f"the folder {run} has no {_listed(run)}")
    newest, passed = newest_valid(run / _CHECKPOINTS)
    if newest is None:
        reasons = "; ".join(passed) or "those that are there are not named after iterations"
        raise ValueError(f"{run / _CHECKPOINTS} has no whole checkpoint: {reasons}")
    for reason in passed:
        warn(f"skipped: {reason}")
    return newest


def holds_checkpoints(run: Path) -> bool:
    """Return whether a folder is that of a run that has saved a checkpoint."""
    return any((run / _CHECKPOINTS).glob("[!.]*.ckpt"))


def run_of(checkpoint: Path) -> Path | None:
    """Return the folder of the run that a checkpoint was saved by, if it still lies there."""
    run = checkpoint.resolve().parent.parent
    return run if holds_checkpoints(run) else None


def _listed(folder: Path) -> str:
    """Say what a folder lacks that could be a model, and which runs are in it."""
    runs = [path for path in sorted(folder.glob("*")) if holds_checkpoints(path)]
    named = f": name one of its runs, such as {runs[-1]}" if runs else ""
    return f"{', no '.join(_EXPORTED)} and no {_CHECKPOINTS}{named}"
