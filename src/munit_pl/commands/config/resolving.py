"""A configuration as plain values, with all that keeps it from being that."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from munit_pl.checks import Place, join

Faults = dict[Place, str]


class Resolved(NamedTuple):
    """A configuration as plain values.

    Attributes:
        tree: Mappings, lists and values; what does not resolve is its own text.
        faults: A line for each value that is missing or does not resolve. It is empty where
            another line tells the reason.
        borrowed: Values that are other values, and which.
    """

    tree: dict[str, Any]
    faults: Faults
    borrowed: dict[Place, Place]


_DEEPEST = 30  # an interpolation that names what it lies in would go on for ever


def missing(path: Place) -> str:
    """Return the line that says that a value must be given."""
    return f"{join(path)} is not given: add {join(path)}=VALUE"


def resolve(cfg: DictConfig) -> Resolved:
    """Resolve every interpolation."""
    resolved = Resolved({}, {}, {})
    resolved.tree.update(_resolve(cfg, (), resolved))
    return resolved


def _resolve(node: DictConfig | ListConfig, path: Place, to: Resolved) -> Any:
    values = {name: _value(node, name, (*path, name), to) for name in _names(node)}
    return list(values.values()) if isinstance(node, ListConfig) else values


def _names(node: DictConfig | ListConfig) -> Iterator[Any]:
    yield from range(len(node)) if isinstance(node, ListConfig) else node.keys()


def _value(node: DictConfig | ListConfig, name: Any, path: Place, to: Resolved) -> Any:
    raw: Any = node._get_node(name)
    text, faults = str(raw._value()), to.faults
    if other := re.fullmatch(r"\$\{([\w.]+)\}", text):
        to.borrowed[path] = tuple(other[1].split("."))
    if OmegaConf.is_missing(node, name):
        faults[path] = missing(path)
        return text
    try:
        value = node[name]
    except InterpolationToMissingValueError:
        faults[path] = ""  # what is missing has a line of its own
        return text
    except (OmegaConfBaseException, RecursionError) as error:
        reason = re.sub(r"^\w+ raised while resolving interpolation: ", "", str(error))
        reason = reason.split("\n")[0].strip('"')
        # Values that refer to one another fail for the same reason, told where it comes first.
        told = any(line.endswith(f": {reason}") for line in faults.values())
        faults[path] = "" if told else f"{join(path)} is {text}: {reason}"
        return text
    if not isinstance(value, DictConfig | ListConfig):
        return value
    if len(path) > _DEEPEST:
        faults[path] = f"{join(path[:3])} refers to what it lies in"
        return text
    return _resolve(value, path, to)
