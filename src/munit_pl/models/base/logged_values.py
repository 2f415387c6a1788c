"""What is logged of an iteration, and how it is read from a device."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from munit_pl.losses.terms import Terms, total
from munit_pl.models.base.micro_batch import MicroBatch

if TYPE_CHECKING:
    from munit_pl.models.base.module import AdversarialModule


def values_of_iteration(
    module: "AdversarialModule", terms: Mapping[str, Sequence[Terms]], parts: Sequence[MicroBatch]
) -> dict[str, Tensor]:
    """Return what is logged of both updates, the codes and the recipes: scalars by name.

    Args:
        module: What was updated.
        terms: Of "dis" and "gen" the terms of each part of the batch.
        parts: The parts.
    """
    values: dict[str, Tensor] = {}
    for player, optimizer in zip(("dis", "gen"), module.trainer.optimizers, strict=True):
        values |= _values_of_update(module, player, terms[player])
        values[f"{player}/lr"] = torch.tensor(optimizer.param_groups[0]["lr"])
    values |= module.code_statistics(parts)
    for recipe in module.recipes:
        values |= recipe.logs()
    return values


def on_host(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return scalars on the CPU, those of a device read together: it is waited for once.

    Lightning reads what a progress bar shows twice in each iteration, those that are not logged
    too, so that it must not lie on the device.
    """
    there = {name: value for name, value in values.items() if value.device.type != "cpu"}
    if not there:
        return dict(values)
    read = torch.stack([*there.values()]).cpu()
    return {**values, **dict(zip(there, read, strict=True))}


def _values_of_update(
    module: "AdversarialModule", player: str, part_terms: Sequence[Terms]
) -> dict[str, Tensor]:
    """Return one update's terms, their weighted sum, the gradient's norm and skipped steps."""
    terms = {
        term: torch.stack([of_part[term].detach() for of_part in part_terms]).sum(0)
        for term in part_terms[0]
    }
    values = {
        f"{player}/{module.recipes.log_name(term)}_{domain}": value
        for term, pair in terms.items()
        for domain, value in zip("ab", pair, strict=True)
    }
    return values | {
        f"{player}/total": total(terms, module.weights_of(player)),
        f"{player}/grad_norm": module.norms[player],
        f"skipped/{player}": module.skipped[player][0].float(),
    }
