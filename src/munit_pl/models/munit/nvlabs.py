"""Checkpoints of the original MUNIT: ``gen_*.pt`` and ``dis_*.pt``, each ``{"a": ..., "b": ...}``.

The names of the tensors and their sizes are facts of the file format; the weights that NVIDIA
released are under its own, non-commercial license.
"""

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
from munit_pl.models.munit.networks import AdaINGenerator


def read_munit_checkpoint(
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
    arguments = read_config(config_path, arguments_from_config) if config_path else {}
    gens = read_pair(gen_path, "enc_content.model.0.conv.weight", "generators")
    sizes = {domain: _generator_sizes(state, gen_path) for domain, state in gens.items()}
    states = read_networks(
        AdaINGenerator, gens, sizes, _generator_names, gen_path, dis_path, arguments
    )
    return arguments, states


def arguments_from_config(config: Config) -> dict[str, Any]:
    """Return the arguments of `MUNITModule` for a configuration in the original's keys."""
    arguments = shared_arguments(config)
    arguments["generator"] |= {key: config["gen"][key] for key in ("style_dim", "mlp_dim")}
    arguments["weights"] |= {
        "style": float(config["recon_s_w"]),
        "content": float(config["recon_c_w"]),
    }
    return arguments


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


def _generator_names(depth: int) -> dict[str, str]:
    """Return patterns of the original's names and ours, for ``depth`` downsampling steps."""
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
