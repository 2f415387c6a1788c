"""What a command is asked to read, checked before time is spent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from munit_pl.commands.errors import InputError
from munit_pl.commands.runtime.processes import tell
from munit_pl.hub.finding import holds_checkpoints, newest_of_run
from munit_pl.io.checkpoint_files import check_schema, verify
from munit_pl.io.safe_reading import read_checkpoint
from munit_pl.io.training_state import check_training_state
from munit_pl.models.base.description import method_of
from munit_pl.models.base.module import AdversarialModule


def find_last(folder: Path) -> Path:
    """Return the newest whole checkpoint of a run's folder, or of the newest run beside it.

    Those that are passed over are told of on stderr.

    Raises:
        InputError: If there is none, or none that is whole. Never is an older run taken for it.
    """
    if not holds_checkpoints(folder):
        beside = list(folder.parent.glob("*/checkpoints/[!.]*.ckpt"))
        if not beside:
            raise InputError(f"ckpt_path=last finds no checkpoint in {folder.parent}")
        folder = max(beside, key=lambda file: file.stat().st_mtime).parents[1]
    try:
        return newest_of_run(folder, tell)
    except ValueError as error:
        raise InputError(f"{error}. To start from scratch, give another run=NAME") from error


def check_checkpoint(path: Path, module: LightningModule) -> None:
    """Make sure that ``path`` is a whole checkpoint of training, of a model of ``module``'s sizes.

    The file may be untrusted: nothing of it is run, and sizes are compared before any is made.

    Raises:
        InputError: If it is not.
    """
    try:
        verify(path)
        checkpoint = read_checkpoint(path)  # mapped: only the table of contents costs time
        state = checkpoint.get("state_dict") if isinstance(checkpoint, Mapping) else None
        if state is not None:
            check_schema(checkpoint)
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from error
    if not isinstance(state, Mapping):
        raise InputError(
            f"{path} is no checkpoint of munit-train (the original MUNIT's files are read by "
            "MUNITModule.from_nvlabs)"
        )
    saved = method_of(checkpoint.get("generators"))
    asked = getattr(getattr(module, "gen_b", None), "method", None)
    if saved and asked and saved != asked:
        raise InputError(
            f"{path} is a checkpoint of {saved}, from which {asked} cannot go on: choose the model "
            "that it was trained as, or leave out ckpt_path"
        )
    theirs, ours = _shapes(state), _shapes(module.state_dict())
    for name in theirs.keys() | ours.keys():
        if theirs.get(name) != ours.get(name):
            raise InputError(
                f"{path} is a checkpoint of another model: {str(name)[:100]!r} is "
                f"{theirs.get(name)} there and {ours.get(name)} here; give the same model settings"
            )

    if isinstance(module, AdversarialModule):
        optimizers, _ = cast(Any, module.configure_optimizers())
        try:
            check_training_state(checkpoint, optimizers)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is nothing that training can go on from: {error}") from error


@contextmanager
def explaining_restore(path: Path | None) -> Iterator[None]:
    """Tell in one line what Lightning and the callbacks stumble over in a checkpoint's state.

    Raises:
        InputError: If an error comes from where Lightning restores states.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (LookupError, AttributeError, TypeError, ArithmeticError, RuntimeError) as error:
        names = {  # of Lightning's functions that restore; another of that file saves
            frame.name
            for frame in extract_tb(error.__traceback__)
            if Path(frame.filename).stem == "checkpoint_connector"
        }
        if path is None or not names or "dump_checkpoint" in names:
            raise
        reason = " ".join(repr(error).split())[:200]
        raise InputError(f"{path} is nothing that training can go on from: {reason}") from error


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...] | None]:
    return {name: tuple(x.shape) if isinstance(x, Tensor) else None for name, x in state.items()}
