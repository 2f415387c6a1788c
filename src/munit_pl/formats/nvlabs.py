"""Checkpoints of the original MUNIT: ``gen_*.pt`` and ``dis_*.pt``, each ``{"a": ..., "b": ...}``.

The names of the tensors and their sizes are facts of the file format; the weights that NVIDIA
released are under its own, non-commercial licence.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from munit_pl.formats.nvlabs_config import munit_arguments, read_config

StateDict = dict[str, Tensor]

BLOCK = r"(conv\.(?:weight|bias)|norm\.(?:gamma|beta)|activation\.weight)"


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
    return arguments, read_networks(gens, sizes, _generator_names, gen_path, dis_path, arguments)


def read_networks(
    gens: Mapping[str, StateDict],
    sizes: Mapping[str, dict[str, Any]],
    names: Callable[[int], Mapping[str, str]],
    gen_path: Path,
    dis_path: Path | None,
    arguments: dict[str, Any],
) -> dict[str, StateDict]:
    """Give the networks of either method our names, and enter their sizes into ``arguments``.

    Args:
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
    patterns = names(sizes["a"]["num_downsample"])
    states = {f"gen_{d}": rename(state, patterns, gen_path) for d, state in gens.items()}
    if dis_path:
        states |= _read_discriminators(dis_path, arguments)
    return states


def _read_discriminators(path: Path, arguments: dict[str, Any]) -> dict[str, StateDict]:
    """Read both discriminators, and enter their sizes into ``arguments`` of a module."""
    dises = read_pair(path, "cnns.0.0.conv.weight", "discriminators")
    sizes_a, sizes_b = (_discriminator_sizes(dises[d]) for d in "ab")
    if sizes_a != sizes_b:
        raise ValueError(f"{path}: the discriminators differ: {sizes_a} and {sizes_b}")
    asked = arguments.get("discriminator", {})
    if sizes_a["norm"] == "none" and asked.get("norm") == "instance":
        sizes_a["norm"] = "instance"  # which has no tensors
    arguments["discriminator"] = asked | sizes_a
    return {f"dis_{d}": rename(state, DISCRIMINATOR_NAMES, path) for d, state in dises.items()}


def load_states(
    module: nn.Module,
    states: Mapping[str, StateDict],
    gen_path: str | Path,
    dis_path: str | Path | None,
) -> None:
    """Put the networks that were read into a module; a misfit names the file it comes from."""
    for name, state in states.items():
        try:
            module.get_submodule(name).load_state_dict(state)
        except RuntimeError as error:  # many lines, of which the first names no file
            path = gen_path if name.startswith("gen") else dis_path
            detail = " ".join(str(error).split())
            raise ValueError(f"{path} does not fit the networks: {detail}") from None


def read_pair(path: Path, landmark: str, content: str) -> dict[str, StateDict]:
    """Return both domains' tensors, or say what the file holds instead."""
    try:
        file = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except Exception as error:
        raise ValueError(
            f"{path} is no file of PyTorch weights, or holds more than weights"
        ) from error
    states = file if isinstance(file, Mapping) else {}
    if {"a", "b"} <= states.keys() and all(
        isinstance(states[d], Mapping) and landmark in states[d] for d in "ab"
    ):
        return {"a": dict(states["a"]), "b": dict(states["b"])}
    raise ValueError(f"{path} holds no {content} of the original MUNIT: it is {_describe(states)}")


def _describe(states: Mapping[str, Any]) -> str:
    """Say in words what a file that is not the expected one holds."""
    first = states.get("a")
    if isinstance(first, Mapping) and "b" not in states:
        return "one domain's network alone"
    keys = [str(key) for key in (first if isinstance(first, Mapping) else states)]
    if "pytorch-lightning_version" in states:
        return "a checkpoint of Lightning, which MUNITModule.load_from_checkpoint reads"
    if {"gen", "dis"} <= states.keys():
        return "the optimisers' state (optimizer.pt)"
    if any(key.startswith("enc_content.") for key in keys):
        return "generators (gen_*.pt)" if first else "one generator without its domain's name"
    if any(key.startswith("cnns.") for key in keys):
        return "discriminators (dis_*.pt)" if first else "one discriminator without its domain"
    if any(key.startswith("enc.model.") for key in keys):
        return "generators of UNIT, which UNITModule.from_nvlabs reads"
    return f"something with the entries {', '.join(map(str, list(keys)[:3])) or 'none'}"


def _generator_sizes(state: StateDict, path: Path) -> dict[str, Any]:
    """Return arguments of `AdaINGenerator`, as the shapes of the original's tensors tell them."""
    for key in ("enc_style.model.6.weight", "mlp.model.0.fc.weight"):
        if key not in state:
            raise ValueError(f"{path} is incomplete: it has no {key}")
    dim, in_channels = state["enc_content.model.0.conv.weight"].shape[:2]
    depth = count(state, r"enc_content\.model\.(\d+)\.conv\.weight") - 1
    sizes = {
        "in_channels": in_channels,
        "dim": dim,
        "style_dim": state["enc_style.model.6.weight"].shape[0],
        "mlp_dim": state["mlp.model.0.fc.weight"].shape[0],
        "num_downsample": depth,
        "num_res_blocks": count(state, r"dec\.model\.0\.model\.(\d+)\.model\.0\.conv\.weight"),
    }
    return sizes | prelu(state)


def _discriminator_sizes(state: StateDict) -> dict[str, Any]:
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
        "dim": state["cnns.0.0.conv.weight"].shape[0],
        "num_layers": count(state, r"cnns\.0\.(\d+)\.conv\.(?:module\.)?bias"),
        "num_scales": count(state, r"cnns\.(\d+)\.0\.conv\.weight"),
        "norm": norm,
    }
    return sizes | prelu(state)


def prelu(state: StateDict) -> dict[str, str]:
    """Return the activation where the tensors tell it: only "prelu" has any."""
    return {"activation": "prelu"} if any("activation" in key for key in state) else {}


def count(state: StateDict, pattern: str) -> int:
    """Return how many different first groups of ``pattern`` the tensors' names have."""
    return len({m[1] for m in map(re.compile(pattern).fullmatch, state) if m})


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


def rename(state: StateDict, names: Mapping[str, str], path: Path) -> StateDict:
    """Return ``state`` under our names, without statistics that the original never used.

    Adaptive instance normalisation registered dummy statistics, and before torch 0.4 every
    instance normalisation kept some.
    """
    batch_norm = any(key.endswith("norm.weight") for key in state)
    renamed = {}
    for key, tensor in state.items():
        if not batch_norm and re.search(r"norm\.(running_(mean|var)|num_batches_tracked)$", key):
            continue
        for pattern, name in names.items():
            if match := re.fullmatch(pattern, key):
                renamed[match.expand(name)] = tensor
                break
        else:
            raise ValueError(f"{path} holds {key}, which no network of the original MUNIT has")
    return renamed
