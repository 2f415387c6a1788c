"""Mistakes on the command line and in configurations, told in one line each."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath

from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from munit_pl.commands.config.own_folders import missing_folder
from munit_pl.commands.config.resolving import resolve
from munit_pl.commands.config.spelling import Spelled, spelled
from munit_pl.commands.config.trainer_arguments import refused_by_trainer
from munit_pl.commands.errors import InputError, all_of


def check_overrides(overrides: Sequence[str], config: str = "train") -> DictConfig:
    """Compose a configuration, and refuse what can be told of it without PyTorch.

    Args:
        overrides: As they were typed.
        config: A file of ``munit_pl.conf``.

    Raises:
        InputError: If settings are misspelt or do not compose, if the images lie in other folders,
            or if the Trainer would refuse an argument.
    """
    return check_spelled(spelled(overrides, config), config)


def check_spelled(overrides: Spelled, config: str = "train") -> DictConfig:
    """Do what `check_overrides` does with overrides whose names have been looked at.

    Where a name is wrong, values are looked at too, which takes PyTorch, so that all is told.
    """
    with initialize_config_module("munit_pl.conf", version_base="1.3"):
        try:
            cfg = compose(config, overrides.taken, return_hydra_config=True)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise InputError(all_of([*overrides.faults, " ".join(str(error).split())])) from None
    with open_dict(cfg):
        del cfg["hydra"]
    tree = resolve(cfg).tree
    faults = [fault for name in ("name", "run") for fault in leading_out(name, str(tree.get(name)))]
    faults += [*missing_folder(tree.get("data")), *refused_by_trainer(tree)]
    if overrides.faults:
        faults = [*overrides.faults, *faults, *_faults_of_values(cfg, overrides, config)]
    if faults:
        raise InputError(all_of(faults))
    return cfg


def _faults_of_values(cfg: DictConfig, overrides: Spelled, config: str) -> list[str]:
    """Return what is wrong with the values that are given beside misspelt names."""
    if not any("." in word.partition("=")[0] for word in overrides.taken):
        return []
    from munit_pl.commands.config.validation import faults_of_settings

    if "output_dir" in cfg:
        cfg.output_dir = ""  # Hydra knows it once it runs
    return [line for line in faults_of_settings(cfg, config).values() if line]


def leading_out(name: str, value: str) -> Iterator[str]:
    """Yield what is wrong with the name of an experiment or of a run that is no folder below."""
    if ".." in PurePath(value).parts:
        yield (
            f"{name} is {value!r}, which leads out of outputs: give a name, or the whole folder by "
            "output_dir=FOLDER"
        )


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
