"""The summaries at a run's start and end, a few lines each."""

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from munit_pl.callbacks.auto_precision import AutoPrecision
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.commands.runtime.processes import is_first
from munit_pl.commands.runtime.resume import how_to_resume
from munit_pl.commands.terminal import short_path
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.datamodules.unpaired import UnpairedDataModule
from munit_pl.data.file_identity import files_of
from munit_pl.data.images.bit_depth import FULL
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.models.base.pair import DomainPair
from munit_pl.reports.grid import surviving

_log = logging.getLogger(__name__)
_INPUTS = 4  # images that are written to be translated, where the data has no files of domain a


class StartSummary(Callback):
    """Say, once no other callback refuses, what is trained, on what, and where results will be.

    Args:
        folder: The run's.
        ckpt_path: The checkpoint that it goes on from, if any.

    Attributes:
        why_precision: Why the run has its precision, in a few words, if no `AutoPrecision` knows.
        init_from: The trained model whose weights it starts from, if any.
    """

    def __init__(self, folder: Path, ckpt_path: Path | None) -> None:
        self.folder = folder
        self.ckpt_path = ckpt_path
        self.why_precision = ""
        self.init_from = ""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say it."""
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        choices = [callback.reason for callback in callbacks if isinstance(callback, AutoPrecision)]
        why = next(iter(choices), self.why_precision)
        precision = f"{trainer.precision} ({why})" if why else str(trainer.precision)
        rows = {"device": _device(trainer), "precision": precision}
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(datamodule, TwoDomains):
            rows["images"] = _images(datamodule)
        if isinstance(pl_module, DomainPair):
            rows["parameters"] = _parameters(pl_module)
        if self.ckpt_path is not None:
            rows["resuming from"] = short_path(self.ckpt_path)
        if self.init_from:
            rows["starting from"] = self.init_from
        rows["results"] = short_path(self.folder)
        _log_rows(rows)


def summarize_end(
    trainer: Trainer,
    datamodule: LightningDataModule,
    folder: Path,
    overrides: Sequence[str] | None,
    name: str,
) -> None:
    """Say what to look at, how to translate with the model and how to go on with the run.

    Args:
        trainer: The run's, which has ended, early or not.
        datamodule: Its images.
        folder: Where its results are.
        overrides: The settings that it was started with, as they were typed; unless it was started
            from another program.
        name: Its experiment's.
    """
    if not is_first():
        return
    rows = {}
    page, checkpoint = folder / "index.html", _last(trainer)
    if page.exists():
        rows["look at"] = short_path(page)
    if checkpoint is not None:
        rows["checkpoint"] = short_path(checkpoint)
        if isinstance(datamodule, TwoDomains):
            with surviving("images to translate"):
                rows["translate"] = translate_line(
                    checkpoint, inputs_of(datamodule, folder), folder
                )
        if how := how_to_resume(trainer, overrides, folder, name):
            rows["resume"] = how
    _log_rows(rows)


def tell_if_done(trainer: Trainer) -> None:
    """Say of a run that was not trained that it was through before, if that is why."""
    done = {
        "iteration": (trainer.global_step, trainer.max_steps),
        "epoch": (trainer.current_epoch, trainer.max_epochs or -1),
    }
    for name, (n, most) in done.items():
        if 0 < most <= n:
            _log_rows({"done already": f"{name} {n} of {most}"})
            return


def translate_line(checkpoint: Path, inputs: Path, folder: Path) -> str:
    """Return a command line that translates images; what it made before, it makes again."""
    out = folder / "translations"
    words = ["munit-translate", *map(short_path, (checkpoint, inputs)), "--out", short_path(out)]
    return shlex.join([*words, "--overwrite"])


def inputs_of(datamodule: TwoDomains, folder: Path) -> Path:
    """Return a folder of domain a's images: the user's, or else a few test images as files."""
    if isinstance(datamodule, UnpairedDataModule):
        folders = [datamodule.root / datamodule.folders[key] for key in ("test_a", "train_a")]
        return next((path for path in folders if path.exists()), folders[-1])
    inputs = folder / "inputs"
    inputs.mkdir(exist_ok=True)
    for i, image in enumerate(datamodule.first_images("test", "a", _INPUTS)):
        to_pil_image(image).save(inputs / f"{i + 1}.png")
    return inputs


def _log_rows(rows: dict[str, str]) -> None:
    width = max(map(len, rows), default=0)
    for title, text in rows.items() if is_first() else ():
        _log.info("%s", f"{title:{width}}  {text}")


def _device(trainer: Trainer) -> str:
    device = trainer.strategy.root_device
    named = {
        "cpu": lambda: f"CPU, {(n := torch.get_num_threads())} thread{'s' if n > 1 else ''}",
        "cuda": lambda: torch.cuda.get_device_name(device),
    }
    what = named.get(device.type, lambda: device.type.upper())()
    return what if trainer.world_size == 1 else f"{trainer.world_size} processes, each on {what}"


def _parameters(module: DomainPair) -> str:
    generators, discriminators = (
        sum(p.numel() for p in module.parameters_of(player)) for player in ("gen", "dis")
    )
    return f"generators {generators:,}, discriminators {discriminators:,}"


def _images(datamodule: TwoDomains) -> str:
    train, test = datamodule.domains["train"], datamodule.domains["test"]
    found = [
        f"{name} {len(own):,}"
        + ("" if files_of(own) and files_of(own) == files_of(other) else f" (test {len(other):,})")
        for name, own, other in zip("ab", train, test, strict=True)
    ]
    height, width = datamodule.size
    whites = {"a": datamodule.max_value("a"), "b": datamodule.max_value("b")}
    deep = [f"white of 16-bit {n} is {white}" for n, white in whites.items() if white != FULL]
    return "; ".join([", ".join(found), f"{height}x{width}", *deep])


def _last(trainer: Trainer) -> Path | None:
    """Return the newest checkpoint, if there is any."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    files = [x.folder / "last.ckpt" for x in callbacks if isinstance(x, Checkpoints)]
    return next((file for file in files if file.exists()), None)
