"""What a configuration may name as ``_target_``, looked up without calling anything.

`munit_pl.commands.config.building` says what this is for.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from hydra.experimental.callback import Callback as HydraCallback
from hydra.plugins.plugin import Plugin
from omegaconf import DictConfig

from munit_pl.commands.config.resolving import resolve

Kinds = tuple[type, ...]

_OF_HYDRA: Kinds = (Plugin, HydraCallback)
_OF_LOGGING = {
    "colorlog.ColoredFormatter",
    "logging.FileHandler",
    "logging.NullHandler",
    "logging.StreamHandler",
    "logging.handlers.RotatingFileHandler",
}
_STREAMS = {"ext://sys.stdout", "ext://sys.stderr"}


def refused(tree: Any, key: str, kinds: Kinds) -> Iterator[str]:
    """Yield a line for each thing in ``tree``, plain and resolved, that may not be built.

    Args:
        tree: Mappings, sequences and values.
        key: Where it lies in the configuration.
        kinds: What classes from elsewhere must be subclasses of.
    """
    for path, node in _mappings(tree, key):
        for name in node:
            if name in ("_args_", "_recursive_", "_convert_") or (
                name == "_partial_" and "_target_" not in node
            ):
                yield f"{join_key(path, name)} is not supported: arguments go by their names"
        if "_target_" in node:
            try:
                find_class(node["_target_"], kinds)
            except ValueError as error:
                yield f"{join_key(path, '_target_')} is {error}"


def refused_of_hydra(hydra: DictConfig) -> Iterator[str]:
    """Yield a line for each thing that Hydra's own part of a configuration may not have built."""
    whole = resolve(hydra).tree
    for part in ("launcher", "sweeper"):  # Hydra itself sees to it that they are its plugins
        tree = {name: value for name, value in whole[part].items() if name != "_target_"}
        yield from refused(tree, f"hydra.{part}", _OF_HYDRA)
    yield from refused(whole.get("callbacks"), "hydra.callbacks", _OF_HYDRA)
    for part in ("launcher", "sweeper", "callbacks", "hydra_logging", "job_logging"):
        for path, node in _mappings({part: whole.get(part)}, "hydra"):
            for name, value in node.items():
                key, text = join_key(path, name), str(value)
                called = part.endswith("logging") and name in ("()", "class")
                if called and value not in _OF_LOGGING:
                    yield f"{key} is {text}, but may be {', '.join(sorted(_OF_LOGGING))} only"
                if text.startswith("ext://") and value not in _STREAMS:
                    yield f"{key} is {text}, but may be {', '.join(sorted(_STREAMS))} only"
                if text.startswith("${") and text.endswith("}"):  # it may become a mapping later
                    yield f"{key} is {text}, which cannot be looked into: write out what it is"


def find_class(target: Any, kinds: Kinds) -> type:
    """Return the class that ``_target_`` names.

    Raises:
        ValueError: If it is no class, or none that may be built. The message starts with
            ``target``.
    """
    names = target.split(".") if isinstance(target, str) else []
    # A leading underscore would lead to what modules keep for themselves, and to `__main__`
    # modules, which do their work when they are imported.
    if len(names) < 2 or not all(name.isidentifier() and name[0] != "_" for name in names):
        raise ValueError(
            f"{target!r}, but must be a class's full name, such as munit_pl.MUNITModule"
        )
    if names[0] in sys.stdlib_module_names:  # nothing to be looked at, so not imported either
        raise ValueError(f"{target}, {_REFUSED}")
    found = _find(names)
    if not inspect.isclass(found):
        raise ValueError(f"{target}, {_REFUSED}")
    if not issubclass(found, kinds) and found.__module__.split(".")[0] != "munit_pl":
        raise ValueError(f"{target}, {_REFUSED}")
    return found


_REFUSED = (
    "which a configuration may not call: only classes of munit_pl and modules, data modules, "
    "callbacks, loggers, trainers and their parts"
)


def _find(names: list[str]) -> Any:
    """Walk from a package to one of its names, importing modules that are not loaded yet."""
    target = ".".join(names)
    try:
        found: Any = import_module(names[0])
        for i, name in enumerate(names[1:], start=2):
            if inspect.ismodule(found) and not hasattr(found, name):
                import_module(".".join(names[:i]))
            found = getattr(found, name)
    except ModuleNotFoundError as error:
        raise ValueError(f"{target}, which does not exist: there is no {error.name}") from error
    except ImportError as error:
        raise ValueError(f"{target}, which cannot be imported: {error}") from error
    except AttributeError:
        raise ValueError(f"{target}, which does not exist") from None
    except Exception as error:  # a module may raise whatever it likes
        message = " ".join(str(error).split())
        raise ValueError(
            f"{target}, which cannot be imported: {type(error).__name__}: {message}"
        ) from error
    return found


def _mappings(tree: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every mapping in ``tree``, with where it lies."""
    if isinstance(tree, Mapping):
        yield key, tree
        for name, value in tree.items():
            yield from _mappings(value, join_key(key, name))
    elif isinstance(tree, list | tuple):
        for i, value in enumerate(tree):
            yield from _mappings(value, f"{key}[{i}]")


def join_key(key: str, name: object) -> str:
    """Return where ``name`` lies in what lies at ``key``."""
    return f"{key}.{name}" if key else str(name)
