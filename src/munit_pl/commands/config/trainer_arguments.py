"""What the Trainer would refuse, told before Lightning is imported."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge

from munit_pl.checks import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from munit_pl.commands.config.suggestions import nearest

_OrAll = PositiveInt | Literal[-1]
_Limit = NonNegativeFloat | None

# Of what Lightning's signature tells less than is known.
TRAINER: dict[str, Any] = {
    "max_steps": _OrAll,
    "max_epochs": _OrAll | None,
    "devices": list[NonNegativeInt] | str | _OrAll,
    "num_nodes": PositiveInt,
    "log_every_n_steps": PositiveInt,
    "check_val_every_n_epoch": PositiveInt | None,
    "val_check_interval": PositiveFloat | str | dict[str, int] | None,
    "limit_train_batches": _Limit,
    "limit_val_batches": _Limit,
    "limit_test_batches": _Limit,
    "limit_predict_batches": _Limit,
    "num_sanity_val_steps": Annotated[int, Ge(-1)] | None,
}

# The two updates of an iteration are the module's own work, and the rest has its own group: with
# each argument, the values that change nothing, and what to write instead of others.
_INSTEAD: dict[str, tuple[tuple[object, ...], str]] = {
    "accumulate_grad_batches": ((1,), "model.accumulate={}"),
    "gradient_clip_val": ((None, 0), "model.clip_norm={}"),
    "gradient_clip_algorithm": ((None,), "model.clip_norm=NUMBER, which clips by norm"),
    "enable_progress_bar": ((True,), "~callbacks.bar"),
    "enable_checkpointing": ((True,), "~callbacks.checkpoints"),
    "logger": ((), "logger=csv, or another of that group"),
    "callbacks": ((), "callbacks.NAME=..., see conf/callbacks"),
}


def refused_by_trainer(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each argument that no `Trainer` takes here.

    Args:
        tree: The configuration as plain values.
    """
    trainer = tree.get("trainer")
    if not isinstance(trainer, Mapping):
        return
    for name, (harmless, instead) in _INSTEAD.items():
        if name in trainer and trainer[name] not in harmless:
            yield f"trainer.{name} is not supported: write {instead.format(trainer[name])}"
    if trainer.get("strategy") in ("ddp", "ddp_spawn", "ddp_fork", "ddp_notebook"):
        yield _without_ddp(trainer, "strategy")
    elif trainer.get("strategy", "auto") == "auto":
        several = {"devices": _count(trainer) > 1, "num_nodes": _is_above_one(trainer)}
        yield from (_without_ddp(trainer, name) for name, yes in several.items() if yes)


def refused_together(trainer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a trainer's settings that are good one by one; imports Lightning."""
    from lightning.pytorch.accelerators import AcceleratorRegistry
    from lightning.pytorch.strategies import StrategyRegistry

    if trainer.get("max_steps", -1) == -1 and trainer.get("max_epochs") in (-1, None):
        yield "trainer.max_steps is -1, so that trainer.max_epochs must be given: nothing would end"
    interval = trainer.get("val_check_interval")
    if isinstance(interval, float) and trainer.get("check_val_every_n_epoch", 1) is None:
        yield f"trainer.val_check_interval is {interval}, but must be a whole number of iterations"
    for name, registry in (("accelerator", AcceleratorRegistry), ("strategy", StrategyRegistry)):
        known = {"auto", "gpu", *registry} if name == "accelerator" else {"auto", *registry}
        value = trainer.get(name, "auto")
        if isinstance(value, str) and value not in known:
            yield f"there is no {name} {value}" + nearest(value, sorted(known), "munit-train")


def refused_by_machine(trainer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the devices on this machine; PyTorch is imported if any is named.

    Args:
        trainer: The settings of the trainer, as plain values.
    """
    accelerator = trainer.get("accelerator", "auto")
    named = accelerator in ("gpu", "cuda")
    counted = trainer.get("strategy", "auto") == "auto" and _count(trainer) < 0
    if not named and not counted:
        return
    import torch

    mps = accelerator == "gpu" and torch.backends.mps.is_available()
    if named and not mps and not torch.cuda.is_available():
        why = "" if torch.version.cuda else f": PyTorch {torch.__version__} comes without CUDA"
        yield (
            f"trainer.accelerator is {accelerator}, but no GPU is found here{why}; "
            "train on the CPU with trainer.accelerator=cpu"
        )
    elif counted and accelerator in ("auto", "gpu", "cuda") and torch.cuda.device_count() > 1:
        yield _without_ddp(trainer, "devices")


def _is_above_one(trainer: Mapping[str, Any]) -> bool:
    nodes = trainer.get("num_nodes", 1)
    return isinstance(nodes, int) and nodes > 1


def _count(trainer: Mapping[str, Any]) -> int:
    """Return how many devices are asked for; -1 for all there are."""
    devices = trainer.get("devices", "auto")
    if isinstance(devices, str):
        devices = (
            devices.strip(", ").split(",") if "," in devices else devices.replace("auto", "-1")
        )
    if isinstance(devices, list):
        return len(devices)
    try:
        return int(devices)
    except (TypeError, ValueError, OverflowError):
        return 1  # what is wrong is told elsewhere


def _without_ddp(trainer: Mapping[str, Any], name: str) -> str:
    on_cpu = " trainer.accelerator=cpu" if trainer.get("accelerator") == "cpu" else ""
    return (
        f"trainer.{name} is {trainer[name]}, but several processes take DDP that looks for unused "
        f"parameters: add trainer=ddp{on_cpu}"
    )
