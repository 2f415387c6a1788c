"""Networks of the original's checkpoints under our names, of MUNIT and of UNIT."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from munit_pl.io.state_dict_checks import build_on_meta
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.models.components.nvlabs_files import (
    BLOCK,
    StateDict,
    count,
    leading_sides,
    prelu,
    read_pair,
    rename,
)

_DEEPEST = 16  # downsampling steps; no image has a side that allows more
_MOST_WEIGHTS = 1_000_000_000  # the published discriminators have 8 million


def read_networks(
    kind: type[DomainGenerator],
    gens: Mapping[str, StateDict],
    sizes: Mapping[str, dict[str, Any]],
    names: Callable[[int], Mapping[str, str]],
    gen_path: Path,
    dis_path: Path | None,
    arguments: dict[str, Any],
) -> dict[str, StateDict]:
    """Give the networks of either method our names, and enter their sizes into ``arguments``.

    Args:
        kind: The generators' class.
        gens: Both domains' tensors, from `read_pair`.
        sizes: Both generators' arguments, as the shapes tell them.
        names: Returns patterns of the original's names and ours for a number of downsampling steps.
        gen_path: Where the generators are from.
        dis_path: The discriminators' file.
        arguments: Of the module.
    """
    arguments |= {f"input_channels_{d}": sizes[d].pop("in_channels") for d in gens}
    if sizes["a"] != sizes["b"]:
        raise ValueError(f"{gen_path}: the two generators differ: {sizes['a']} and {sizes['b']}")
    arguments["generator"] = arguments.get("generator", {}) | sizes["a"]
    if (depth := sizes["a"]["num_downsample"]) not in range(_DEEPEST + 1):
        raise ValueError(f"{gen_path} asks for {depth} downsampling steps: at most {_DEEPEST}")
    states = {f"gen_{d}": rename(state, names(depth), gen_path) for d, state in gens.items()}
    for d in "ab":
        _check_fit(kind, "generator", d, arguments, states[f"gen_{d}"], gen_path)
    if dis_path:
        states |= _read_discriminators(dis_path, arguments)
    else:
        _check_new_discriminator(arguments)
    return states


def _check_new_discriminator(arguments: dict[str, Any]) -> None:
    """Refuse sizes that no file of weights vouches for, and that no machine would take."""
    with torch.device("meta"):
        network = MultiScaleDiscriminator(**arguments.get("discriminator", {}))
    if (size := sum(p.numel() for p in network.parameters())) > _MOST_WEIGHTS:
        raise ValueError(f"the configuration asks for discriminators of {size:.0e} weights")


def _read_discriminators(path: Path, arguments: dict[str, Any]) -> dict[str, StateDict]:
    """Read both discriminators, and enter their sizes into ``arguments`` of a module."""
    dises = read_pair(path, "cnns.0.0.conv.weight", "discriminators")
    sizes_a, sizes_b = (_discriminator_sizes(dises[d], path) for d in "ab")
    if sizes_a != sizes_b:
        raise ValueError(f"{path}: the discriminators differ: {sizes_a} and {sizes_b}")
    asked = arguments.get("discriminator", {})
    if sizes_a["norm"] == "none" and asked.get("norm") == "instance":
        sizes_a["norm"] = "instance"  # which has no tensors
    arguments["discriminator"] = asked | sizes_a
    states = {f"dis_{d}": rename(state, DISCRIMINATOR_NAMES, path) for d, state in dises.items()}
    for d in "ab":
        _check_fit(MultiScaleDiscriminator, "discriminator", d, arguments, states[f"dis_{d}"], path)
    return states


def _check_fit(
    kind: type[nn.Module],
    network: str,
    domain: str,
    arguments: dict[str, Any],
    state: StateDict,
    path: Path,
) -> None:
    """Compare all shapes with those that a few of them imply, before memory is taken for any."""
    channels = {"in_channels": arguments[f"input_channels_{domain}"]}
    try:
        build_on_meta(kind, channels | arguments[network], state)
    except ValueError as error:
        raise ValueError(f"{path} does not fit the networks: {domain}: {error}") from None


def _discriminator_sizes(state: StateDict, path: Path) -> dict[str, Any]:
    """Return arguments of `MultiScaleDiscriminator`, as the shapes tell them."""
    norm = "none"
    for key, name in (
        ("norm.gamma", "layer"),
        ("norm.weight", "batch"),
        ("weight_bar", "spectral"),
    ):
        if any(k.endswith(key) for k in state):
            norm = name
    sizes = {
        "dim": leading_sides(state, "cnns.0.0.conv.weight", path)[0],
        "num_layers": count(state, r"cnns\.0\.(\d+)\.conv\.(?:module\.)?bias"),
        "num_scales": count(state, r"cnns\.(\d+)\.0\.conv\.weight"),
        "norm": norm,
    }
    return sizes | prelu(state)


_SPECTRAL = r"cnns\.(\d+)\.(\d+)\.conv\.module\."


DISCRIMINATOR_NAMES = {
    _SPECTRAL + "weight_bar": r"scales.\1.\2.conv.parametrizations.weight.original",
    _SPECTRAL + "weight_([uv])": r"scales.\1.\2.conv.parametrizations.weight.0._\3",
    _SPECTRAL + "bias": r"scales.\1.\2.conv.bias",
    rf"cnns\.(\d+)\.(\d+)\.{BLOCK}": r"scales.\1.\2.\3",
    r"cnns\.(\d+)\.(\d+)\.(norm\.\w+)": r"scales.\1.\2.\3",
    r"cnns\.(\d+)\.(\d+)\.(weight|bias)": r"scales.\1.\2.\3",
}
