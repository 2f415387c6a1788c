"""Both generators of a trained model, from whatever file it was saved in."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from munit_pl.formats.exported import read_exported
from munit_pl.formats.nvlabs import read_checkpoint
from munit_pl.networks import AdaINGenerator

Generators = tuple[AdaINGenerator, AdaINGenerator]


def read_generators(path: str | Path, config_path: str | Path | None = None) -> Generators:
    """Read the generators of a checkpoint, of an exported model or of the original MUNIT's file.

    Nothing but tensors and plain values is unpickled.

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
        arguments, state = read_exported(path)
    else:
        arguments, state = _read_pickled(path, Path(config_path) if config_path else None)
    gen_a, gen_b = (_build(name, arguments[name], state, path) for name in ("gen_a", "gen_b"))
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


def _read_pickled(
    path: Path, config_path: Path | None
) -> tuple[dict[str, dict[str, Any]], Mapping[str, Tensor]]:
    try:  # mapped: the optimisers' states, two thirds of a checkpoint, are never read
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # not mappable is the format of torch 0.3 and 0.4, or no checkpoint at all
        checkpoint = None
    if isinstance(checkpoint, Mapping) and {"state_dict", "hyper_parameters"} <= checkpoint.keys():
        given = checkpoint["hyper_parameters"]
        generator = given.get("generator") or {}
        return {
            f"gen_{domain}": {"in_channels": given.get(f"input_channels_{domain}", 3), **generator}
            for domain in "ab"
        }, checkpoint["state_dict"]
    arguments, states = read_checkpoint(path, None, config_path)
    return {
        f"gen_{domain}": {
            "in_channels": arguments[f"input_channels_{domain}"],
            **arguments["generator"],
        }
        for domain in "ab"
    }, {f"{name}.{key}": tensor for name, state in states.items() for key, tensor in state.items()}


def _build(
    name: str, arguments: Mapping[str, Any], state: Mapping[str, Tensor], path: Path
) -> AdaINGenerator:
    own = {  # copied, since a mapped file may change under a running program
        key.removeprefix(f"{name}."): tensor.clone()
        for key, tensor in state.items()
        if key.startswith(f"{name}.")
    }
    try:
        with torch.device("meta"):  # no weights are drawn that would be thrown away
            generator = AdaINGenerator(**arguments)
        generator.load_state_dict(own, assign=True)
    except (RuntimeError, TypeError, ValueError) as error:
        detail = " ".join(str(error).split())
        raise ValueError(f"{path} does not fit the networks that it describes: {detail}") from None
    return generator
