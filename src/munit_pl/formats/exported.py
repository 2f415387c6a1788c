"""A trained model's generators as one safetensors file: what translating needs, and no more.

The file holds the tensors under ``gen_a.`` and ``gen_b.``, and in its metadata, under
``munit_pl``, a JSON text that says of each generator its kind and its arguments.
"""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from munit_pl.generator import DomainGenerator

_KEY = "munit_pl"
_MAX_HEADER = 4 << 20  # bytes; a model of the published sizes needs a hundredth of that


def export_generators(path: str | Path, gen_a: DomainGenerator, gen_b: DomainGenerator) -> None:
    """Write both generators to ``path``, which appears when it is complete.

    Args:
        path: The file to write, ``*.safetensors``.
        gen_a: Domain a's generator.
        gen_b: Domain b's generator.
    """
    gens = {"gen_a": gen_a, "gen_b": gen_b}
    tensors = {
        f"{name}.{key}": tensor.detach().cpu().contiguous()
        for name, gen in gens.items()
        for key, tensor in gen.state_dict().items()
    }
    description = {
        name: {"kind": type(gen).__name__, "arguments": gen.arguments} for name, gen in gens.items()
    }
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    save_file(tensors, unfinished, {_KEY: json.dumps(description)})
    unfinished.replace(path)


def read_exported(path: Path) -> tuple[Any, dict[str, Tensor]]:
    """Read what `export_generators` wrote.

    Returns:
        What the file says of kind and arguments of ``gen_a`` and ``gen_b``, and all tensors by
        name.

    Raises:
        ValueError: If the file is something else.
    """
    metadata, tensors = read_safetensors(path)
    if _KEY not in metadata:
        raise ValueError(f"{path} holds tensors, but no model that munit_pl exported")
    try:
        return json.loads(metadata[_KEY]), tensors
    except (ValueError, RecursionError):
        raise ValueError(f"{path} describes its model in broken JSON") from None


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read a safetensors file, which may come from a stranger, onto the CPU.

    Returns:
        Its metadata, and its tensors by name.

    Raises:
        ValueError: If it is something else, or damaged; one line says what.
    """
    try:
        with path.open("rb") as file:
            if int.from_bytes(file.read(8), "little") > _MAX_HEADER:
                raise ValueError(f"its header has more than {_MAX_HEADER >> 20} MiB")
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            return metadata, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:  # of the library's kind, or PyTorch's, where a type has no like
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path} is no safetensors file, or a damaged one: {detail}") from None
