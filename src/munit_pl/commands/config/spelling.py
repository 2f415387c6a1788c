"""Settings as people type them, made into what Hydra takes, or a line that says how."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from hydra import compose, initialize_config_module
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from munit_pl.commands.config.listing import (
    choosing,
    keys,
    listed_by_choices,
    names_in_group,
    names_of_groups,
)
from munit_pl.commands.config.own_folders import settings_for
from munit_pl.commands.config.quoting import parse, quoted
from munit_pl.commands.config.suggestions import meant, nearest

_EXTRA = ("joblib", "submitit_local", "submitit_slurm", "optuna")  # of munit-pl[sweeps]
_OPTIONAL = ("demo", "published")  # groups of which Hydra passes over a name that it does not find
_NOT_COMPOSED = (HydraException, OmegaConfBaseException, ValueError)  # that: group=null


class Spelled(NamedTuple):
    """A command line that has been looked at.

    Attributes:
        taken: Overrides as Hydra takes them.
        faults: A line for each that is misspelt, with what may have been meant.
    """

    taken: list[str]
    faults: list[str]


def spelled(overrides: Sequence[str], config: str = "train", sweeping: bool = False) -> Spelled:
    """Return overrides as Hydra takes them, and what is wrong with others.

    Text that its grammar does not take is quoted, and a ``+`` is set before settings that no file
    lists, but that what is built may know.

    Args:
        overrides: As they were typed.
        config: A file of ``munit_pl.conf``.
        sweeping: Several values are those of as many runs.
    """
    whole = [quoted(typed, sweeping) for typed in overrides]
    faults: list[str] = []
    read = _read(whole, faults)
    choices = [one for one in read if _is_choice(one)]
    with initialize_config_module("munit_pl.conf", version_base="1.3"):
        chosen = _choose(choices, config, sweeping, faults)
        names = Names(config, chosen)
    others = [one for one in read if one not in choices]
    unlisted = names.look_up(others, faults)
    if not faults:
        return Spelled([f"{'+' * (one in unlisted)}{one}" for one in whole], [])
    there = [str(one.input_line) for one in others if names.has(one)]
    return Spelled([*chosen, *there], faults)


def setting_for(option: str, words: Sequence[str], config: str) -> str:
    """Return how a setting is written that was given as an option; nothing if none is meant.

    Args:
        option: It, or it and its value: ``--lr``, ``--lr=1e-4``.
        words: The command line, where the value may follow it.
        config: A file of ``munit_pl.conf``.
    """
    name, equals, value = option.lstrip("-").partition("=")
    name = name.replace("-", "_")
    if not equals:
        after = words[words.index(option) + 1 :][:1]
        value = "".join(word for word in after if word[0] != "-" and "=" not in word) or "VALUE"
    with initialize_config_module("munit_pl.conf", version_base="1.3"):
        known = Names(config).known
    if os.path.isdir(value) and (name == "data" or name not in known):
        return settings_for(value)
    found = [name] if name in known else meant(name, known)
    return " or ".join(f"{key}={value}" for key in found)


def explain_word(word: str) -> str:
    """Say what to write instead of a word that is no setting."""
    if os.path.isdir(word):
        return f"{word} is no setting: write {settings_for(word)}"
    if word.endswith(".ckpt"):
        return f"{word} is no setting: write ckpt_path={word}"
    return f"{word} is no setting, such as seed=1 or data.root=FOLDER"


def _read(overrides: Sequence[str], faults: list[str]) -> list[Override]:
    """Return what Hydra's parser makes of overrides."""
    read = []
    for override in overrides:
        if "=" not in override and not override.startswith("~"):
            faults.append(explain_word(override))
            continue
        try:
            read.append(parse(override))
        except HydraException as error:
            faults.append(_in_one_line(error))
    return read


def _is_choice(override: Override) -> bool:
    """Tell whether an override chooses a file of a group."""
    key = override.key_or_group
    return "/" in key or override.package is not None or key in names_of_groups()


def _choose(
    choices: Sequence[Override], config: str, sweeping: bool, faults: list[str]
) -> list[str]:
    """Return the choices that compose together; of a sweep the first."""
    good: list[str] = []
    for choice in choices:
        typed = str(choice.input_line)
        if sweeping and choice.value_type is ValueType.GLOB_CHOICE_SWEEP:
            continue
        if sweeping and choice.is_discrete_sweep():
            typed = f"{choice.get_key_element()}={next(choice.sweep_string_iterator())}"
        group, _, name = typed.partition("=")
        if group in _OPTIONAL and name not in ("null", *(there := names_in_group(group))):
            faults.append(f"there is no {group} {name}{nearest(name, there, f'munit-{config}')}")
            continue
        try:
            cfg = compose(config, [*good, typed])
            good.append(typed)
            if typed.startswith("callbacks=") and "checkpoints" not in (cfg.callbacks or {}):
                among = choosing("callbacks", str(choice.value()))
                faults.append(f"{typed} would leave out checkpoints and all else: write {among}")
        except _NOT_COMPOSED as error:
            if choice.key_or_group == "recipe" and "Multiple values for" in str(error):
                faults.append(_with_the_experiments_recipes(choice, compose(config, good)))
                continue
            faults.append(_explain(error, choice, f"munit-{config}"))
    return good


def _with_the_experiments_recipes(choice: Override, cfg: DictConfig) -> str:
    """Say how recipes are chosen beside those of an experiment, which ``+`` cannot add to."""
    value = choice.value()
    names = [*cfg.model.recipes, *(value if isinstance(value, list) else [value])]
    return f"recipes are chosen already: write recipe=[{','.join(map(str, names))}], without +"


def _explain(error: Exception, choice: Override, command: str) -> str:
    """Return in one line why a choice fails, with the nearest name where one is unknown."""
    group, value, message = choice.key_or_group, choice.value(), str(error)
    if "Multiple values for" in message:
        return f"{group} is chosen already: write {group}={value}, without +"
    if "No match in the defaults list" in message and not choice.is_delete():
        return f"{group} is chosen by nothing yet: write +{group}={value}"
    if f"Could not find '{group}/{value}'" in message:
        if value in _EXTRA and group.startswith("hydra/"):
            return f"{group}={value} needs another package: pip install 'munit-pl[sweeps]'"
        options = re.findall(r"^\t(\S+)$", message, re.MULTILINE)
        return f"there is no {group} {value}" + nearest(str(value), options, command)
    if (found := re.search(rf"Could not load '{group}/([^']*)'", message)) and "/" not in group:
        name, options = found[1], names_in_group(group)  # one of a list
        return f"there is no {group} {name}" + nearest(name, options, command)
    return _in_one_line(error)


class Names:
    """The settings that there are.

    Args:
        config: A file of ``munit_pl.conf``.
        choices: Overrides that choose files of groups.

    Attributes:
        known: Their full names.
    """

    def __init__(self, config: str, choices: Sequence[str] = ()) -> None:
        cfg = compose(config, list(choices), return_hydra_config=True)
        self._tree: Any = OmegaConf.to_container(cfg, resolve=False)
        self._command = f"munit-{config}"
        self.known = [
            key for key in keys(cast(Mapping[str, Any], self._tree)) if not key.startswith("hydra")
        ]
        self.known += ["+experiment"] if config == "train" else []

    def look_up(self, overrides: Sequence[Override], faults: list[str]) -> set[str]:
        """Note what is misspelt; return the overrides of settings that classes may take."""
        added, unlisted = set[str](), set[str]()
        for override in overrides:
            key, typed = override.key_or_group, str(override.input_line)
            there = self._node(key) is not _NOTHING or any(key.startswith(one) for one in added)
            if override.is_add() and there:
                faults.append(f"{key} is a setting already: write {typed[1:]}, without +")
            elif override.is_add() or override.is_force_add():
                added.add(key)
            elif not there and self._may_be_taken(key) and not override.is_delete():
                unlisted.add(typed)
            elif not there:
                faults.append(self._unknown(key))
        return unlisted

    def has(self, override: Override) -> bool:
        """Tell whether an override gives a setting that is listed another value."""
        plain = not (override.is_add() or override.is_force_add() or override.is_delete())
        return plain and self._node(override.key_or_group) is not _NOTHING

    def _node(self, key: str) -> Any:
        """Return what is set, with interpolations as they are written."""
        node = self._tree
        for part in key.split("."):
            if isinstance(node, str) and node.startswith("${"):
                return node  # it lies elsewhere
            if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
                node = node[int(part)]
            elif isinstance(node, Mapping) and part in node:
                node = node[part]
            else:
                return _NOTHING
        return node

    def _may_be_taken(self, key: str) -> bool:
        """Tell whether a setting may be an argument of what is built, and is no slip."""
        parts = key.split(".")[:-1]
        around = [self._node(".".join(parts[: i + 1])) for i in range(len(parts))]
        if not around or not all(isinstance(node, Mapping) for node in around):
            return False
        if str(around[-1].get("_target_")).startswith("munit_pl."):
            return False  # the files list all that these take
        built = any("_target_" in node for node in around)
        return built and key not in listed_by_choices() and not meant(key, self.known)

    def _unknown(self, key: str) -> str:
        elsewhere = listed_by_choices()
        if key in elsewhere:
            return f"{key} is a setting of {' or '.join(elsewhere[key])}: choose that as well"
        line = f"there is no setting {key}"
        if names := meant(key, self.known):
            return f"{line}: did you mean {' or '.join(names)}?"
        if names := meant(key, elsewhere):
            return f"{line}: did you mean {names[0]}, with {' or '.join(elsewhere[names[0]])}?"
        return line + nearest(key, self.known, self._command)


_NOTHING = object()


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
