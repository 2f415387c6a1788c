"""Checkpoints of the original MUNIT: ``gen_*.pt`` and ``dis_*.pt``, each ``{"a": ..., "b": ...}``.

The names of the tensors and their sizes are facts of the file format; the weights that NVIDIA
released are under its own, non-commercial licence.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

StateDict = dict[str, Tensor]

_BLOCK = r"(conv\.(?:weight|bias)|norm\.(?:gamma|beta)|activation\.weight)"
_NORM = {"none": "none", "bn": "batch", "in": "instance", "ln": "layer", "sn": "spectral"}
_INIT = {"gaussian": "normal"}


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
    arguments = read_config(config_path) if config_path else {}
    gens = _read_pair(gen_path, "enc_content.model.0.conv.weight", "generators")
    sizes = {domain: _generator_sizes(state, gen_path) for domain, state in gens.items()}
    arguments |= {f"input_channels_{d}": sizes[d].pop("in_channels") for d in gens}
    if sizes["a"] != sizes["b"]:
        raise ValueError(f"{gen_path}: the two generators differ: {sizes['a']} and {sizes['b']}")
    arguments["generator"] = arguments.get("generator", {}) | sizes["a"]
    names = _generator_names(sizes["a"]["num_downsample"])
    states = {f"gen_{d}": _rename(state, names, gen_path) for d, state in gens.items()}
    if dis_path:
        dises = _read_pair(dis_path, "cnns.0.0.conv.weight", "discriminators")
        sizes_a, sizes_b = (_discriminator_sizes(dises[d]) for d in "ab")
        if sizes_a != sizes_b:
            raise ValueError(f"{dis_path}: the discriminators differ: {sizes_a} and {sizes_b}")
        asked = arguments.get("discriminator", {})
        if sizes_a["norm"] == "none" and asked.get("norm") == "instance":
            sizes_a["norm"] = "instance"  # which has no tensors
        arguments["discriminator"] = asked | sizes_a
        states |= {
            f"dis_{d}": _rename(state, _DISCRIMINATOR_NAMES, dis_path) for d, state in dises.items()
        }
    return arguments, states


def read_config(path: Path) -> dict[str, Any]:
    """Return the arguments of `MUNITModule` that the original's YAML file asks for."""
    try:
        config = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML file") from error
    if not isinstance(config, dict) or not {"gen", "dis", "gan_w"} <= config.keys():
        raise ValueError(f"{path} is no configuration of the original MUNIT: no gen, dis, gan_w")
    try:
        return _translate(config)
    except KeyError as error:
        raise ValueError(f"{path} has no or an unknown {error.args[0]}") from None


def _translate(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `MUNITModule` for a configuration in the original's keys."""
    gen, dis = config["gen"], config["dis"]
    pad = {"zero": "zeros"}
    return {
        "input_channels_a": config["input_dim_a"],
        "input_channels_b": config["input_dim_b"],
        "generator": {
            "dim": gen["dim"],
            "style_dim": gen["style_dim"],
            "mlp_dim": gen["mlp_dim"],
            "num_downsample": gen["n_downsample"],
            "num_res_blocks": gen["n_res"],
            "activation": gen["activ"],
            "padding_mode": pad.get(gen["pad_type"], gen["pad_type"]),
        },
        "discriminator": {
            "dim": dis["dim"],
            "num_layers": dis["n_layer"],
            "num_scales": dis["num_scales"],
            "norm": _NORM[dis["norm"]],
            "activation": dis["activ"],
            "padding_mode": pad.get(dis["pad_type"], dis["pad_type"]),
        },
        "initialisation": {
            "generator": _INIT.get(config["init"], config["init"]),
            "skip_spectral": True,
        },
        "gan_loss": dis["gan_type"],
        "weights": {
            "gan": float(config["gan_w"]),
            "image": float(config["recon_x_w"]),
            "style": float(config["recon_s_w"]),
            "content": float(config["recon_c_w"]),
            "cycle": float(config["recon_x_cyc_w"]),
            "perceptual": float(config["vgg_w"]),
        },
        "optimizer": {
            "lr": float(config["lr"]),  # YAML takes 1e-4 for a word
            "betas": [float(config["beta1"]), float(config["beta2"])],
            "weight_decay": float(config["weight_decay"]),
        },
        "scheduler": {
            "step_size": config.get("step_size", 1),
            "gamma": float(config["gamma"]) if config["lr_policy"] == "step" else 1.0,
        },
    }


def _read_pair(path: Path, landmark: str, content: str) -> dict[str, StateDict]:
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
        return "generators of UNIT, not of MUNIT"
    return f"something with the entries {', '.join(map(str, list(keys)[:3])) or 'none'}"


def _generator_sizes(state: StateDict, path: Path) -> dict[str, Any]:
    """Return arguments of `AdaINGenerator`, as the shapes of the original's tensors tell them."""
    for key in ("enc_style.model.6.weight", "mlp.model.0.fc.weight"):
        if key not in state:
            raise ValueError(f"{path} is incomplete: it has no {key}")
    dim, in_channels = state["enc_content.model.0.conv.weight"].shape[:2]
    depth = _count(state, r"enc_content\.model\.(\d+)\.conv\.weight") - 1
    sizes = {
        "in_channels": in_channels,
        "dim": dim,
        "style_dim": state["enc_style.model.6.weight"].shape[0],
        "mlp_dim": state["mlp.model.0.fc.weight"].shape[0],
        "num_downsample": depth,
        "num_res_blocks": _count(state, r"dec\.model\.0\.model\.(\d+)\.model\.0\.conv\.weight"),
    }
    return sizes | _prelu(state)


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
        "num_layers": _count(state, r"cnns\.0\.(\d+)\.conv\.(?:module\.)?bias"),
        "num_scales": _count(state, r"cnns\.(\d+)\.0\.conv\.weight"),
        "norm": norm,
    }
    return sizes | _prelu(state)


def _prelu(state: StateDict) -> dict[str, str]:
    """Return the activation where the tensors tell it: only "prelu" has any."""
    return {"activation": "prelu"} if any("activation" in key for key in state) else {}


def _count(state: StateDict, pattern: str) -> int:
    return len({m[1] for m in map(re.compile(pattern).fullmatch, state) if m})


def _generator_names(depth: int) -> dict[str, str]:
    """Return patterns of the original's names and ours, for ``depth`` halvings of the side."""
    convolutions = "|".join(map(str, range(depth + 1)))
    names = {
        rf"enc_style\.model\.([0-4])\.{_BLOCK}": r"style_encoder.layers.\1.\2",
        r"enc_style\.model\.6\.(weight|bias)": r"style_encoder.head.\1",
        rf"enc_content\.model\.({convolutions})\.{_BLOCK}": r"content_encoder.layers.\1.\2",
        rf"dec\.model\.{2 * depth + 1}\.{_BLOCK}": r"decoder.to_image.\1",
        r"dec\.model\.0\.model\.(\d+)\.model\.0\.(activation\.weight)": r"decoder.res_blocks.\1.\2",
    }
    for i in (0, 1):
        block = rf"model\.(\d+)\.model\.{i}\.{_BLOCK}"
        names[rf"enc_content\.model\.{depth + 1}\.{block}"] = (
            rf"content_encoder.res_blocks.\1.conv{i + 1}.\2"
        )
        names[rf"dec\.model\.0\.{block}"] = rf"decoder.res_blocks.\1.conv{i + 1}.\2"
    for i in range(depth):
        names[rf"dec\.model\.{2 * i + 2}\.{_BLOCK}"] = rf"decoder.up_blocks.{i}.\1"
    for i in range(3):
        names[rf"mlp\.model\.{i}\.fc\.(weight|bias)"] = rf"decoder.mlp.{2 * i}.\1"
        names[rf"mlp\.model\.{i}\.activation\.(weight)"] = rf"decoder.mlp.{2 * i + 1}.\1"
    return names


_SPECTRAL = r"cnns\.(\d+)\.(\d+)\.conv\.module\."
_DISCRIMINATOR_NAMES = {
    _SPECTRAL + "weight_bar": r"scales.\1.\2.conv.parametrizations.weight.original",
    _SPECTRAL + "weight_([uv])": r"scales.\1.\2.conv.parametrizations.weight.0._\3",
    _SPECTRAL + "bias": r"scales.\1.\2.conv.bias",
    rf"cnns\.(\d+)\.(\d+)\.{_BLOCK}": r"scales.\1.\2.\3",
    r"cnns\.(\d+)\.(\d+)\.(norm\.\w+)": r"scales.\1.\2.\3",
    r"cnns\.(\d+)\.(\d+)\.(weight|bias)": r"scales.\1.\2.\3",
}


def _rename(state: StateDict, names: Mapping[str, str], path: Path) -> StateDict:
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
