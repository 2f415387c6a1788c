"""What is wrong with a configuration only because of two of its settings."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from munit_pl.callbacks.drawn_report import DrawnReport
from munit_pl.callbacks.evaluate import Evaluate
from munit_pl.commands.config.resolving import Path, join
from munit_pl.commands.config.suggestions import nearest
from munit_pl.commands.config.trainer_arguments import refused_by_trainer
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.datamodules.drawn import DrawnDataModule
from munit_pl.evaluation.protocols.drawn_ground_truth import Drawn
from munit_pl.models.base.module import AdversarialModule


def check_pair(datamodule: TwoDomains, module: AdversarialModule) -> Iterator[str]:
    """Yield a line for each reason why ``module`` cannot be trained on these images."""
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
                f"{taken}: set model.input_channels_{domain}, which the images of folders follow"
            )
    if getattr(module.weights, "mask", 0) > 0 and not datamodule.masks:
        yield (
            "model.weights.mask is above 0, but the images come without masks: set data.masks=true "
            "(data=folder, data=drawn), or the weight to 0"
        )
    if module.paired and not datamodule.paired:
        yield (
            f"{type(module).__name__} learns from pairs, but these images are none: use "
            "data=aligned, or data.paired=true where the data has it"
        )


def together(
    tree: Mapping[str, Any], classes: Mapping[Path, type], made: Mapping[Path, object]
) -> Iterator[str]:
    """Yield what is wrong only because of two settings.

    Args:
        tree: The configuration as plain values.
        classes: By their places, the classes of what is to be built.
        made: By their places, what could be made of it, with nothing wrong in its group.
    """
    module, datamodule = made.get(("model",)), made.get(("data",))
    if isinstance(module, AdversarialModule) and isinstance(datamodule, TwoDomains):
        yield from check_pair(datamodule, module)
        accumulate, batch_size = module.hparams["accumulate"], datamodule.batch_size
        if accumulate > batch_size:
            yield (
                f"model.accumulate is {accumulate}, but there are only data.batch_size="
                f"{batch_size} images to split into parts"
            )
    yield from refused_by_trainer(tree)
    trainer = tree.get("trainer")
    if isinstance(trainer, Mapping):
        yield from _of_trainer(trainer)
        half = str(trainer.get("precision")) in ("16", "16-mixed")
        optimizer = module.hparams["optimizer"] if isinstance(module, AdversarialModule) else {}
        if optimizer.get("fused") and half:
            yield "model.optimizer.fused=true is not supported with trainer.precision=16-mixed"
    yield from _of_drawn(tree, classes, made)


def _of_drawn(
    tree: Mapping[str, Any], classes: Mapping[Path, type], made: Mapping[Path, object]
) -> Iterator[str]:
    """Yield which callbacks want the drawn shoes, or figures that these have not."""
    drawn = issubclass(classes.get(("data",), DrawnDataModule), DrawnDataModule)
    for path, callback in made.items():
        protocol = getattr(callback, "protocol", None) if isinstance(callback, Evaluate) else None
        if not drawn and isinstance(callback, DrawnReport):
            yield (
                f"{join(path)}: the drawn report measures runs on the drawn shoes (data=drawn); "
                f"on other data leave it out: ~{join(path)}"
            )
        elif not drawn and isinstance(protocol, Drawn):
            yield f"{join(path)}: protocol drawn measures models of the drawn shoes (data=drawn)"
        elif isinstance(protocol, Drawn):
            monitor, known = tree["callbacks"][path[-1]]["monitor"], protocol.keys()
            if monitor not in known:
                yield f"{join(path)}.monitor is {monitor}, but must be one of {', '.join(known)}"


def _of_trainer(trainer: Mapping[str, Any]) -> Iterator[str]:
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
