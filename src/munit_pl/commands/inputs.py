"""What a command is asked to read, checked before time is spent."""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule


class InputError(Exception):
    """Something was asked for that cannot be: one line says what, where and what to do."""


def find_last(folder: Path) -> Path:
    """Return the newest ``last.ckpt`` of a run's folder, or of the runs beside it."""
    here = folder / "checkpoints" / "last.ckpt"
    if here.exists():
        return here
    beside = list(folder.parent.glob("*/checkpoints/last.ckpt"))
    if not beside:
        raise InputError(f"ckpt_path=last finds no checkpoint in {folder.parent}")
    return max(beside, key=lambda file: file.stat().st_mtime)


def check_checkpoint(path: Path, module: LightningModule) -> None:
    """Make sure that ``path`` is a checkpoint of a model of ``module``'s sizes."""
    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}")
    try:  # mapped, not read: only the table of contents costs time
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise InputError(f"{path} is no checkpoint: it is damaged, or something else") from error
    if not isinstance(checkpoint, Mapping) or "state_dict" not in checkpoint:
        raise InputError(
            f"{path} is no checkpoint of munit-train (the original MUNIT's files are read by "
            "MUNITModule.from_nvlabs)"
        )
    theirs, ours = _shapes(checkpoint["state_dict"]), _shapes(module.state_dict())
    for name in theirs.keys() | ours.keys():
        if theirs.get(name) != ours.get(name):
            raise InputError(
                f"{path} is a checkpoint of another model: {name} is {theirs.get(name)} there and "
                f"{ours.get(name)} here; give the same model settings"
            )


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def has_wandb_key() -> bool:
    """Tell whether W&B could log in without asking."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].split("/")[0]
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
