"""What the shipped configurations list: settings that are known, with their defaults."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

Listed = dict[str, Any]


@cache
def listed_of_command(config: str) -> tuple[Listed, tuple[str, ...]]:
    """Return the settings that ``munit_pl.conf`` lists at the top, and the names of its groups.

    Args:
        config: The file's name without its ending, "train" or "evaluate".
    """
    settings = _read(files("munit_pl.conf") / f"{config}.yaml")
    names = [name for entry in settings["defaults"] if isinstance(entry, dict) for name in entry]
    groups = tuple(name for name in names if not name.startswith(("optional ", "override ")))
    return {k: v for k, v in settings.items() if k not in ("defaults", "hydra")}, groups


def names_of_groups() -> set[str]:
    """Return the names of all groups, ``experiment`` and others that set many things included."""
    return {folder.name for folder in files("munit_pl.conf").iterdir() if folder.is_dir()}


def names_in_group(group: str) -> list[str]:
    """Return what there is to choose from in a group."""
    names = (file.name for file in (files("munit_pl.conf") / group).iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


@cache
def listed_by_choices() -> dict[str, list[str]]:
    """Return by their full names the settings that files of groups list, and which choices do."""
    found: dict[str, list[str]] = {}
    for group in listed_of_command("train")[1]:
        for file in (files("munit_pl.conf") / group).iterdir():
            choice, ending = file.name.split(".", 1)
            for key in keys(_read(file), f"{group}.") if ending == "yaml" else ():
                found.setdefault(key, []).append(choosing(group, choice))
    for recipe in names_in_group("recipe"):
        place = f"model.recipes.{recipe}"
        arguments = _read(files("munit_pl.conf") / "recipe" / f"{recipe}.yaml")
        for key in (place, *keys(arguments, f"{place}.")):
            found.setdefault(key, []).append(f"+recipe={recipe}")
    return {key: sorted(choices) for key, choices in found.items()}


def choosing(group: str, choice: str) -> str:
    """Return how a file of a group is chosen: callbacks beside those that every run has."""
    return f"{group}=[default,{choice}]" if group == "callbacks" else f"{group}={choice}"


def keys(values: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    """Yield the full names of all settings, of mappings too."""
    for key, value in values.items():
        if str(key).startswith("_") or key == "defaults":
            continue
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from keys(value, f"{prefix}{key}.")


def _read(file: Any) -> Listed:
    return yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader) or {}
