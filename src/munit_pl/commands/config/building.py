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

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy
from omegaconf import OmegaConf
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from munit_pl.commands.config.targets import Kinds, find_class, join_key, refused
from munit_pl.commands.errors import InputError

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
    for fault in refused(node, key, KINDS):
        raise InputError(fault)
    return _make(node, key, extra)


def _make(tree: Any, key: str, extra: Mapping[str, Any]) -> Any:
    """Build what has been looked at."""
    if isinstance(tree, list):
        return [_make(value, f"{key}[{i}]", {}) for i, value in enumerate(tree)]
    if not isinstance(tree, dict):
        return tree
    special = {"_target_", "_partial_"}
    made = {k: _make(v, join_key(key, k), {}) for k, v in tree.items() if k not in special}
    if "_target_" not in tree:
        return made
    cls = find_class(tree["_target_"], KINDS)
    if tree.get("_partial_"):
        return partial(cls, **made, **extra)
    try:
        return cls(**{**made, **extra})
    except (ValueError, TypeError, ImportError, MisconfigurationException) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        raise InputError(f"{key}: {' '.join(str(error).split())}") from error
