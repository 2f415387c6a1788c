"""Resuming a run: from which checkpoint, whether it fits, and the command that does it.

What has changed since is told by `munit_pl.optim.resume_settings` (optimizers and schedules) and
`training_precision`; the state within a checkpoint is checked by `munit_pl.io.training_state`.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import Any, cast

import torch
from hydra.core.override_parser.types import Quote, QuotedString
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from munit_pl.commands.config.overrides import failing_as_input_error
from munit_pl.commands.errors import InputError
from munit_pl.commands.runtime.processes import find_place, tell
from munit_pl.commands.terminal import short_path
from munit_pl.hub.model_lookup import find_checkpoint, holds_checkpoints, newest_of_run
from munit_pl.io.checkpoint_files import check_schema, verify
from munit_pl.io.safe_reading import read_checkpoint
from munit_pl.io.training_state import check_training_state
from munit_pl.models.base.description import arguments_of, method_of
from munit_pl.models.base.module import AdversarialModule


def refuse_used_folder(ckpt_path: str | None, folder: Path) -> None:
    """Refuse to start a run from scratch in the folder of another.

    Raises:
        InputError: If ``folder`` holds checkpoints and ``ckpt_path`` asks for none.
    """
    if ckpt_path is None and holds_checkpoints(folder):
        raise InputError(
            f"{folder} holds a run already: go on with it (ckpt_path=last) or name another (run=)"
        )


def checkpoint_to_resume(ckpt_path: str | None, folder: Path) -> Path | None:
    """Return the checkpoint that a run continues from; None if it starts from scratch.

    Args:
        ckpt_path: The setting of that name: a checkpoint, "last", "auto" or None.
        folder: The run's.

    Raises:
        InputError: If there is no such checkpoint.
    """
    if ckpt_path == "last" or (ckpt_path == "auto" and holds_checkpoints(folder)):
        return find_last(folder)
    if ckpt_path in (None, "auto"):
        return None
    with failing_as_input_error(None):
        return find_checkpoint(ckpt_path, tell)


def find_last(folder: Path) -> Path:
    """Return the newest whole checkpoint of a run's folder, or of the newest run beside it.

    Those that are skipped are reported on stderr.

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
    checkpoint = _read_whole(path)
    saved = method_of(checkpoint.get("generators"))
    asked = getattr(getattr(module, "gen_b", None), "method", None)
    if saved and asked and saved != asked:
        raise InputError(
            f"{path} is a checkpoint of {saved}, from which {asked} cannot go on: choose the model "
            "that it was trained as, or leave out ckpt_path"
        )
    theirs, ours = _shapes(checkpoint["state_dict"]), _shapes(module.state_dict())
    for name in theirs.keys() | ours.keys():
        if theirs.get(name) != ours.get(name):
            raise InputError(
                f"{path} is a checkpoint of another model: {str(name)[:100]!r} is "
                f"{theirs.get(name)} there and {ours.get(name)} here; "
                + _give(checkpoint.get("generators"), module)
            )
    if isinstance(module, AdversarialModule):
        optimizers, _ = cast(Any, module.configure_optimizers())
        try:
            check_training_state(checkpoint, optimizers)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} cannot be resumed from: {error}") from error


def _give(description: Any, module: LightningModule) -> str:
    """Return what setting a module is to be given to be the model that `describe` described."""
    had = arguments_of("gen_b", description)
    # Not all that the network has: its channels are no settings of `generator`.
    for name, now in (module.hparams.get("generator") or {}).items():
        if name in had and had[name] != now:
            return f"give model.generator.{name}={had[name]!r:.60}, as there"
    return "give the same model settings"


def _read_whole(path: Path) -> Mapping[str, Any]:
    """Read a checkpoint that has a state dictionary and is undamaged."""
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
    return checkpoint


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
        raise InputError(f"{path} cannot be resumed from: {reason}") from error


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...] | None]:
    return {name: tuple(x.shape) if isinstance(x, Tensor) else None for name, x in state.items()}


def how_to_resume(
    trainer: Trainer, overrides: Sequence[str] | None, folder: Path, name: str
) -> str | None:
    """Return the command line that continues a run that has ended, or what keeps it from that.

    Args:
        trainer: The run's.
        overrides: The settings that it was started with, as they were typed; None if it was started
            from another program.
        folder: Its folder.
        name: Its experiment's.
    """
    # A schedule of the user's own does not follow trainer.max_steps, those of conf/ do.
    own = overrides is None or any("scheduler" in word for word in overrides)
    if own and _has_annealed(trainer):
        return "the learning rate has fallen to 0: a longer run takes a longer schedule"
    if overrides is None:
        return None
    return resume_command(overrides, folder, name, _as_many_again(trainer))


def resume_command(
    overrides: Sequence[str], folder: Path, name: str, more: Sequence[str] = ()
) -> str:
    """Return the command line that continues a run.

    Args:
        overrides: The settings that it was started with.
        folder: Its folder.
        name: Its experiment's.
        more: Settings that take the place of those with the same keys.
    """
    runs = Path("outputs", name).absolute()
    if folder.absolute().is_relative_to(runs):
        where = f"run={_quoted(folder.absolute().relative_to(runs).as_posix())}"
    else:
        where = f"output_dir={_quoted(short_path(folder))}"
    new = [where, "ckpt_path=last", *more]
    replaced = {"run", "output_dir", *(setting.split("=")[0] for setting in new)}
    kept = [word for word in overrides if word.lstrip("+").split("=")[0] not in replaced]
    if find_place().world_size > 1:
        return f"start all processes as before, with {shlex.join(new)}"
    return shlex.join(["munit-train", *kept, *new])


def _has_annealed(trainer: Trainer) -> bool:
    """Tell whether nothing would be learnt any more, as at the end of a linear schedule."""
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    return bool(groups) and not any(group["lr"] for group in groups)


def _as_many_again(trainer: Trainer) -> list[str]:
    """Return what a run that is through must be given to go on: as many iterations again."""
    if 0 < trainer.max_steps <= trainer.global_step:
        return [f"trainer.max_steps={trainer.global_step + trainer.max_steps}"]
    epochs, done = trainer.max_epochs or -1, trainer.current_epoch
    return [f"trainer.max_epochs={done + epochs}"] if 0 < epochs <= done else []


def _quoted(value: str) -> str:
    """Return a value as Hydra's grammar takes it."""
    if re.fullmatch(r"[\w./:+-]+", value, re.ASCII):
        return value
    return QuotedString(value, Quote.single).with_quotes()
