"""Configurations looked at in one place, before any file or device is touched.

No table of settings is kept: what is known is what a class's constructor takes and what the
shipped files list; what a value may be is said by annotations, by defaults and by the constructors
themselves, which are asked without memory. Only where all of these are silent `ranges` has a rule.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any, Literal, get_type_hints

from omegaconf import DictConfig, OmegaConf

from munit_pl.commands.config.asking import ask, knows, names_instead
from munit_pl.commands.config.building import KINDS
from munit_pl.commands.config.combining import together
from munit_pl.commands.config.kinds import describe, fits, kind_of
from munit_pl.commands.config.listing import Listed, listed_of_class, listed_of_command
from munit_pl.commands.config.ranges import out_of_range
from munit_pl.commands.config.resolving import Path, Resolved, join, missing, resolve
from munit_pl.commands.config.suggestions import nearest, slips
from munit_pl.commands.config.targets import find_class, refused
from munit_pl.commands.errors import InputError, all_of


def check_config(cfg: DictConfig, config: str = "train") -> None:
    """Refuse a configuration that cannot be trained with, telling all that is wrong at once.

    Args:
        cfg: What was composed.
        config: What it was composed from: a file of ``munit_pl.conf``, and ``munit-`` so much is
            the command.

    Raises:
        InputError: A line for each fault, and their number above if there are more than one.
    """
    check = _Check(resolve(cfg), f"munit-{config}")
    check.root(*listed_of_command(config), str(OmegaConf.to_container(cfg, resolve=False)))
    check.add((), *together(check.tree, check.classes, check.sound()))
    lines = [line for told in check.faults.values() for line in told.split("\n") if line]
    if lines:
        raise InputError(all_of(lines))


# For an argument that must be given and cannot be used: most are folders, which nobody looks at.
_ANYTHING = "?"


class _Check:
    """What has been found so far.

    Args:
        resolved: The configuration.
        command: Who is asked for help.

    Attributes:
        tree: The configuration as plain values.
        faults: What is wrong, by its place; nothing where another place tells it already.
        classes: By their places, the classes of what is to be built.
        made: By their places, objects of this package that constructors made of good arguments.
    """

    def __init__(self, resolved: Resolved, command: str) -> None:
        self.tree, self.faults, self.borrowed = resolved
        self.command = command
        self.classes: dict[Path, type] = {}
        self.made: dict[Path, object] = {}

    def add(self, path: Path, *lines: str) -> None:
        """Note what is wrong in a place."""
        if not lines:
            return
        told = self.borrowed.get(path) in self.faults
        self.faults[path] = "" if told else "\n".join(filter(None, [self.faults.get(path), *lines]))

    def sound(self) -> dict[Path, object]:
        """Return what was made in groups without a fault."""
        wrong = {path[:1] for path in self.faults}
        return {path: made for path, made in self.made.items() if path[:1] not in wrong}

    def root(self, listed: Listed, groups: tuple[str, ...], raw: str) -> None:
        """Look at everything.

        Args:
            listed: The settings at the top.
            groups: The names of the groups.
            raw: The text of the configuration, interpolations as they are.
        """
        for name, value in self.tree.items():
            # What a setting refers to is a user's own variable.
            if name not in {*listed, *groups} and not re.search(rf"\$\{{{name}\b", raw):
                self.unknown((name,), [*listed, *groups])
            elif name not in groups:
                self.value((name,), value, Any, listed.get(name))
        for name in groups:
            self.group((name,), self.tree.get(name))

    def group(self, path: Path, node: Any) -> None:
        """Look at one object, or at several by their names."""
        if not isinstance(node, Mapping):
            self.add(path, f"{join(path)} is {node!r}, but must be settings with a _target_")
        elif "_target_" in node:
            self.object(path, node)
        else:
            for name, value in node.items():
                if not isinstance(value, Mapping) or "_target_" not in value:
                    text = f"{join((*path, name))} has no _target_"
                    self.add((*path, name), f"{text}: leave it out with ~{join((*path, name))}")
                else:
                    self.object((*path, name), value)

    def object(self, path: Path, node: Mapping[str, Any]) -> None:
        """Look at what a class is to be made with."""
        if lines := list(refused(node, join(path), KINDS)):
            self.add((*path, "_target_"), *lines)
            return
        cls = self.classes[path] = find_class(node["_target_"], KINDS)
        parameters, listed = inspect.signature(cls).parameters, listed_of_class(cls)
        hints = _hints(cls)
        good: dict[str, Any] = {}
        for name in _required(cls):
            if name not in node:
                self.add((*path, name), missing((*path, name)))
                good[name] = _ANYTHING
        for name, value in node.items():
            place = (*path, name)
            if name in ("_target_", "_partial_"):
                continue
            if _is_unknown(name, parameters):
                self.unknown(place, list(parameters))
            elif self.value(place, value, _kind(place, hints), listed.get(name)):
                good[name] = self.known(place, value)
            elif name in _required(cls):
                good[name] = _ANYTHING
        for name, value in good.items():
            if isinstance(value, Mapping) and "_target_" in value:
                self.object((*path, name), value)
        own = cls.__module__.startswith("munit_pl.") and not node.get("_partial_")
        if own and not any("_target_" in str(value) for value in good.values()):
            self.ask(path, cls, good, listed)

    def value(self, path: Path, value: Any, kind: Any, default: Any) -> bool:
        """Look at a value, and at those in a mapping; tell whether it can be used."""
        if path in self.faults:
            return False
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            for name, inner in value.items():
                if name in default:
                    self.value((*path, name), inner, kind_of(default[name]), default[name])
                else:
                    self.add((*path, name), *out_of_range(inner, (*path, name)))
            kind = Mapping  # of what kinds the values must be has been seen
        if kind is Any:
            kind = kind_of(default)
        if not fits(value, kind):
            self.add(path, f"{join(path)} is {value!r}, but must be {describe(kind)}")
        elif isinstance(value, list) and isinstance(default, list) and len(value) != len(default):
            self.add(path, f"{join(path)} is {value}, but must be {len(default)} numbers")
        self.add(path, *out_of_range(value, path))
        return path not in self.faults

    def known(self, path: Path, value: Any) -> Any:
        """Return a value without what is wrong in it."""
        if not isinstance(value, Mapping):
            return value
        good = {k: v for k, v in value.items() if (*path, k) not in self.faults}
        return {name: self.known((*path, name), inner) for name, inner in good.items()}

    def ask(self, path: Path, cls: type, arguments: dict[str, Any], listed: Listed) -> None:
        """Let the constructor say what is wrong, and what of it all it does not know."""
        self.made[path], said = ask(cls, arguments, listed)
        for name, error in said.items():
            text = str(error).split("\n")[0]
            place = (*path, *name)
            inner = listed.get(name[0]) if len(name) > 1 else None
            if not name and _ANYTHING in arguments.values():
                continue  # it is to blame, and has been told of
            if isinstance(inner, Mapping) and name[-1] not in inner:
                self.unknown(place, [*inner, *names_instead(error)])
            elif name and text.startswith(f"{name[-1]} is "):
                self.add(place, f"{join(place[:-1])}.{text}")
            else:
                self.add(place, f"{join(place)}: {text}")
        for group, value in arguments.items():
            for inner in value if isinstance(listed.get(group), Mapping) and value else ():
                place = (*path, group, inner)
                new = inner not in listed[group] and place not in self.faults
                if new and not knows(cls, arguments, (group, inner)):
                    self.unknown(place, list(listed[group]))

    def unknown(self, path: Path, known: list[str]) -> None:
        """Note that there is no such setting."""
        end = nearest(str(path[-1]), known, self.command, prefix=join((*path[:-1], "")))
        self.faults[path] = f"there is no setting {join(path)}{end}"


def _is_unknown(name: str, parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Tell whether a class has no such parameter; if it takes any name, whether one is meant."""
    if name in parameters:
        return False
    any_name = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return not any_name or any(slips(name, known) == 1 for known in parameters)


def _required(cls: type) -> list[str]:
    parameters = inspect.signature(cls).parameters.values()
    named = (p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    return [p.name for p in named if p.default is p.empty]


def _kind(path: Path, hints: dict[str, Any]) -> Any:
    kind = hints.get(str(path[-1]), Any)
    # `commands.precision` replaces it before Lightning sees it.
    return kind | Literal["auto"] if path == ("trainer", "precision") and kind is not Any else kind


def _hints(cls: type) -> dict[str, Any]:
    try:
        return get_type_hints(cls.__init__)  # type: ignore[misc]
    except (NameError, TypeError):  # another package's annotations may name what is not there
        return {}
