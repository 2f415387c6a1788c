"""Configurations looked at in one place, before any file or device is touched.

Settings are held to the signatures of what they are arguments of (`schema`). What is sound is then
made without memory, for what only constructors know, and asked whether it goes together.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from munit_pl.checks import Place, Seed, join
from munit_pl.commands.config.building import find_target
from munit_pl.commands.config.listing import listed_of_command
from munit_pl.commands.config.resolving import Resolved, resolve
from munit_pl.commands.config.schema import (
    SPECIAL,
    Faults,
    Known,
    arguments_of,
    faults_of,
    is_built,
)
from munit_pl.commands.config.trainer_arguments import refused_by_trainer, refused_together
from munit_pl.commands.errors import InputError, all_of
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.models.base.module import AdversarialModule
from munit_pl.models.base.training_checks import check_optimizers, data_faults, precision_faults

Node = Mapping[str, Any]


def check_config(cfg: DictConfig, config: str = "train") -> None:
    """Refuse a configuration that cannot be trained with, telling all that is wrong at once.

    Args:
        cfg: What was composed.
        config: What it was composed from: a file of ``munit_pl.conf``, and ``munit-`` so much is
            the command.

    Raises:
        InputError: A line for each fault, and their number above if there are more than one.
    """
    if lines := faults_of_config(cfg, config):
        raise InputError(all_of(lines))


def faults_of_config(cfg: DictConfig, config: str = "train") -> list[str]:
    """Return a line for each thing that is wrong with a configuration, see `check_config`."""
    tree, faults = resolve(cfg).tree, faults_of_settings(cfg, config)
    made = {}
    for place, node in _objects(tree, listed_of_command(config)[1]):
        if not any(wrong[: len(place)] == place for wrong in faults):
            made[place] = _make(place, node)
    lines = [*faults.values(), *(said for said in made.values() if isinstance(said, str))]
    return [line for line in [*lines, *_together(tree, made)] if line]


def faults_of_settings(cfg: DictConfig, config: str = "train") -> dict[Place, str]:
    """Return what is wrong with settings one by one, by their places; empty where told already."""
    resolved = resolve(cfg)
    tree, faults = resolved.tree, dict(resolved.faults)
    objects = dict(_objects(tree, listed_of_command(config)[1]))
    found = [*_faults_at_top(cfg, tree, config), *_faults_of_objects(objects)]
    for place, line in found:
        if place not in faults or line.startswith("there is no setting"):
            faults[place] = line
    return {
        place: "" if _is_told(place, line, faults, resolved) else line
        for place, line in faults.items()
    }


def _is_told(place: Place, line: str, faults: Mapping[Place, str], resolved: Resolved) -> bool:
    """Tell whether the same is said of another value, which this one is."""
    other = resolved.borrowed.get(place, ())
    told = faults.get(other, "").removeprefix(join(other))
    return place != other and told != "" and told == line.removeprefix(join(place))


def _faults_at_top(cfg: DictConfig, tree: Mapping[str, Any], config: str) -> Faults:
    """Yield what is wrong with settings outside of objects, and with groups that are none."""
    listed, groups = listed_of_command(config)
    raw = str(OmegaConf.to_container(cfg, resolve=False))
    # What a setting refers to is a user's own variable.
    own = [name for name in tree if re.search(rf"\$\{{{name}\b", raw)]
    kinds = {**dict.fromkeys([*listed, *own], Any), "seed": Seed, **dict.fromkeys(groups, Any)}
    yield from faults_of(Known(kinds), tree, command=f"munit-{config}")
    for name in groups:
        node = tree.get(name)
        if not isinstance(node, Mapping):
            yield (name,), f"{name} is {node!r}, but must be settings with a _target_"
        elif not is_built(node):
            for inner, value in node.items():
                if not is_built(value):
                    key = f"{name}.{inner}"
                    yield (name, inner), f"{key} has no _target_: leave it out with ~{key}"


def _objects(tree: Mapping[str, Any], groups: Iterable[str]) -> Iterator[tuple[Place, Node]]:
    """Yield what is to be built of the groups, each with its place."""
    for name in groups:
        yield from _objects_in(tree.get(name), (name,))


def _objects_in(node: Any, place: Place) -> Iterator[tuple[Place, Node]]:
    if is_built(node):
        yield place, node
    if isinstance(node, Mapping | list):
        for name, inner in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from _objects_in(inner, (*place, name))


def _faults_of_objects(objects: Mapping[Place, Node]) -> Faults:
    """Yield what is wrong with what is to be built, and with its arguments."""
    for place, node in objects.items():
        try:
            known = arguments_of(find_target(node["_target_"]))
        except ValueError as error:
            yield (*place, "_target_"), f"{join((*place, '_target_'))} is {error}"
            continue
        if node.keys() & {"_args_", "_partial_"}:
            known = known._replace(required=())
        yield from faults_of(known, node, place)


def _make(place: Place, node: Node) -> object:
    """Return what only its constructor knows to be wrong, as text, or the object.

    It is made on no device. Objects of others are not made, and those that hold objects are not.
    """
    cls = find_target(node["_target_"])
    arguments = {name: value for name, value in node.items() if name not in SPECIAL}
    inside = any(True for _ in _objects_in(arguments, ()))
    own = str(getattr(cls, "__module__", "")).startswith("munit_pl.")  # functions of C have none
    if not own or inside or node.get("_partial_"):
        return None
    try:
        with torch.device("meta"):
            made = cls(**deepcopy(arguments))
        if isinstance(made, AdversarialModule):
            check_optimizers(made)
    except Exception as error:  # of any kind: what is wrong is what is asked for here
        text = str(error).split("\n")[0]
        if not isinstance(error, ValueError | TypeError):
            text = f"{type(error).__name__}: {text}"
        named = [inner for inner in _leaves(arguments, place) if inner[-1] == text.split(" ")[0]]
        if len(named) != 1:
            return f"{join(place)}: {text}"
        is_told = text.startswith(f"{named[0][-1]} is ")
        return f"{join(named[0][:-1])}.{text}" if is_told else f"{join(named[0])}: {text}"
    return made


def _leaves(arguments: Mapping[str, Any], place: Place) -> Iterator[Place]:
    for name, value in arguments.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*place, name))
        else:
            yield (*place, name)


def _together(tree: Mapping[str, Any], made: Mapping[Place, object]) -> Iterator[str]:
    """Yield what is wrong only because of two settings."""
    datamodule, module, trainer = made.get(("data",)), made.get(("model",)), tree.get("trainer")
    if isinstance(module, AdversarialModule) and isinstance(datamodule, TwoDomains):
        yield from data_faults(module, datamodule)
    for place, one in made.items() if isinstance(datamodule, TwoDomains) else ():
        for line in one.check_data(datamodule) if hasattr(one, "check_data") else ():
            yield f"{join(place)}: {line}"
    yield from refused_by_trainer(tree)
    if isinstance(trainer, Mapping):
        if isinstance(module, AdversarialModule):
            yield from precision_faults(module, trainer.get("precision"))
        yield from refused_together(trainer)
