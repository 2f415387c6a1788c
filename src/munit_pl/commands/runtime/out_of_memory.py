"""GPU out of memory: what would fit instead."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from munit_pl.commands.runtime.peak_memory import predict_peak
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.datamodules.drawn import DrawnDataModule
from munit_pl.models.base.module import AdversarialModule

USABLE = 0.9  # of a device's memory: the rest is for what a prediction leaves out
ADVICE = (
    "take a smaller data.batch_size or data.crop, split the batch (model.accumulate=2), "
    "model.checkpoint_activations=true where the model has it, or trainer.precision=bf16-mixed"
)


class _Plan(NamedTuple):
    """A way to train, and the settings that make it of the way asked for."""

    size: tuple[int, int]
    batch: int
    precision: str
    arguments: dict[str, Any]
    settings: tuple[str, ...] = ()


def explain_out_of_memory(
    error: Exception, module: LightningModule, datamodule: LightningDataModule, trainer: Trainer
) -> str:
    """Say in one line what an iteration takes, what the device has, and what would fit.

    Args:
        error: What PyTorch raised.
        module: What was trained.
        datamodule: What with.
        trainer: By what.
    """
    said = str(error).partition("\n")[0]
    try:
        advice = _advise(module, datamodule, trainer)
    except Exception:  # whatever keeps it from a prediction, the run ended for another reason
        advice = ADVICE
    return f"the GPU's memory is full: {advice}. {said}"


def device_memory(device: torch.device) -> int | None:
    """Return the bytes that a device has in all; None where that is not known."""
    if device.type != "cuda":
        return None
    return torch.cuda.get_device_properties(device).total_memory


def _advise(module: LightningModule, datamodule: LightningDataModule, trainer: Trainer) -> str:
    if not isinstance(module, AdversarialModule) or not isinstance(datamodule, TwoDomains):
        return ADVICE
    device = trainer.strategy.root_device

    def need(plan: _Plan) -> int:
        asked = (*plan.size, plan.batch, plan.precision, device)
        return predict_peak(module, *asked, **plan.arguments)

    plan = _Plan(datamodule.size, datamodule.batch_size, str(trainer.precision), {})
    height, width = plan.size
    needed, there = need(plan), device_memory(device)
    told = f"an iteration at {height}x{width} with batches of {plan.batch} takes {_gib(needed)}"
    if there is None:
        return f"{told} by prediction; {ADVICE}"
    told += f" by prediction, and the device has {_gib(there)}"
    if needed <= USABLE * there:
        return f"{told}, so that other programs may hold the rest; else {ADVICE}"
    for other in _remedies(plan, module, datamodule):
        plan, needed = other, need(other)
        if needed <= USABLE * there:
            return f"{told}; with {' '.join(plan.settings)} it would take {_gib(needed)}"
    if not plan.settings:
        return f"{told}; {ADVICE}"
    return f"{told}; even with {' '.join(plan.settings)} it would take {_gib(needed)}"


def _remedies(plan: _Plan, module: AdversarialModule, datamodule: TwoDomains) -> Iterator[_Plan]:
    """Yield ways to train in less memory: first the same update, then with other numbers."""
    recomputing = split = plan
    most = module.num_split(plan.batch)
    if module.hparams.get("checkpoint_activations") is False:
        recomputing = _with(plan, checkpoint_activations=True)
        yield recomputing
    if module.hparams["accumulate"] < most:
        split = _with(plan, accumulate=most)
        yield split
    if recomputing is not plan and split is not plan:
        yield (split := _with(recomputing, accumulate=most))
    plan = split if split is not plan else recomputing
    if plan.precision == "32-true":
        settings = (*plan.settings, "trainer.precision=bf16-mixed")
        yield (plan := plan._replace(precision="bf16-mixed", settings=settings))
    multiple = module.gen_a.size_divisor
    height, width = (side // 2 // multiple * multiple for side in plan.size)
    try:
        module.check_size(height, width)
    except ValueError:
        return
    name = "size" if isinstance(datamodule, DrawnDataModule) else "crop"
    smaller = f"data.{name}=[{height},{width}]"
    yield plan._replace(size=(height, width), settings=(*plan.settings, smaller))


def _with(plan: _Plan, **arguments: Any) -> _Plan:
    """Return the plan with other arguments of the module."""
    settings = [f"model.{name}={str(value).lower()}" for name, value in arguments.items()]
    return plan._replace(
        arguments={**plan.arguments, **arguments}, settings=(*plan.settings, *settings)
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
