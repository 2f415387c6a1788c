"""Configurations of the original MUNIT: what its YAML files ask for, as arguments of ours."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

Config = Mapping[str, Any]

_NORM = {"none": "none", "bn": "batch", "in": "instance", "ln": "layer", "sn": "spectral"}
_INIT = {"gaussian": "normal"}
_MAX_BYTES, _MAX_BRACKETS = 30_000, 100  # the original's files have a tenth
_WIDEST, _DEEPEST = 4096, 16


def read_config(path: Path, translate: Callable[[Config], dict[str, Any]]) -> dict[str, Any]:
    """Return the arguments of a module that the original's YAML file asks for.

    Args:
        path: The file.
        translate: Finds a method's arguments in it.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    config = _read_yaml(path)
    if not isinstance(config, dict) or not {"gen", "dis", "gan_w"} <= config.keys():
        raise ValueError(f"{path} is no configuration of the original MUNIT: no gen, dis, gan_w")
    try:
        return translate(config)
    except KeyError as error:
        raise ValueError(f"{path} has no or an unknown {error.args[0]}") from None
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has a wrong value: {' '.join(str(error).split())}") from None


def _read_yaml(path: Path) -> Any:
    """Read a small YAML file without aliases, which can make a few lines as large as one likes."""
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path} is no configuration: it has more than {_MAX_BYTES} bytes")
    try:
        text = path.read_text()
        # Each open bracket makes every later word slower to read.
        if text.count("[") + text.count("{") > _MAX_BRACKETS:
            raise ValueError("too many brackets")
        events = list(yaml.parse(text, yaml.SafeLoader))
        config = None if _has_alias(events) else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no YAML file of a configuration") from error
    if _has_alias(events):
        raise ValueError(f"{path} has YAML aliases, which no configuration needs")
    return config


def _has_alias(events: list[yaml.Event]) -> bool:
    return any(isinstance(event, yaml.AliasEvent) for event in events)


def _size(config: Config, key: str, most: int) -> int:
    value = config[key]
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{key} must be a whole number from 1 to {most}")
    return value


def shared_arguments(config: Config) -> dict[str, Any]:
    """Return the arguments that MUNIT and UNIT share."""
    gen, dis = config["gen"], config["dis"]
    pad = {"zero": "zeros"}
    return {
        "input_channels_a": _size(config, "input_dim_a", _WIDEST),
        "input_channels_b": _size(config, "input_dim_b", _WIDEST),
        "generator": {
            "dim": _size(gen, "dim", _WIDEST),
            "num_downsample": _size(gen, "n_downsample", _DEEPEST),
            "num_res_blocks": _size(gen, "n_res", _WIDEST),
            "activation": gen["activ"],
            "padding_mode": pad.get(gen["pad_type"], gen["pad_type"]),
        },
        "discriminator": {
            "dim": _size(dis, "dim", _WIDEST),
            "num_layers": _size(dis, "n_layer", _DEEPEST),
            "num_scales": _size(dis, "num_scales", _DEEPEST),
            "norm": _NORM[dis["norm"]],
            "activation": dis["activ"],
            "padding_mode": pad.get(dis["pad_type"], dis["pad_type"]),
        },
        "initialization": {
            "generator": _INIT.get(config["init"], config["init"]),
            "skip_spectral": True,
        },
        "gan_loss": dis["gan_type"],
        "weights": {
            "gan": float(config["gan_w"]),
            "image": float(config["recon_x_w"]),
            "cycle": float(config["recon_x_cyc_w"]),
        },
        "recipes": {"perceptual": {"weight": float(config["vgg_w"])}} if config["vgg_w"] else {},
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
