"""Configurations for tests: composing one takes a tenth of a second, so each is composed once."""

import re
from copy import deepcopy
from functools import cache

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

_CHOICE = re.compile(r"~|(?!output_dir)(\w+|\+experiment|\+debug|\+recipe)=\[?[a-z]")


@cache
def _composed(command, *choices):
    folder = ["output_dir=x"] if command == "train" else []
    with initialize_config_module("munit_pl.conf", version_base="1.3"):
        return compose(command, [*folder, *choices])


def composed(command, *overrides):
    """Compose: choices of groups by Hydra, settings merged as a file is, whether known or not."""
    choices = [word for word in overrides if _CHOICE.match(word)]
    cfg = deepcopy(_composed(command, *choices))
    OmegaConf.set_struct(cfg, False)
    others = [word.removeprefix("+") for word in overrides if word not in choices]
    cfg.merge_with(OmegaConf.from_dotlist(others))
    OmegaConf.set_struct(cfg, True)
    return cfg
