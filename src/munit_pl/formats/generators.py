"""Both generators of a trained model, from whatever file it was saved in."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from munit_pl.formats.exported import read_exported
from munit_pl.formats.nvlabs import read_checkpoint
from munit_pl.formats.nvlabs_unit import holds_unit, read_unit_checkpoint
from munit_pl.generator import DomainGenerator

Generators = tuple[DomainGenerator, DomainGenerator]
Description = dict[str, dict[str, Any]]


def read_generators(path: str | Path, config_path: str | Path | None = None) -> Generators:
    """Read the generators of a checkpoint, of an exported model or of the original MUNIT's file.

    Nothing but tensors and plain values is unpickled. What the generators are is looked up by name
    among `DomainGenerator.kinds`, so one of another package must have been imported.

    Args:
        path: A ``.ckpt`` of ``munit-train``, a ``.safetensors`` of `export_generators`, or the
            original's ``gen_*.pt``.
        config_path: The original's YAML file, for activations other than its defaults.

    Returns:
        Domain a's and domain b's generator, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else; the message says what.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    if _is_safetensors(path):
        description, state = read_exported(path)
    else:
        description, state = _read_pickled(path, Path(config_path) if config_path else None)
    gen_a, gen_b = (_build(name, description, state, path) for name in ("gen_a", "gen_b"))
    return gen_a, gen_b


def digest(path: str | Path) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    sha = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"  # after the header's length


def _read_pickled(path: Path, config_path: Path | None) -> tuple[Description, Mapping[str, Tensor]]:
    checkpoint = _load(path)
    if isinstance(checkpoint, Mapping) and {"state_dict", "generators"} <= checkpoint.keys():
        return checkpoint["generators"], checkpoint["state_dict"]
    unit = holds_unit(checkpoint)
    read = read_unit_checkpoint if unit else read_checkpoint
    arguments, states = read(path, None, config_path)
    description = {
        f"gen_{domain}": {
            "kind": "UNITGenerator" if unit else "AdaINGenerator",
            "arguments": {
                "in_channels": arguments[f"input_channels_{domain}"],
                **arguments["generator"],
            },
        }
        for domain in "ab"
    }
    return description, {
        f"{name}.{key}": tensor for name, state in states.items() for key, tensor in state.items()
    }


def _load(path: Path) -> Any:
    """Return what a file of PyTorch holds, None if it is none."""
    for mapped in (True, False):  # mapped, two thirds of a checkpoint, the optimisers', stay unread
        try:  # but the format of torch 0.3 and 0.4 cannot be mapped
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except Exception:  # whatever it is, the reader of the original's files says so
            continue
    return None


def _build(
    name: str, description: Description, state: Mapping[str, Tensor], path: Path
) -> DomainGenerator:
    own = {  # copied, since a mapped file may change under a running program
        key.removeprefix(f"{name}."): tensor.clone()
        for key, tensor in state.items()
        if key.startswith(f"{name}.")
    }
    try:
        kind = DomainGenerator.kinds[description[name]["kind"]]
    except (KeyError, TypeError):
        known = ", ".join(DomainGenerator.kinds)
        raise ValueError(f"{path} describes no {name} that is known here: {known}") from None
    try:
        with torch.device("meta"):  # no weights are drawn that would be thrown away
            generator = kind(**description[name]["arguments"])
        generator.load_state_dict(own, assign=True)
    except (RuntimeError, TypeError, ValueError) as error:
        detail = " ".join(str(error).split())
        raise ValueError(f"{path} does not fit the networks that it describes: {detail}") from None
    return generator
