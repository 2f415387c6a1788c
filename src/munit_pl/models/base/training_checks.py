"""Why a module cannot be trained on some images, in some precision or by its optimizers."""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.optim.optimizers import make_optimizer

if TYPE_CHECKING:
    from munit_pl.models.base.module import AdversarialModule


def data_faults(module: "AdversarialModule", datamodule: TwoDomains) -> Iterator[str]:
    """Yield a line for each reason why a module cannot be trained on these images."""
    for network in (module.gen_a, module.dis_a):
        try:
            cast(Any, network).check_size(*datamodule.size)
        except ValueError as error:
            yield str(error)
    for (domain, given), gen in zip(
        datamodule.channels.items(), (module.gen_a, module.gen_b), strict=True
    ):
        taken = getattr(gen, "in_channels", given)
        if taken != given:
            yield (
                f"domain {domain}: the images have {given} channels, but the networks take "
                f"{taken}: set model.input_channels_{domain}, which images of folders follow"
            )
    if "mask" in module.recipes.weights() and not datamodule.masks:
        yield (
            "model.recipes.mask takes masks, but the images come without: set data.masks=true "
            "(data=folder, data=drawn), name columns of masks (data=huggingface), or leave it out"
        )
    if module.paired and not datamodule.paired:
        yield (
            f"{type(module).__name__} trains on pairs, but these images are unpaired: use "
            "data=aligned, or data.paired=true where the data has it"
        )
    parts, batch = module.hparams["accumulate"], datamodule.batch_size
    if parts > (images := module.num_split(batch)):
        of = "" if images == batch else f"{images} of "
        yield (
            f"model.accumulate is {parts}, but there are only {of}data.batch_size={batch} images "
            "to split into parts"
        )


def precision_faults(module: "AdversarialModule", precision: object) -> Iterator[str]:
    """Yield why a module cannot be trained in one of Lightning's precisions, if it cannot."""
    optimizer = module.hparams["optimizer"]
    adam = optimizer.get("name", "Adam") in ("Adam", "AdamW")
    if optimizer.get("fused") and not adam and str(precision) in ("16", "16-mixed"):
        yield (
            "model.optimizer.fused=true is supported with trainer.precision=16-mixed for Adam and "
            "AdamW alone"
        )


def check_optimizers(module: "AdversarialModule") -> None:
    """Raise a `ValueError` or a `TypeError` if an optimizer or a schedule cannot be made."""
    for player in ("dis", "gen"):
        weight = nn.Parameter(torch.zeros(1, device="cpu"))
        optimizer = make_optimizer([weight], **module.optimizer_arguments(player))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the optimizer has made no step
            module.make_scheduler(optimizer).step()
