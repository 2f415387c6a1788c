"""Configurations of the original MUNIT: what its YAML files ask for, as arguments of ours."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

Config = Mapping[str, Any]

_NORM = {"none": "none", "bn": "batch", "in": "instance", "ln": "layer", "sn": "spectral"}
_INIT = {"gaussian": "normal"}


def read_config(path: Path, translate: Callable[[Config], dict[str, Any]]) -> dict[str, Any]:
    """Return the arguments of a module that the original's YAML file asks for.

    Args:
        path: The file.
        translate: Finds a method's arguments in it.
    """
    try:
        config = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML file") from error
    if not isinstance(config, dict) or not {"gen", "dis", "gan_w"} <= config.keys():
        raise ValueError(f"{path} is no configuration of the original MUNIT: no gen, dis, gan_w")
    try:
        return translate(config)
    except KeyError as error:
        raise ValueError(f"{path} has no or an unknown {error.args[0]}") from None


def munit_arguments(config: Config) -> dict[str, Any]:
    """Return the arguments of `MUNITModule` for a configuration in the original's keys."""
    arguments = _shared_arguments(config)
    arguments["generator"] |= {key: config["gen"][key] for key in ("style_dim", "mlp_dim")}
    arguments["weights"] |= {
        "style": float(config["recon_s_w"]),
        "content": float(config["recon_c_w"]),
    }
    return arguments


def unit_arguments(config: Config) -> dict[str, Any]:
    """Return the arguments of `UNITModule` for a configuration in the original's keys."""
    arguments = _shared_arguments(config)
    arguments["weights"] |= {
        "kl": float(config["recon_kl_w"]),
        "cycle_kl": float(config["recon_kl_cyc_w"]),
    }
    return arguments


def _shared_arguments(config: Config) -> dict[str, Any]:
    """Return the arguments that MUNIT and UNIT share."""
    gen, dis = config["gen"], config["dis"]
    pad = {"zero": "zeros"}
    return {
        "input_channels_a": config["input_dim_a"],
        "input_channels_b": config["input_dim_b"],
        "generator": {
            "dim": gen["dim"],
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
