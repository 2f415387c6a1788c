"""What ``munit-data check`` ends with: a trial run that suits the images and the machine."""

import logging
import shlex
import statistics
import time
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from hydra import compose, initialize_config_module
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from munit_pl.commands.config.building import build
from munit_pl.commands.config.quoting import quoted
from munit_pl.commands.runtime.peak_memory import predict_peak
from munit_pl.data.tools.inspection import Inspection
from munit_pl.inference.precision_choice import choose_precision
from munit_pl.models.base.module import AdversarialModule

_METHOD = "model=munit_modern", "demo=munit_modern"  # measured to be best in minutes
_FEW = 50  # images of a domain; with more, DiffAugment gained little and cost colors
_SMALLEST = 64  # pixels, which discriminators of the small networks see something of
_LARGEST = {"cpu": 64, "cuda": 128}  # in minutes
_TIMED, _WARM_UP = 6, 2  # iterations


class TrialRun(NamedTuple):
    """How long a run takes, and what memory.

    Attributes:
        where: Device and precision.
        seconds: Of an iteration.
        steps: Iterations of the run.
        peak: Bytes of tensors at once.
    """

    where: str
    seconds: float
    steps: int
    peak: int

    def __str__(self) -> str:
        minutes = max(1, round(self.steps * self.seconds / 60))
        return (
            f"{self.steps} iterations of {self.seconds:.2g} s ({self.where}): pictures to judge "
            f"by after about {minutes} min; the run's tensors take {self.peak / 2**30:.2g} GiB"
        )


def suggest(inspections: Sequence[Inspection], data: Sequence[str]) -> list[str]:
    """Say how to start, in lines for people: a command, and what came of trying it.

    Args:
        inspections: Of all folders that a run would read.
        data: The settings that name the data.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = suggest_settings(inspections, data, device)
    try:
        tried = str(try_out(settings, device))
    except Exception as error:  # of whatever kind: it is told, and the report stands
        tried = f"could not be tried: {' '.join(str(error).split())[:300]}"
    run = "name=trial", "run=first", "ckpt_path=auto"  # the same command again goes on with it
    return [shlex.join(["munit-train", *settings, *run]), tried]


def suggest_settings(
    inspections: Sequence[Inspection], data: Sequence[str], device: str
) -> list[str]:
    """Return the settings of a run that shows within minutes what can be learnt from these images.

    Networks, batch and length are the demo's; size, channels and recipe follow from the images.

    Args:
        inspections: Of all folders that a run would read.
        data: The settings that name the data.
        device: "cpu" or "cuda".
    """
    sides = sorted(side for found in inspections for side in found.shortest_sides)
    median = sides[len(sides) // 2]
    side = max(_SMALLEST, min(_LARGEST[device], median // 16 * 16))
    settings = [*data, *_METHOD, f"data.resize={side}", f"data.crop={side}"]
    settings += ["data.batch_size=2", "trainer.precision=auto"]
    gray = [domain for domain in "ab" if not _has_color(inspections, domain)]
    settings += [f"model.input_channels_{domain}=1" for domain in gray]
    if min(len(found.usable) for found in inspections if found.split == "train") < _FEW:
        settings.append("+recipe=diffaugment")
    return settings


def _has_color(inspections: Sequence[Inspection], domain: str) -> bool:
    """Return whether an image of a domain has color; domain a's is a file's first half."""
    return any(
        image.colored["ab".index(domain) if found.domain == "" else 0]
        for found in inspections
        if found.domain in (domain, "")
        for image in found.decoded.values()
    )


class _Clock(Callback):
    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def try_out(settings: Sequence[str], device: str) -> TrialRun:
    """Train for a few iterations on the images themselves.

    Args:
        settings: From `suggest`.
        device: "cpu" or "cuda".
    """
    with initialize_config_module("munit_pl.conf", version_base="1.3"):
        words = [quoted(setting) for setting in settings]
        cfg = compose("train", [*words, "output_dir=none", "data.num_workers=0"])
    module: AdversarialModule = build(cfg.model)
    bf16 = choose_precision(torch.device(device), training=True).bf16
    precision = "bf16-mixed" if bf16 else "32-true"
    clock = _Clock()
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Trainer(
            accelerator=device,
            devices=1,
            precision=precision,  # type: ignore[arg-type]
            max_steps=_TIMED,
            limit_val_batches=0,
            callbacks=[clock],
            **quiet,  # type: ignore[arg-type]
        ).fit(module, build(cfg.data))
    spans = [end - start for start, end in zip(clock.ends, clock.ends[1:], strict=False)]
    side = cfg.data.crop  # of a square
    peak = predict_peak(module, side, side, cfg.data.batch_size, precision, device)
    seconds = statistics.median(spans[_WARM_UP:])
    where = f"{device.upper()}, {precision}"
    return TrialRun(where, seconds, cfg.trainer.max_steps, peak)
