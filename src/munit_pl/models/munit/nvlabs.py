"""Checkpoints of the original MUNIT: ``gen_*.pt`` and ``dis_*.pt``, each ``{"a": ..., "b": ...}``.

The names of the tensors and their sizes are facts of the file format; the weights that NVIDIA
released are under its own, non-commercial licence.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from munit_pl.io.fitting import build_on_meta
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.models.components.nvlabs_config import munit_arguments, read_config
from munit_pl.models.components.nvlabs_files import (
    BLOCK,
    StateDict,
    count,
    leading_sides,
    prelu,
    read_pair,
    rename,
)
from munit_pl.models.munit.networks import AdaINGenerator

_DEEPEST = 16  # halvings; no image has a side that allows more
_MOST_WEIGHTS = 1_000_000_000  # the published discriminators have 8 million


def read_checkpoint(
    gen_path: Path, dis_path: Path | None = None, config_path: Path | None = None
) -> tuple[dict[str, Any], dict[str, StateDict]]:
    """Read the networks that the original saved.

    Args:
        gen_path: The generators' file.
        dis_path: The discriminators' file.
        config_path: The run's YAML file. Where it and the shapes disagree, the shapes are right.

    Returns:
        Arguments of `MUNITModule`, and the state dictionaries of its networks by name
        (``gen_a``, ``gen_b``, and with ``dis_path`` ``dis_a``, ``dis_b``).

    Raises:
        ValueError: If a file is something else; the message says what.
    """
    arguments = read_config(config_path, munit_arguments) if config_path else {}
    gens = read_pair(gen_path, "enc_content.model.0.conv.weight", "generators")
    sizes = {domain: _generator_sizes(state, gen_path) for domain, state in gens.items()}
    states = read_networks(
        AdaINGenerator, gens, sizes, _generator_names, gen_path, dis_path, arguments
    )
    return arguments, states


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
        names: Returns patterns of the original's names and ours for a number of halvings.
        gen_path: Where the generators are from.
        dis_path: The discriminators' file.
        arguments: Of the module.
    """
    arguments |= {f"input_channels_{d}": sizes[d].pop("in_channels") for d in gens}
    if sizes["a"] != sizes["b"]:
        raise ValueError(f"{gen_path}: the two generators differ: {sizes['a']} and {sizes['b']}")
    arguments["generator"] = arguments.get("generator", {}) | sizes["a"]
    if (depth := sizes["a"]["num_downsample"]) not in range(_DEEPEST + 1):
        raise ValueError(f"{gen_path} holds no generators that could be: {depth} halvings")
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


def _generator_sizes(state: StateDict, path: Path) -> dict[str, Any]:
    """Return arguments of `AdaINGenerator`, as the shapes of the original's tensors tell them."""
    dim, in_channels = leading_sides(state, "enc_content.model.0.conv.weight", path)
    depth = count(state, r"enc_content\.model\.(\d+)\.conv\.weight") - 1
    sizes = {
        "in_channels": in_channels,
        "dim": dim,
        "style_dim": leading_sides(state, "enc_style.model.6.weight", path)[0],
        "mlp_dim": leading_sides(state, "mlp.model.0.fc.weight", path)[0],
        "num_downsample": depth,
        "num_res_blocks": count(state, r"dec\.model\.0\.model\.(\d+)\.model\.0\.conv\.weight"),
    }
    return sizes | prelu(state)


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


def _generator_names(depth: int) -> dict[str, str]:
    """Return patterns of the original's names and ours, for ``depth`` halvings of the side."""
    convolutions = "|".join(map(str, range(depth + 1)))
    names = {
        rf"enc_style\.model\.([0-4])\.{BLOCK}": r"style_encoder.layers.\1.\2",
        r"enc_style\.model\.6\.(weight|bias)": r"style_encoder.head.\1",
        rf"enc_content\.model\.({convolutions})\.{BLOCK}": r"content_encoder.layers.\1.\2",
        rf"dec\.model\.{2 * depth + 1}\.{BLOCK}": r"decoder.to_image.\1",
        r"dec\.model\.0\.model\.(\d+)\.model\.0\.(activation\.weight)": r"decoder.res_blocks.\1.\2",
    }
    for i in (0, 1):
        block = rf"model\.(\d+)\.model\.{i}\.{BLOCK}"
        names[rf"enc_content\.model\.{depth + 1}\.{block}"] = (
            rf"content_encoder.res_blocks.\1.conv{i + 1}.\2"
        )
        names[rf"dec\.model\.0\.{block}"] = rf"decoder.res_blocks.\1.conv{i + 1}.\2"
    for i in range(depth):
        names[rf"dec\.model\.{2 * i + 2}\.{BLOCK}"] = rf"decoder.up_blocks.{i}.\1"
    for i in range(3):
        names[rf"mlp\.model\.{i}\.fc\.(weight|bias)"] = rf"decoder.mlp.{2 * i}.\1"
        names[rf"mlp\.model\.{i}\.activation\.(weight)"] = rf"decoder.mlp.{2 * i + 1}.\1"
    return names


_SPECTRAL = r"cnns\.(\d+)\.(\d+)\.conv\.module\."
DISCRIMINATOR_NAMES = {
    _SPECTRAL + "weight_bar": r"scales.\1.\2.conv.parametrizations.weight.original",
    _SPECTRAL + "weight_([uv])": r"scales.\1.\2.conv.parametrizations.weight.0._\3",
    _SPECTRAL + "bias": r"scales.\1.\2.conv.bias",
    rf"cnns\.(\d+)\.(\d+)\.{BLOCK}": r"scales.\1.\2.\3",
    r"cnns\.(\d+)\.(\d+)\.(norm\.\w+)": r"scales.\1.\2.\3",
    r"cnns\.(\d+)\.(\d+)\.(weight|bias)": r"scales.\1.\2.\3",
}
