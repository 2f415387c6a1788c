"""Mistakes on the command line and in configurations, told in one line each."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from munit_pl.commands.building import refused_of_hydra
from munit_pl.commands.inputs import InputError


def check_overrides(overrides: Sequence[str], config: str = "train") -> DictConfig:
    """Compose a configuration, naming what is misspelt and what it may have meant.

    Raises:
        InputError: If the overrides do not compose, or ask Hydra to build what it may not.
    """
    with initialize_config_module("munit_pl.conf", version_base="1.3"):
        try:
            cfg = compose(config, list(overrides), return_hydra_config=True)
        except (HydraException, OmegaConfBaseException, ValueError) as error:  # that: group=null
            known = partial(_settings, config, overrides)
            raise InputError(_explain(str(error), known, f"munit-{config}")) from None
    for fault in refused_of_hydra(cfg.hydra):
        raise InputError(fault)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


def _explain(message: str, known: Callable[[], list[str]], command: str) -> str:
    """Return Hydra's message in one line, with the nearest name where one is unknown."""
    if match := re.search(r"Could not override '([^']+)'", message):
        return f"there is no setting {match[1]}" + nearest(match[1], known(), command)
    if match := re.search(r"Could not find '([^']+)/([^']+)'", message):
        options = re.findall(r"^\t(\S+)$", message, re.MULTILINE)
        return f"there is no {match[1]} {match[2]}" + nearest(match[2], options, command)
    return " ".join(message.split())


def nearest(name: str, known: Sequence[str], command: str, prefix: str = "") -> str:
    """Return the end of a line that says that there is no ``name``: what there is instead.

    Args:
        name: What was asked for.
        known: What there is.
        command: Whose help tells more.
        prefix: What is written before a name that is meant.
    """
    least, most_like = min(((slips(name, key), key) for key in known), default=(0, ""))
    if most_like and least <= max(len(name), len(most_like)) / 2:
        return f": did you mean {prefix}{most_like}?"
    return f"; there are {', '.join(known)}" if len(known) < 20 else f" (see {command} --help)"


def slips(name: str, other: str) -> int:
    """Return how many letters were left out, added, mistaken or swapped with the next."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(name):
        before, last, row = row, before, [i + 1]
        for j, wanted in enumerate(other):
            least = min(before[j + 1] + 1, row[j] + 1, before[j] + (letter != wanted))
            if i and j and (letter, name[i - 1]) == (other[j - 1], wanted):
                least = min(least, last[j - 1] + 1)
            row.append(least)
    return row[-1]


def _settings(config: str, overrides: Sequence[str]) -> list[str]:
    """Return every setting and group that can be named, given which groups were chosen."""
    choices = [override for override in overrides if "." not in override.split("=")[0]]
    try:
        cfg = compose(config, choices)
    except (HydraException, OmegaConfBaseException):  # a choice is what is wrong
        cfg = compose(config)
    values = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(values, dict)
    return [*_keys(values), "+experiment"]


def _keys(values: dict[Any, Any], prefix: str = "") -> list[str]:
    keys = []
    for key, value in values.items():
        keys.append(f"{prefix}{key}")
        if isinstance(value, dict):
            keys += _keys(value, f"{prefix}{key}.")
    return keys


@contextmanager
def failing_as_input_error(hint: str | None) -> Iterator[None]:
    """Turn errors of building into one line; nothing has been trained yet.

    Args:
        hint: How to get the data, added where a file is missing.
    """
    try:
        yield
    except InputError:
        raise
    except (
        HydraException,
        OmegaConfBaseException,
        ValueError,
        TypeError,
        OSError,
        ImportError,
    ) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        cause: BaseException = error
        while isinstance(cause, HydraException) and cause.__cause__ is not None:
            cause = cause.__cause__
        message = _one_line(error, cause)
        if hint and isinstance(cause, FileNotFoundError):
            message += f". {hint}"
        raise InputError(message) from error


def _one_line(error: Exception, cause: BaseException) -> str:
    """Say what went wrong, and in which part of the configuration."""
    if isinstance(error, MissingMandatoryValue):
        key = error.full_key
        return f"{key} is not given: add {key}=VALUE"
    where = re.search(r"full_key: (\S+)", str(error))
    message = " ".join(str(cause).split())
    return f"{where[1]}: {message}" if where and where[1] not in message else message
