"""The conditions that a checkpoint was saved under, and which have changed on resume."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lightning.pytorch import Trainer

from munit_pl.callbacks.ema import averages


def run_conditions(trainer: Trainer) -> dict[str, Any]:
    """Return what a run's numbers depend on besides its settings, as plain values."""
    names = {"torch": "torch", "lightning": "lightning", "munit_pl": "munit-pl"}
    return {
        "versions": {"python": platform.python_version()}
        | {name: _version(package) for name, package in names.items()},
        "world_size": trainer.world_size,
        "precision": str(trainer.precision),
        "moving average": next((f"of decay {kept.decay:g}" for kept in averages(trainer)), "none"),
    }


def changed_conditions(noted: Any, trainer: Trainer) -> list[str]:
    """Say which conditions are others than a checkpoint noted, "torch 2.10.0 became 2.14.0" say.

    Args:
        noted: What `run_conditions` returned when it was saved, or what a foreign file has there.
        trainer: The trainer that resumes it.
    """
    there, here = _flat(noted), _flat(run_conditions(trainer))
    return [
        f"{name} {there[name]} became {value}"
        for name, value in here.items()
        if there.get(name, value) != value
    ]


def _flat(noted: Any) -> dict[str, Any]:
    """Return the conditions by name; none of what a foreign file has under their key."""
    if not isinstance(noted, dict) or not isinstance(noted.get("versions"), dict):
        return {}
    return {**noted, **noted["versions"], "versions": None}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree on the path
        return "unknown"
