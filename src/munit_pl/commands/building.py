"""Objects made of a configuration, and nothing else: no function that it names is called.

A configuration comes from the command line, but also from files that were downloaded, and
``_target_`` names any function that Python can find. What is built here must be a class of this
package, or one of the kinds that a `Trainer` is put together from, wherever it is defined. It is
looked up in full before anything is called, and what was looked at is what is built: no
interpolation is resolved a second time.

What this does not protect from: a module is run when it is imported, so whoever can put one on
Python's path (the working directory is on it under ``python -m``) needs no configuration; classes
of the allowed kinds that somebody installed are trusted with their arguments; and paths in a
configuration may be written to. What Hydra itself builds (launcher, sweeper, callbacks, logging)
is looked at by `refused_of_hydra`, in `check_overrides`, before Hydra starts. With a flag that
makes Hydra compose by itself (``--multirun``, ``--config-dir``) it has been built by then: give
such flags for files that you trust.
"""

import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from hydra.experimental.callback import Callback as HydraCallback
from hydra.plugins.plugin import Plugin
from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy
from omegaconf import DictConfig, OmegaConf
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from munit_pl.commands.inputs import InputError
from munit_pl.commands.resolving import resolve

Kinds = tuple[type, ...]

# No data sets: some of torchvision's unpickle a file in their constructor.
KINDS: Kinds = (
    LightningModule,
    LightningDataModule,
    Trainer,
    Callback,
    Logger,
    Profiler,
    Strategy,
    Accelerator,
    Precision,
    CheckpointIO,
    ClusterEnvironment,
    Optimizer,
    LRScheduler,
)
_OF_HYDRA: Kinds = (Plugin, HydraCallback)
_OF_LOGGING = {
    "colorlog.ColoredFormatter",
    "logging.FileHandler",
    "logging.NullHandler",
    "logging.StreamHandler",
    "logging.handlers.RotatingFileHandler",
}
_STREAMS = {"ext://sys.stdout", "ext://sys.stderr"}


def build(node: Any, **extra: Any) -> Any:
    """Build what ``node`` describes, with plain dicts and lists: they go into checkpoints.

    A mapping with ``_target_`` becomes an object of that class, made with the other keys as
    keyword arguments; with ``_partial_: true``, what makes one. Such mappings may lie anywhere in
    other mappings and lists, which stay what they are.

    Args:
        node: A part of a composed configuration.
        **extra: More arguments of the outermost class, taken as they are.

    Raises:
        InputError: If a class is none that may be built, nothing having been called; or if it does
            not take its arguments.
        OSError: If a constructor raises one.
        OmegaConfBaseException: If a value is missing or an interpolation does not resolve.
    """
    key = ""
    if OmegaConf.is_config(node):
        key = node._get_full_key(None)
        node = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    for fault in refused(node, key):
        raise InputError(fault)
    return _make(node, key, extra)


def refused(tree: Any, key: str, kinds: Kinds = KINDS) -> Iterator[str]:
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
                yield f"{_join(path, name)} cannot be had here: arguments go by their names"
        if "_target_" in node:
            try:
                find_class(node["_target_"], kinds)
            except ValueError as error:
                yield f"{_join(path, '_target_')} is {error}"


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
                key, text = _join(path, name), str(value)
                called = part.endswith("logging") and name in ("()", "class")
                if called and value not in _OF_LOGGING:
                    yield f"{key} is {text}, but may be {', '.join(sorted(_OF_LOGGING))} only"
                if text.startswith("ext://") and value not in _STREAMS:
                    yield f"{key} is {text}, but may be {', '.join(sorted(_STREAMS))} only"
                if text.startswith("${") and text.endswith("}"):  # it may become a mapping later
                    yield f"{key} is {text}, which cannot be looked into: write out what it is"


def find_class(target: Any, kinds: Kinds = KINDS) -> type:
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
            yield from _mappings(value, _join(key, name))
    elif isinstance(tree, list | tuple):
        for i, value in enumerate(tree):
            yield from _mappings(value, f"{key}[{i}]")


def _make(tree: Any, key: str, extra: Mapping[str, Any]) -> Any:
    """Build what has been looked at."""
    if isinstance(tree, list):
        return [_make(value, f"{key}[{i}]", {}) for i, value in enumerate(tree)]
    if not isinstance(tree, dict):
        return tree
    special = {"_target_", "_partial_"}
    made = {k: _make(v, _join(key, k), {}) for k, v in tree.items() if k not in special}
    if "_target_" not in tree:
        return made
    cls = find_class(tree["_target_"])
    if tree.get("_partial_"):
        return partial(cls, **made, **extra)
    try:
        return cls(**{**made, **extra})
    except (ValueError, TypeError, ImportError, MisconfigurationException) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        raise InputError(f"{key}: {' '.join(str(error).split())}") from error


def _join(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)
