"""Checkpoints that the original MUNIT's code made of UNIT; see `munit_pl.models.munit.nvlabs`."""

from pathlib import Path
from typing import Any

from munit_pl.models.components.nvlabs_config import Config, read_config, shared_arguments
from munit_pl.models.components.nvlabs_files import (
    BLOCK,
    StateDict,
    count,
    leading_sides,
    prelu,
    read_pair,
)
from munit_pl.models.components.nvlabs_networks import read_networks
from munit_pl.models.unit.networks import UNITGenerator

_LANDMARK = "enc.model.0.conv.weight"


def holds_unit(file: Any) -> bool:
    """Tell whether what a file holds are UNIT's generators."""
    first = file.get("a") if isinstance(file, dict) else None
    return isinstance(first, dict) and _LANDMARK in first


def read_unit_checkpoint(
    gen_path: Path, dis_path: Path | None = None, config_path: Path | None = None
) -> tuple[dict[str, Any], dict[str, StateDict]]:
    """Read UNIT's networks as the original saved them.

    Args:
        gen_path: The generators' file.
        dis_path: The discriminators' file.
        config_path: The run's YAML file. Where it and the shapes disagree, the shapes are right.

    Returns:
        Arguments of `UNITModule`, and the state dictionaries of its networks by name
        (``gen_a``, ``gen_b``, and with ``dis_path`` ``dis_a``, ``dis_b``).

    Raises:
        ValueError: If a file is something else; the message says what.
    """
    arguments = read_config(config_path, _arguments_from_config) if config_path else {}
    gens = read_pair(gen_path, _LANDMARK, "generators of UNIT")
    sizes = {domain: _sizes(state, gen_path) for domain, state in gens.items()}
    return arguments, read_networks(
        UNITGenerator, gens, sizes, unit_names, gen_path, dis_path, arguments
    )


def _arguments_from_config(config: Config) -> dict[str, Any]:
    """Return the arguments of `UNITModule` for a configuration in the original's keys."""
    arguments = shared_arguments(config)
    arguments["weights"] |= {
        "kl": float(config["recon_kl_w"]),
        "cycle_kl": float(config["recon_kl_cyc_w"]),
    }
    return arguments


def _sizes(state: StateDict, path: Path) -> dict[str, Any]:
    """Return arguments of `UNITGenerator`, as the shapes of the original's tensors tell them."""
    dim, in_channels = leading_sides(state, _LANDMARK, path)
    return {
        "in_channels": in_channels,
        "dim": dim,
        "num_downsample": count(state, r"enc\.model\.(\d+)\.conv\.weight") - 1,
        "num_res_blocks": count(state, r"dec\.model\.0\.model\.(\d+)\.model\.0\.conv\.weight"),
    } | prelu(state)


def unit_names(depth: int) -> dict[str, str]:
    """Return patterns of the original's names and ours, for ``depth`` downsampling steps."""
    convolutions = "|".join(map(str, range(depth + 1)))
    names = {
        rf"enc\.model\.({convolutions})\.{BLOCK}": r"content_encoder.layers.\1.\2",
        rf"dec\.model\.{2 * depth + 1}\.{BLOCK}": r"decoder.to_image.\1",
    }
    for i in (0, 1):
        block = rf"model\.(\d+)\.model\.{i}\.{BLOCK}"
        names[rf"enc\.model\.{depth + 1}\.{block}"] = (
            rf"content_encoder.res_blocks.\1.conv{i + 1}.\2"
        )
        names[rf"dec\.model\.0\.{block}"] = rf"decoder.res_blocks.\1.conv{i + 1}.\2"
    for i in range(depth):
        names[rf"dec\.model\.{2 * i + 2}\.{BLOCK}"] = rf"decoder.up_blocks.{i}.\1"
    return names
