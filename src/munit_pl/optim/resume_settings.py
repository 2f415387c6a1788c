"""Adopting changed settings of optimizers and schedules when a run is resumed."""

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, StepLR

from munit_pl.checks import ArgumentsOf, hints_of
from munit_pl.optim.schedules import rates_at

_FIXED = ("generator", "discriminator", "initialization")  # what the networks are, or began as
_MOMENTS = ("optimizer.name", "optimizer.amsgrad", "optimizer.centered")  # what a state holds
_KERNELS = {"fused", "foreach", "capturable", "differentiable"}  # which change no result
_LOADED = {"params", "lr", *_KERNELS}  # of a group
_SCHEDULE = ("step_size", "gamma")  # of `StepLR`, whose state tells them

Changes = dict[str, tuple[Any, Any]]


def adopt_settings(
    checkpoint: dict[str, Any],
    optimizers: Sequence[Optimizer],
    schedulers: Sequence[LRScheduler],
    settings: Mapping[str, Any],
    module: type,
) -> Changes:
    """Let a checkpoint that is about to be loaded say what a run's settings say now.

    Loading replaces all that optimizers and schedulers were made with. The rate becomes that which
    the new schedule has in this iteration. Where nothing has changed, no bit does.

    Args:
        checkpoint: Of a run with as many optimizers and schedulers; changed in place.
        optimizers: The discriminators' and the generators', made with the new settings.
        schedulers: Theirs.
        settings: The module's hyper-parameters.
        module: Its class, which says what was meant where they leave something out.

    Returns:
        By their names, the settings that have changed: what they were, and what they are.

    Raises:
        ValueError: If one has changed that is fixed once a run has started.
    """
    noted = checkpoint.get("hyper_parameters")
    had: Mapping[str, Any] = noted if isinstance(noted, Mapping) else {}
    changes = dict(_changes(_with_defaults(had, module), _with_defaults(settings, module)))
    groups = [state["param_groups"] for state in checkpoint["optimizer_states"]]
    of_player = [
        _adopt_groups(saved, optimizer.param_groups)
        for saved, optimizer in zip(groups, optimizers, strict=True)
    ]
    moments = dict(_changed_moments(had, settings, of_player[-1]))
    for name, (before, now) in (changes | moments).items():
        if name.split(".")[0] in _FIXED or name in moments:
            raise ValueError(
                f"model.{name} was {_short(before)} and is {_short(now)} now, which cannot change "
                "in a run that goes on: give what it was started with"
            )
    changes |= of_player[-1]
    rate = "optimizer.lr"
    if of_player[0].get(rate) != of_player[-1].get(rate) and rate in of_player[0]:
        changes["lr_discriminator"] = of_player[0][rate]
    for i, (saved, scheduler) in enumerate(
        zip(checkpoint["lr_schedulers"], schedulers, strict=True)
    ):
        if isinstance(scheduler, StepLR | LambdaLR):
            new, changed = _adopt_schedule(saved, scheduler, groups[i])
            checkpoint["lr_schedulers"][i] = new
            changes |= {name: change for name, change in changed.items() if name not in changes}
        elif saved["base_lrs"] != scheduler.base_lrs or _plain(had.get("scheduler")) != _plain(
            settings["scheduler"]
        ):
            checkpoint["lr_schedulers"][i] = _replay(scheduler, saved["last_epoch"], groups[i])
    return changes


def describe_changes(changes: Changes) -> str:
    """Return changes as they are told, "optimizer.lr: 0.0001 -> 5e-05" and so on."""
    told = (f"{name}: {_short(old)} -> {_short(new)}" for name, (old, new) in changes.items())
    return ", ".join(told)


def _with_defaults(settings: Mapping[str, Any], module: type) -> dict[str, Any]:
    """Return settings with what those of the networks and weights left out."""
    filled = dict(settings)
    for name, kind in hints_of(module).items():
        given = filled.get(name)
        for one in getattr(kind, "__metadata__", ()):
            # What an optimizer or a schedule has left out, its state and the method's class tell.
            if isinstance(one, ArgumentsOf) and not one.further and isinstance(given, Mapping):
                parameters = inspect.signature(one.what).parameters.values()
                defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
                own = {k: v for k, v in defaults.items() if k not in one.without}
                filled[name] = {**own, **given}
    return filled


def _changes(
    had: Mapping[str, Any], has: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield hyper-parameters that differ, but those that an optimizer's state tells better."""
    for name, now in has.items():
        before, place = had.get(name), f"{prefix}{name}"
        if name not in had or place in ("optimizer", "lr_discriminator"):
            continue
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            if place == "recipes" and list(before) != list(now):  # added, left out, reordered
                yield place, (list(before), list(now))
            yield from _changes(before, now, f"{place}.")
        elif _plain(before) != _plain(now):
            yield place, (before, now)


def _changed_moments(
    had: Mapping[str, Any], has: Mapping[str, Any], groups: Changes
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield what of an optimizer has changed that its state, which is gone on with, depends on."""
    names = [settings.get("optimizer", {}).get("name", "Adam") for settings in (had, has)]
    if names[0] != names[1]:
        yield "optimizer.name", (names[0], names[1])
    for name in _MOMENTS:
        if name in groups:
            yield name, groups[name]
    before, _ = groups.get("optimizer.momentum", (None, None))
    if before == 0 and names[0] == "RMSprop":  # which keeps a momentum only where it has one
        yield "optimizer.momentum", groups["optimizer.momentum"]


def _replay(
    scheduler: LRScheduler, iterations: int, groups: list[dict[str, Any]]
) -> dict[str, Any]:
    """Bring a new scheduler to an iteration, set its groups' rates and return its state."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its optimizer has made no step
        for _ in range(iterations):
            scheduler.step()
    for group, rate in zip(groups, scheduler.get_last_lr(), strict=True):
        group["lr"] = rate
    return scheduler.state_dict()


def _adopt_groups(saved: list[dict[str, Any]], own: list[dict[str, Any]]) -> Changes:
    """Give saved groups the settings of an optimizer's own."""
    changes: Changes = {}
    for group, now in zip(saved, own, strict=True):
        for name in now:
            if name not in _LOADED and _plain(group.get(name)) != _plain(now[name]):
                told = "lr" if name == "initial_lr" else name
                changes[f"optimizer.{told}"] = group.get(name), now[name]
                group[name] = now[name]
        # What the optimizer was made for, which gradient scalers go by.
        group |= {name: now[name] for name in _KERNELS & now.keys()}
    return changes


def _adopt_schedule(
    saved: dict[str, Any], scheduler: StepLR | LambdaLR, groups: list[dict[str, Any]]
) -> tuple[dict[str, Any], Changes]:
    """Return a scheduler's own state, in the iteration that was saved; set its groups' rates."""
    own = scheduler.state_dict()
    settings = {"base_lrs": own["base_lrs"]} | {k: own[k] for k in _SCHEDULE if k in own}
    state = {name: saved.get(name, value) for name, value in own.items()} | settings
    unchanged = all(saved.get(name) == value for name, value in settings.items())
    if isinstance(scheduler, StepLR) and unchanged:
        return state, {}  # its rate is a product of many, which rounds otherwise than a power
    changes: Changes = {
        f"scheduler.{name}": (saved[name], settings[name])
        for name in _SCHEDULE
        if name in saved and name in settings and saved[name] != settings[name]
    }
    state["_last_lr"] = rates_at(scheduler, saved["last_epoch"])
    if saved["base_lrs"] == state["base_lrs"] and saved["_last_lr"] != state["_last_lr"]:
        # Which no setting of the model need have done: "linear" follows the run's length.
        changes["learning rate"] = saved["_last_lr"][0], state["_last_lr"][0]
    for group, rate in zip(groups, state["_last_lr"], strict=True):
        group["lr"] = rate
    return state, changes


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _short(value: Any) -> str:
    return f"{value!r:.60}"
