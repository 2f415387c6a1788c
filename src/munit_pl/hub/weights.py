"""A trained model's generators as one safetensors file: what translating needs, and no more.

The file holds the tensors under ``gen_a.`` and ``gen_b.``, and in its metadata, under
``munit_pl``, a JSON text that says of each generator its kind and its arguments.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from munit_pl.io.files import write_whole
from munit_pl.io.state_dict_checks import check_finite_weights

_KEY = "munit_pl"
_MAX_HEADER = 4 << 20  # bytes; a model of the published sizes needs a hundredth of that


def write_networks(
    path: str | Path, networks: Mapping[str, nn.Module], description: Any, half: bool = False
) -> None:
    """Write networks to ``path``, which appears when it is complete.

    Args:
        path: The file to write, ``*.safetensors``.
        networks: ``gen_a``, ``gen_b`` and what else goes along.
        description: What the file says of the generators: plain values.
        half: Store weights as float16, in half of the bytes; reading makes them float32 again.

    Raises:
        ValueError: If a weight is too large for half precision, or no finite number.
    """
    # Cloned: the format refuses what two modules share.
    tensors = {
        f"{name}.{key}": tensor.detach().clone().cpu().contiguous()
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }
    if half:
        tensors = {
            name: tensor.to(torch.float16) if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }
    check_finite_weights(tensors)
    # Not save_file, whose files their owner alone can read.
    write_whole(Path(path), save(tensors, {_KEY: json.dumps(description)}))


def read_exported(path: Path) -> tuple[Any, dict[str, Tensor]]:
    """Read what `write_networks` wrote.

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
    """Read a safetensors file, which may come from an untrusted source, onto the CPU.

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
