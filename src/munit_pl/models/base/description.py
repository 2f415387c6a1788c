"""What a file says of generators: kind, arguments, size and white of images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from munit_pl.data.images.bit_depth import FULL
from munit_pl.data.sizes import ImageSize
from munit_pl.hub.weights import write_networks
from munit_pl.models.base.generator import DomainGenerator

_SIZE = "image_size"  # in what is said of a generator
_MAX_VALUE = "max_value"  # likewise


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
    networks = {"gen_a": gen_a, "gen_b": gen_b}
    write_networks(path, networks, describe(networks), half)


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


def arguments_of(name: str, description: Any) -> dict[str, Any]:
    """Return the arguments of a network as `describe` noted them, none where it noted none."""
    arguments = _said_of(name, description).get("arguments")
    return arguments if isinstance(arguments, dict) else {}


def _said_of(name: str, description: Any) -> dict[str, Any]:
    """Return what a file says of a network, nothing where it says nothing of use."""
    said = description.get(name) if isinstance(description, dict) else None
    return said if isinstance(said, dict) else {}
