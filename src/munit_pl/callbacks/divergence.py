"""A guard against divergence: what a run does when its losses become NaN/Inf."""

from collections import deque
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn

from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.ema import averages
from munit_pl.callbacks.stop_request import request_stop
from munit_pl.checks import PositiveInt, checked
from munit_pl.exits import ExitCode
from munit_pl.io.checkpoint_files import step_files, verify
from munit_pl.models.base.module import AdversarialModule
from munit_pl.optim.finite_updates import MAX_NORM

PLAYERS = {"dis": "discriminators", "gen": "generators"}
WINDOW = 200  # iterations over which fp16's skipped steps are counted


class DivergenceGuard(Callback):
    """Roll back to a checkpoint when NaN/Inf persists; the second time, stop.

    `AdversarialModule` skips a step whose gradient is NaN or Inf. One such step is an accident,
    ``patience`` in a row of either player are none. The first time weights, their average,
    optimizers and all that a method keeps are loaded back from the newest checkpoint of before,
    while the iterations, the learning rates and the data go on. The second time, or where there is
    no such checkpoint, the run is asked to stop.

    Under fp16 the loss scale falls with each skipped step. As long as it is above 1 it may yet find
    a value that works, and the guard waits; a scale that does not is warned of once.

    Args:
        patience: Steps skipped in a row that are too many. They are looked at every so many
            iterations, as that takes waiting for the device.

    Raises:
        ValueError: If ``patience`` is below 1.
    """

    @checked
    def __init__(self, patience: PositiveInt = 20) -> None:
        self.patience = patience
        self.reloads = 0
        self._totals: deque[list[int]] = deque(maxlen=-(-WINDOW // patience) + 1)
        self._warned = False

    @property
    def state_key(self) -> str:
        """The name under which checkpoints hold the state, that of earlier ones."""
        return "FiniteGuard"

    def state_dict(self) -> dict[str, Any]:
        """Return how often a checkpoint was loaded back, and what was seen of late."""
        return {"reloads": self.reloads, "totals": [*self._totals]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take that back."""
        self.reloads = state_dict["reloads"]
        self._totals.extend(state_dict["totals"])

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Look, every ``patience`` iterations, at the steps that were skipped."""
        if trainer.global_step % self.patience or not isinstance(pl_module, AdversarialModule):
            return
        steps = {"dis": pl_module.discriminator_steps, "gen": 1}  # in an iteration
        counts = torch.stack([pl_module.skipped[player] // steps[player] for player in PLAYERS], 1)
        totals, runs = counts.tolist()
        self._totals.append(totals)
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None and not self._has_stalled(trainer, scaler):
            return
        failing = {p: run for p, run in zip(PLAYERS, runs, strict=True) if run >= self.patience}
        if failing:
            self._respond(trainer, pl_module, failing)

    def _has_stalled(self, trainer: Trainer, scaler: torch.amp.GradScaler) -> bool:
        """Return whether fp16 has run out of range, and say so once."""
        signs = []
        scale = scaler.get_scale()
        if scale < 1:
            signs.append(f"the loss scale is {scale:g}")
        iterations = self.patience * (len(self._totals) - 1)
        skipped = max(b - a for a, b in zip(self._totals[0], self._totals[-1], strict=True))
        if iterations >= WINDOW and 2 * skipped > iterations:
            signs.append(f"{skipped} of the last {iterations} steps were skipped")
        if signs and not self._warned:
            self._warned = True
            rank_zero_warn(
                f"iteration {trainer.global_step}: gradients do not fit into fp16: "
                f"{' and '.join(signs)}; use trainer.precision=bf16-mixed"
            )
        return bool(signs)

    def _respond(
        self, trainer: Trainer, module: AdversarialModule, failing: dict[str, int]
    ) -> None:
        """Load a checkpoint back, or ask for the end of the run."""
        since = trainer.global_step - max(failing.values()) + 1
        trouble = _describe(trainer, list(failing), since)
        path = None if self.reloads else _find_checkpoint(trainer, since)
        if path is None:
            tried = (
                "loading a checkpoint back did not help"
                if self.reloads
                else "no checkpoint is older"
            )
            advice = _advise(trainer)
            request_stop(trainer, ExitCode.DIVERGED, f"{trouble}, and {tried}; {advice}")
            return
        _load_back(trainer, module, path)
        self.reloads += 1
        self._totals.clear()
        rank_zero_warn(f"{trouble}: loaded {path} back, and go on with other images")


def _describe(trainer: Trainer, players: list[str], since: int) -> str:
    """Return what is wrong, where and under which settings."""
    rate = trainer.optimizers[list(PLAYERS).index(players[0])].param_groups[0]["lr"]
    return (
        f"the gradients of the {' and the '.join(PLAYERS[player] for player in players)} have been "
        f"NaN/Inf, or above {MAX_NORM:g}, since iteration {since} (learning rate {rate:g}, "
        f"precision {trainer.precision})"
    )


def _advise(trainer: Trainer) -> str:
    precision = {"16-mixed": "bf16-mixed", "bf16-mixed": "32-true"}.get(str(trainer.precision))
    others = f", or trainer.precision={precision}" if precision else ""
    return f"go on with a lower model.optimizer.lr, with model.clip_norm=1{others}"


def _find_checkpoint(trainer: Trainer, before: int) -> Path | None:
    """Return the newest whole checkpoint from before an iteration, the same in all processes."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    found = None
    if trainer.is_global_zero:
        folders = [callback.folder for callback in callbacks if isinstance(callback, Checkpoints)]
        files = (path for folder in folders for path in step_files(folder))
        found = next((path for path in files if int(path.stem) < before and _is_whole(path)), None)
    return trainer.strategy.broadcast(found)


def _is_whole(path: Path) -> bool:
    try:
        verify(path)
    except (ValueError, OSError):
        return False
    return True


def _load_back(trainer: Trainer, module: AdversarialModule, path: Path) -> None:
    """Load all but what belongs to the iteration: its number, the learning rates, the counts."""
    strategy, plugin = trainer.strategy, trainer.precision_plugin
    checkpoint = strategy.load_checkpoint(path, weights_only=True)
    rates = [[group["lr"] for group in each.param_groups] for each in trainer.optimizers]
    skipped = dict(module.skipped)
    module.on_load_checkpoint(checkpoint)
    strategy.load_model_state_dict(checkpoint, strict=module.strict_loading)
    strategy.load_optimizer_state_dict(checkpoint)
    for average in averages(trainer):  # which may have taken in weights on their way to NaN/Inf
        average.on_load_checkpoint(trainer, module, checkpoint)
    for optimizer, own in zip(trainer.optimizers, rates, strict=True):
        for group, rate in zip(optimizer.param_groups, own, strict=True):
            group["lr"] = rate
    scale = checkpoint.get(type(plugin).__qualname__)
    if scale:
        plugin.load_state_dict(scale)
    for player, counts in skipped.items():
        module.skipped[player] = counts * counts.new_tensor([1, 0])  # the row has come to its end
