"""A trained model's generators as one safetensors file: what translating needs, and no more.

The file holds the tensors under ``gen_a.`` and ``gen_b.``, and in its metadata, under
``munit_pl``, a JSON text that says of each generator its kind and its arguments.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from munit_pl.data.sizes import ImageSize
from munit_pl.data.value_range import FULL
from munit_pl.io.fitting import check_finite
from munit_pl.models.base.generator import DomainGenerator

_KEY = "munit_pl"
_SIZE = "image_size"  # in what is said of a generator
_MAX_VALUE = "max_value"  # likewise
_MAX_HEADER = 4 << 20  # bytes; a model of the published sizes needs a hundredth of that


def export_generators(
    path: str | Path, gen_a: DomainGenerator, gen_b: DomainGenerator, half: bool = False
) -> None:
    """Write both generators to ``path``, which appears when it is complete.

    Args:
        path: The file to write, ``*.safetensors``.
        gen_a: Domain a's generator.
        gen_b: Domain b's generator.
        half: Store weights as float16, in half of the bytes; reading makes them float32 again.

    Raises:
        ValueError: If a weight is too large for half precision, or no finite number.
    """
    write_networks(path, {"gen_a": gen_a, "gen_b": gen_b}, half)


def write_networks(path: str | Path, networks: Mapping[str, nn.Module], half: bool = False) -> None:
    """Write networks as `export_generators` does, whatever else there is beside ``gen_a, gen_b``.

    Raises:
        ValueError: As `export_generators`.
    """
    tensors = {
        f"{name}.{key}": tensor.detach().cpu().contiguous()
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }
    if half:
        tensors = {
            name: tensor.to(torch.float16) if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }
        check_finite(tensors)
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    # Not save_file, whose files their owner alone can read.
    unfinished.write_bytes(save(tensors, {_KEY: json.dumps(describe(networks))}))
    unfinished.replace(path)


def describe(networks: Mapping[str, nn.Module]) -> dict[str, dict[str, Any]]:
    """Return the kind and the arguments of those networks that are generators, by their names.

    Where they are known, size and white of the images that they were trained on come along.
    """
    return {
        name: {"kind": type(gen).__name__, "arguments": gen.arguments, **describe_images(gen)}
        for name, gen in networks.items()
        if isinstance(gen, DomainGenerator)
    }


def describe_images(gen: DomainGenerator) -> dict[str, Any]:
    """Return entries of the size and the white of a generator's images, as far as they tell."""
    size = {_SIZE: gen.image_size.as_plain()} if gen.image_size else {}
    return size | ({_MAX_VALUE: gen.max_value} if gen.max_value != FULL else {})


def recall_images(gens: Mapping[str, DomainGenerator], description: Any) -> None:
    """Let generators know the size and white of their images again, where `describe` noted it.

    Raises:
        ValueError: If what stands there is no size of images, or no white.
    """
    for name, gen in gens.items():
        said = _said_of(name, description)
        gen.image_size = ImageSize.from_plain(said.get(_SIZE))
        max_value = said.get(_MAX_VALUE, FULL)
        if not isinstance(max_value, int) or not 1 <= max_value <= FULL:
            raise ValueError(f"its images' white is {str(max_value)[:100]!r}")
        gen.max_value = max_value


def method_of(description: Any) -> str | None:
    """Return whose generators `describe` described, if that is a method that is known here."""
    kind = _said_of("gen_b", description).get("kind")
    known = DomainGenerator.kinds.get(kind) if isinstance(kind, str) else None
    return known.method if known else None


def _said_of(name: str, description: Any) -> dict[str, Any]:
    """Return what a file says of a network, nothing where it says nothing of use."""
    said = description.get(name) if isinstance(description, dict) else None
    return said if isinstance(said, dict) else {}


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
