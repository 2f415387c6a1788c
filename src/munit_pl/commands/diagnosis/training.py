"""One trial, in a process of its own: a broken device takes no other trial along."""

import json
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback

from munit_pl.callbacks.compiled_networks import CompiledNetworks
from munit_pl.commands.diagnosis.trials import PUBLISHED, Trial
from munit_pl.data.datamodules.drawn import DrawnDataModule
from munit_pl.models.munit.module import MUNITModule

ITERATIONS = 12
WARM_UP = 4  # iterations that are not timed
SIDE = 32
_SMALL: dict[str, Any] = {
    "generator": {"dim": 8, "mlp_dim": 16, "num_res_blocks": 1},
    "discriminator": {"dim": 8, "num_layers": 2, "num_scales": 2},
    # Adam makes whole steps of gradients that are rounding alone, unless they are small beside it.
    "optimizer": {"eps": 1e-3},
}


class _Losses(Callback):
    """Notes each iteration's losses and when it ended; reading them waits for the device."""

    def __init__(self) -> None:
        self.values: list[list[float]] = []
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        metrics = trainer.callback_metrics
        self.values.append([float(metrics[f"{player}/total"]) for player in ("dis", "gen")])
        self.ends.append(time.perf_counter())


def train(trial: Trial) -> dict[str, Any]:
    """Train for a few iterations.

    Returns:
        "losses", ``(iterations, 2)``; "picture", a translation's means over 8x8 fields; "finite";
        "seconds", the median of an iteration; "peak", bytes of a CUDA device's memory; "left",
        what was warned of that was to be compiled and was not.
    """
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = trial.tf32
    seed_everything(0, verbose=False)
    published = trial.size == PUBLISHED
    module = MUNITModule() if published else MUNITModule(**_SMALL)
    side = 256 if published else SIDE
    each = trial.batch // trial.processes
    data = DrawnDataModule(size=(side, side), length=64, batch_size=each, num_workers=0)
    losses = _Losses()
    strategy = "ddp_find_unused_parameters_true" if trial.processes > 1 else "auto"
    trainer = Trainer(
        accelerator=trial.device,
        devices=trial.processes,
        strategy=strategy,
        precision=trial.precision,  # type: ignore[arg-type]
        max_steps=ITERATIONS,
        log_every_n_steps=1,
        limit_val_batches=0,
        callbacks=[losses, CompiledNetworks()] if trial.compiled else [losses],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(module, data)
    told = [str(warning.message) for warning in caught]
    spans = [end - start for start, end in zip(losses.ends, losses.ends[1:], strict=False)]
    finite = all(bool(parameter.isfinite().all()) for parameter in module.parameters())
    return {
        "losses": losses.values,
        "picture": _picture(module.eval(), side),
        "finite": finite and bool(torch.tensor(losses.values).isfinite().all()),
        "seconds": statistics.median(spans[WARM_UP:]),
        "peak": torch.cuda.max_memory_allocated() if trial.device == "cuda" else None,
        "left": next((line for line in told if line.startswith("callbacks.compile")), None),
    }


@torch.no_grad()
def _picture(module: MUNITModule, side: int) -> list[float]:
    """Return means of a translation's fields, of an image and a style that are always the same."""
    parameter = next(module.parameters())
    ramp = torch.linspace(-1, 1, side).expand(1, 3, side, side)
    style = torch.linspace(-1, 1, module.style_dim)[None]
    x, z = ramp.to(parameter), style.to(parameter)
    translated = torch.nn.functional.avg_pool2d(module.translate(x, z).float(), side // 8)
    return [round(value, 8) for value in translated.flatten().tolist()]


def main() -> None:
    """Do the trial of the first argument, JSON; write what comes of it to the second's file."""
    warnings.simplefilter("ignore")
    found = train(Trial(**json.loads(sys.argv[1])))
    Path(sys.argv[2]).write_text(json.dumps(found))  # processes of one trial write the same


if __name__ == "__main__":
    main()
