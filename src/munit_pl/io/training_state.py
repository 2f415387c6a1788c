"""Checks that a checkpoint's training state is complete, finite and fits the optimizers."""

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

_PARTS = {
    "pytorch-lightning_version": str,
    "epoch": int,
    "global_step": int,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
}
_DONE = "fit_loop.epoch_loop.manual_optimization.optim_step_progress.total.completed"
# Callbacks keep account, of the best value so far say, which may be infinite.
_OTHERS = ("callbacks.", "hyper_parameters.")
_NOT_NEGATIVE = {"step", "exp_avg_sq", "square_avg", "sum", "variance", "row_var", "col_var"}


def tensors_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return all tensors by where they lie, as in "state_dict.gen_a.weight"."""
    return {name: leaf for name, leaf in _leaves(checkpoint) if isinstance(leaf, Tensor)}


def check_finite(checkpoint: Mapping[str, Any]) -> None:
    """Refuse a state with NaN or Inf, of which training makes nothing but more.

    Raises:
        ValueError: If there is any, in tensors or plain numbers; it says where.
    """
    leaves = {k: leaf for k, leaf in _leaves(checkpoint) if not k.startswith(_OTHERS)}
    bad = [k for k, leaf in leaves.items() if isinstance(leaf, float) and not math.isfinite(leaf)]
    floats = {
        name: torch.view_as_real(leaf) if leaf.is_complex() else leaf
        for name, leaf in leaves.items()
        if isinstance(leaf, Tensor) and (leaf.is_floating_point() or leaf.is_complex())
    }
    checked = {  # by the extremes, NaN among them, which takes a quarter of the time
        name: torch.stack(values.aminmax()).isfinite().all()
        for name, values in floats.items()
        if values.numel()
    }
    if checked:
        # One wait for the accelerator, not one for each tensor.
        devices = (flag.device for flag in checked.values())
        device = max(devices, key=lambda device: device.type != "cpu")
        flags = torch.stack([flag.to(device, non_blocking=True) for flag in checked.values()])
        bad += [name for name, fine in zip(checked, flags.tolist(), strict=True) if not fine]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise ValueError(f"there are values that are not finite in {', '.join(bad[:3])}{more}")


def check_training_state(checkpoint: Mapping[str, Any], optimizers: Sequence[Optimizer]) -> None:
    """Refuse what Lightning, or the first iteration, would break off over.

    Args:
        checkpoint: It may come from an untrusted source.
        optimizers: Those that are to go on, made anew.

    Raises:
        ValueError: If a part is missing or of another kind; it says which.
    """
    for name, kind in _PARTS.items():
        part: Any = checkpoint.get(name)
        if type(part) is not kind or (type(part) is int and part < 0):
            raise ValueError(f"its {name!r} is missing, or of a wrong kind")
    if not re.fullmatch(r"\d+(\.\d+)+\S*", checkpoint["pytorch-lightning_version"]):
        raise ValueError("its 'pytorch-lightning_version' is none")
    loops = dict(_leaves(checkpoint["loops"]))
    if not all(isinstance(leaf, bool | int) and 0 <= leaf < 2**63 for leaf in loops.values()):
        raise ValueError("its 'loops' hold something else than counts")
    if loops.get(_DONE) != checkpoint["global_step"]:  # Lightning would start from 0
        raise ValueError("its 'loops' do not say that so many iterations are done")
    states, schedulers = checkpoint["optimizer_states"], checkpoint["lr_schedulers"]
    if not len(states) == len(schedulers) == len(optimizers):
        raise ValueError(f"it has no state of {len(optimizers)} optimizers and their schedulers")
    for i, (state, optimizer) in enumerate(zip(states, optimizers, strict=True)):
        if not _fits(state, optimizer):
            raise ValueError(f"its 'optimizer_states' {i} do not fit the optimizer")
    for i, (state, optimizer) in enumerate(zip(schedulers, optimizers, strict=True)):
        rates = state.get("_last_lr") if isinstance(state, dict) else None
        counts = [state.get(k) for k in ("last_epoch", "_step_count")] if rates else [None]
        if not _are_rates(rates, optimizer) or not all(type(n) is int and n >= 0 for n in counts):
            raise ValueError(f"its 'lr_schedulers' {i} do not fit the optimizer")
    skipped = checkpoint.get("skipped", {})
    if not isinstance(skipped, dict) or any(
        not isinstance(counts, list) or [type(n) for n in counts] != [int, int]
        for counts in skipped.values()
    ):
        raise ValueError("its 'skipped' are no counts of skipped steps")


def _fits(state: Any, optimizer: Optimizer) -> bool:
    """Tell whether a state can be loaded, and be stepped from."""
    groups = state.get("param_groups") if isinstance(state, dict) else None
    own = optimizer.param_groups
    if not isinstance(groups, list) or len(groups) != len(own):
        return False
    if not all(isinstance(g, dict) and isinstance(g.get("params"), list) for g in groups):
        return False
    if not _are_rates([group.get("lr") for group in groups], optimizer):
        return False
    if [len(group["params"]) for group in groups] != [len(group["params"]) for group in own]:
        return False
    names = [name for group in groups for name in group["params"]]
    moments = state.get("state")
    if not all(type(name) is int for name in names) or not isinstance(moments, dict):
        return False
    weights = dict(zip(names, (p for group in own for p in group["params"]), strict=True))
    kept = {n: _state_of_small_weight(optimizer, n) for n in {w.ndim for w in weights.values()}}
    return len(weights) == len(names) and all(
        name in weights and _are_moments(values, weights[name], kept[weights[name].ndim])
        for name, values in moments.items()
    )


def _state_of_small_weight(optimizer: Optimizer, ndim: int) -> dict[str, Tensor]:
    """Return what an optimizer of this kind keeps of a weight whose sides are all 2."""
    weight = optimizer.param_groups[0]["params"][0].new_zeros((2,) * ndim)
    weight.grad = torch.zeros_like(weight)
    cls: Any = type(optimizer)
    taken = inspect.signature(cls).parameters.keys() & optimizer.defaults.keys()
    probe: Optimizer = cls([weight], **{name: optimizer.defaults[name] for name in taken})
    probe.step()
    return dict(probe.state[weight])


def _are_moments(values: Any, weight: Tensor, kept: Mapping[str, Tensor]) -> bool:
    """Tell whether these are what is kept of a weight, as it is of a small one."""
    if not isinstance(values, dict) or not kept.keys() <= values.keys():
        return False
    if not all(isinstance(x, Tensor) and x.is_floating_point() for x in values.values()):
        return False
    if any((values[name] < 0).any() for name in _NOT_NEGATIVE & kept.keys()):
        return False
    for name, small in kept.items():  # of scalars, and Adafactor's rows and columns, fewer sides
        sides = zip(weight.shape, small.shape, strict=False)
        if values[name].shape != tuple(side if n == 2 else 1 for side, n in sides):
            return False
    return True


def _are_rates(values: Any, optimizer: Optimizer) -> bool:
    kinds = isinstance(values, list) and all(type(x) in (int, float) for x in values)
    return kinds and len(values) == len(optimizer.param_groups) and min(values) >= 0


def _leaves(value: Any, name: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield what is neither mapping nor sequence, by where it lies; what lies in two places once.

    Files can hold lists that hold themselves.
    """
    seen = set() if seen is None else seen
    items: Any = None
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        items = enumerate(value)
    if items is None:
        yield name, value
    elif id(value) not in seen:
        seen.add(id(value))
        for key, item in items:
            yield from _leaves(item, f"{name}.{key}" if name else str(key), seen)
