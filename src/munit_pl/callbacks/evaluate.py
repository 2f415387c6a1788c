"""A protocol's metrics during training, and the checkpoint that was best by one of them."""

import logging
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from munit_pl.callbacks.checkpoint_io import Best, not_saved
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.ema import averaged
from munit_pl.callbacks.stopping import final_metrics
from munit_pl.checks import Arguments, ArgumentsOf, PositiveInt, Seed, checked
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.datamodules.drawn import DrawnDataModule
from munit_pl.data.domain import Domain, DomainName
from munit_pl.data.file_identity import files_of
from munit_pl.data.replacement import with_replacement
from munit_pl.evaluation.evaluate import evaluate
from munit_pl.evaluation.feature_extractors import FeatureExtractors, load_feature_extractors
from munit_pl.evaluation.protocols.registry import find_protocol
from munit_pl.evaluation.task import EvaluationTask
from munit_pl.inference.translator import Translator
from munit_pl.models.base.module import AdversarialModule
from munit_pl.models.base.run_length import run_length
from munit_pl.reports.grid import surviving

_TRAINING = 1000  # training images of each domain that sets of translations are compared with
_LONG = 5  # evaluations in a row that were no better than an earlier one

_log = logging.getLogger(__name__)


class Evaluate(Callback):
    """Run a protocol every so many iterations, and keep the best checkpoint by one metric.

    Metrics go to the loggers as ``eval/...`` and to ``folder/00001000/``, the best checkpoint is
    ``folder/best.ckpt``. Each time that five evaluations in a row were no better, a line says so.
    The feature extractors are the callback's own: they are in no checkpoint and no process
    exchanges their gradients. Nothing of the training changes by it.

    Networks see the real images once, and of the training images 1000 of each domain at most.

    Args:
        folder: Where reports and the best checkpoint go.
        protocol: Its name.
        every_n_steps: Iterations from one evaluation to the next.
        monitor: Key of the metric that decides, such as "a2b/silhouette_iou".
        mode: "max" if more is better, "min" if less is.
        limit: Test images of each domain at most, if not as many as the protocol says.
        networks: Arguments of `load_feature_extractors`.
        seed: Where random styles come from.
    """

    @checked
    def __init__(
        self,
        folder: str | Path,
        protocol: str,
        monitor: str,
        mode: Literal["min", "max"],
        every_n_steps: PositiveInt = 1000,
        limit: PositiveInt | None = None,
        networks: Annotated[Arguments, ArgumentsOf(load_feature_extractors, ("device",))] = None,
        seed: Seed = 0,
    ) -> None:
        self.folder = Path(folder)
        self.protocol = find_protocol(protocol, limit)
        known = [monitor] if self.protocol.needs_extractors else self.protocol.keys()
        if monitor not in known:
            raise ValueError(f"monitor is {monitor}, but must be one of {', '.join(known)}")
        self.best = Best(monitor, mode)
        self.every_n_steps = every_n_steps
        self.networks = dict(networks or {})
        self.seed = seed
        self._extractors: FeatureExtractors | None = None
        self._real_features: dict[tuple[str, DomainName, int], tuple[Tensor, Tensor]] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the networks and refuse data that the protocol cannot use, before training."""
        if not isinstance(trainer.datamodule, TwoDomains):  # type: ignore[attr-defined]
            raise TypeError("an evaluation takes test images of this package's data modules")
        task = task_of(trainer, pl_module, self.seed)
        self.protocol.check(task)
        if self.protocol.needs_extractors:
            self._extractors = load_feature_extractors(**self.networks, device=task.device)
        known = self.protocol.keys(self._extractors, task.translator.reads_styles)
        if self.best.monitor not in known:
            raise ValueError(
                f"monitor is {self.best.monitor}, but must be one of {', '.join(known)}"
            )

    def check_data(self, datamodule: TwoDomains) -> Iterator[str]:
        """Yield why the protocol cannot measure these images, if it cannot."""
        if self.protocol.needs_ground_truth and not isinstance(datamodule, DrawnDataModule):
            yield f"protocol {self.protocol.name} measures models of the drawn shoes (data=drawn)"

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Evaluate every ``every_n_steps`` iterations."""
        if trainer.global_step % self.every_n_steps:
            return
        if trainer.global_step != run_length(trainer):
            self._evaluate(trainer, pl_module)
            return
        with final_metrics(trainer):
            self._evaluate(trainer, pl_module)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Checkpoints):
                callback.outdate()  # it knows the best of before

    def _evaluate(self, trainer: Trainer, pl_module: LightningModule) -> None:
        task = task_of(trainer, pl_module, self.seed)
        if self.protocol.needs_extractors:
            a, b = (_Some(images, _TRAINING) for images in task.train)
            task = replace(task, train=(a, b), real_features=self._real_features)
        report = evaluate(
            self.protocol,
            task,
            self._extractors,
            {"iteration": str(trainer.global_step)},
            {"data": "test images of the run"},
        )
        metrics = {metric.key: metric.value for metric in report.metrics}
        for logger in trainer.loggers:
            named = {f"eval/{key}": value for key, value in metrics.items()}
            logger.log_metrics(named, trainer.global_step)
        if trainer.is_global_zero:
            with surviving("an evaluation's report"):
                report.write(self.folder / f"{trainer.global_step:08d}")
        path = self.folder / "best.ckpt"
        failure = self.best.keep(trainer, metrics[self.best.monitor], path)
        if failure is not None and trainer.is_global_zero:
            _log.error("%s; training goes on", not_saved(path, failure))
        since = self._worse_since(trainer.global_step)
        if since and since % _LONG == 0 and trainer.is_global_zero:
            _log.info("%s; %s is of then", self.verdict(trainer.global_step), path)

    def verdict(self, step: int) -> str | None:
        """Say which iteration up to ``step`` was the best; None if that is not known."""
        if self.best.value is None or not self.best.step:  # which earlier checkpoints do not tell
            return None
        found = f"{self.best.monitor} was best at iteration {self.best.step}: {self.best.value:.4g}"
        since = self._worse_since(step)
        return f"{found}; {since} evaluations since were no better" if since >= _LONG else found

    def _worse_since(self, step: int) -> int:
        return (step - self.best.step) // self.every_n_steps if self.best.step else 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return self.best.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there; the best by another metric says nothing of this one."""
        self.best.load_state_dict(state_dict)


class _Some:
    """Some of a domain's images, evenly spread."""

    def __init__(self, images: Domain, most: int) -> None:
        self._images = images
        self.files = files_of(images)  # what they are some of
        self._step = max(1, -(-len(images) // most))

    def __len__(self) -> int:
        return -(-len(self._images) // self._step)

    def load(self, index: int, rng: torch.Generator | None) -> Tensor:
        return self._images.load(self._step * index, rng)


def task_of(trainer: Trainer, pl_module: LightningModule, seed: int) -> EvaluationTask:
    """Return what a run trains, and its images, as an evaluation takes them."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(pl_module, AdversarialModule)
    # Copies: a translator's networks are in evaluation mode, and in fp32 whatever trains here.
    with averaged(trainer, pl_module):
        gens = [deepcopy(gen).float() for gen in (pl_module.gen_a, pl_module.gen_b)]
    return EvaluationTask(
        Translator(*gens, device=pl_module.device),
        with_replacement(datamodule.domains["train"]),
        with_replacement(datamodule.domains["test"]),
        seed,
        trainer.global_rank,
        trainer.world_size,
    )
