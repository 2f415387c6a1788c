"""A whole `MUNIT` as a folder to share: how it is described, and read back."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from munit_pl.hub.folder import CONFIG, WEIGHTS
from munit_pl.hub.weights import read_safetensors
from munit_pl.io.state_dict_checks import brief, build_on_meta, check_finite_weights
from munit_pl.layers.autocast import to_float32
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.models.munit.networks import AdaINGenerator

_MAX_CONFIG = 1 << 20  # bytes
_CHANNELS = ("input_channels_a", "input_channels_b")
_NETWORKS: tuple[tuple[type[nn.Module], str, str], ...] = (
    (AdaINGenerator, "generator", "gen"),
    (MultiScaleDiscriminator, "discriminator", "dis"),
)
_MAPPINGS = tuple(name for _, name, _ in _NETWORKS)


def munit_arguments(
    gen_a: AdaINGenerator, gen_b: AdaINGenerator, discriminator: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all arguments of a `MUNIT`'s networks, defaults too, which may change one day."""
    known = inspect.signature(MultiScaleDiscriminator).parameters
    defaults = {name: p.default for name, p in known.items() if name != "in_channels"}
    generator = {name: value for name, value in gen_a.arguments.items() if name != "in_channels"}
    return {
        "input_channels_a": gen_a.in_channels,
        "input_channels_b": gen_b.in_channels,
        "generator": generator,
        "discriminator": defaults | dict(discriminator),
    }


def read_munit(folder: Path) -> tuple[dict[str, Any], Any, dict[str, Tensor]]:
    """Read what `write_folder` wrote of a whole `MUNIT`; it may come from an untrusted source.

    Returns:
        Arguments of `MUNIT`, what `describe` said of its generators, and all its tensors by name,
        in float32.

    Raises:
        OSError: If a file is missing.
        ValueError: If the folder holds something else; one line says what.
    """
    config = _read_config(folder / CONFIG)
    arguments: dict[str, Any] = config["munit"]
    path = folder / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"the folder {folder} has no {WEIGHTS}")
    _, stored = read_safetensors(path)
    state = {name: to_float32(tensor) for name, tensor in stored.items()}
    try:
        left = set(state)
        for domain in "ab":
            channels = {"in_channels": arguments[f"input_channels_{domain}"]}
            for kind, name, part in _NETWORKS:
                start = f"{part}_{domain}."
                own = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
                build_on_meta(kind, channels | arguments[name], own)
                left -= {start + key for key in own}
        if left:
            raise ValueError(f"there is a {brief(min(left))}, which the networks do not have")
        check_finite_weights(state)
    except ValueError as error:
        raise ValueError(f"{path} does not fit what {CONFIG} says: {error}") from None
    return arguments, config.get("generators"), state


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"the folder {path.parent} has no {CONFIG}")
    if path.stat().st_size > _MAX_CONFIG:
        raise ValueError(f"{path} is no configuration: it has more than 1 MiB")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is broken JSON") from None
    if isinstance(config, dict) and "generators" in config and "munit" not in config:
        raise ValueError(
            f"{path.parent} holds generators without discriminators: read it with Translator.load"
        )
    arguments = config.get("munit") if isinstance(config, dict) else None
    if (
        not isinstance(arguments, dict)
        or set(arguments) != {*_CHANNELS, *_MAPPINGS}
        or not all(type(arguments[name]) is int for name in _CHANNELS)
        or not all(type(arguments[name]) is dict for name in _MAPPINGS)
        or any("in_channels" in arguments[name] for name in _MAPPINGS)
    ):
        raise ValueError(f"{path} describes no MUNIT that munit_pl saved")
    return config
