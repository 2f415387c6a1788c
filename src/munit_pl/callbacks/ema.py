"""An exponential moving average (EMA) of the generators' weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.nn.utils.parametrize import is_parametrized

from munit_pl.checks import Below1, checked
from munit_pl.layers.initialization import converge_spectral_norm

_NAMES = ("gen_a", "gen_b")
RAMP_UP = 0.05  # the half-life at most, as a share of the iterations done


class WeightAverage(Callback):
    """Average both generators' weights over the iterations, exponentially.

    After iteration ``t`` the average is `decay_at` of ``t`` times itself and the rest the weights:
    early in a run it forgets sooner, so that it is never that of weights which knew nothing yet
    (Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" and later, whose
    programs ramp the half-life up like this). Translations by an average flicker less from one
    checkpoint to the next (Karras et al., 2018). What is trained knows nothing of it.

    A checkpoint holds it under "averaged": a state of ``gen_a`` and of ``gen_b`` each, whose
    parameters are the average, in fp32, and whose buffers are those of the moment; but spectral
    normalization's are found for the average, whose norm is another.

    Args:
        decay: The average's share in the next one, at most.

    Raises:
        ValueError: If ``decay`` is not in [0, 1).
    """

    @checked
    def __init__(self, decay: Below1 = 0.9999) -> None:
        self.decay = decay
        self._average: list[Tensor] | None = None
        self._taken_in: int | None = None

    def decay_at(self, iteration: int) -> float:
        """Return the average's share after an iteration, counted from 1: 0 after the first.

        Its half-life is at most `RAMP_UP` of the iterations before.
        """
        half_life = RAMP_UP * (iteration - 1)
        return min(self.decay, 0.5 ** (1 / half_life)) if half_life > 0 else 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take nothing in before training: a resumed run knows its iteration only then."""
        self._taken_in = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with the weights that there are."""
        self._taken_in = trainer.global_step
        if self._average is None or not trainer.global_step:
            self._begin(_weights(pl_module))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Take in the weights of this iteration."""
        self._take_in(trainer.global_step, pl_module)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the average, this iteration in it even where another callback saves before it."""
        checkpoint["averaged"] = self.states(trainer, pl_module)

    def states(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, dict[str, Tensor]]:
        """Return the states of ``gen_a`` and ``gen_b`` by the average up to this iteration."""
        self._take_in(trainer.global_step, pl_module)
        values = iter(self._average or _weights(pl_module))
        return {name: _state(pl_module.get_submodule(name), values) for name in _NAMES}

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on from the average, if the run had one.

        Raises:
            ValueError: If it is no average of these networks.
        """
        averaged = checkpoint.get("averaged")
        if averaged is None:
            return
        self._average = []
        for name in _NAMES:
            for key, parameter in pl_module.get_submodule(name).named_parameters():
                average = averaged[name].get(key)
                if not isinstance(average, Tensor) or average.shape != parameter.shape:
                    raise ValueError(f"its average is none of these networks: {name}.{key}")
                self._average.append(average.float())

    def _take_in(self, step: int, pl_module: LightningModule) -> None:
        if self._taken_in in (None, step):
            return
        self._taken_in = step
        weights = _weights(pl_module)
        if self._average is None:
            self._begin(weights)
            return
        self._average = [a.to(w.device) for a, w in zip(self._average, weights, strict=True)]
        # Told on the device, for nobody to wait. One norm for all: an overflow counts as well.
        finite = get_total_norm(weights).isfinite()
        now, before = (torch.cat([t.flatten() for t in of]) for of in (weights, self._average))
        taken = torch.split(torch.where(finite, now, before), [w.numel() for w in weights])
        shaped = [t.view_as(weight) for t, weight in zip(taken, weights, strict=True)]
        torch._foreach_lerp_(self._average, shaped, 1 - self.decay_at(step))

    def _begin(self, weights: list[Tensor]) -> None:
        if get_total_norm(weights).isfinite():  # else it begins an iteration later
            self._average = [weight.clone() for weight in weights]


def averages(trainer: Trainer) -> list[WeightAverage]:
    """Return the averages that a run keeps: none or one."""
    return [c for c in trainer.callbacks if isinstance(c, WeightAverage)]  # type: ignore[attr-defined]


@contextmanager
def averaged(trainer: Trainer, pl_module: LightningModule) -> Iterator[None]:
    """Have both generators hold what translates later: their average, where a run keeps one."""
    kept = averages(trainer)
    if not kept:
        yield
        return
    gens = {name: pl_module.get_submodule(name) for name in _NAMES}
    trained = {name: deepcopy(gen.state_dict()) for name, gen in gens.items()}
    try:
        for name, state in kept[0].states(trainer, pl_module).items():
            gens[name].load_state_dict(state)
        yield
    finally:
        for name, state in trained.items():
            gens[name].load_state_dict(state)


def _weights(pl_module: LightningModule) -> list[Tensor]:
    return [
        parameter.detach().float()
        for name in _NAMES
        for parameter in pl_module.get_submodule(name).parameters()
    ]


def _state(generator: nn.Module, values: Iterator[Tensor]) -> dict[str, Tensor]:
    """Return the generator's state on the CPU, with ``values`` for its parameters."""
    state = {key: value.detach().cpu() for key, value in generator.state_dict().items()}
    parameters = [key for key, _ in generator.named_parameters()]
    state |= {key: next(values).cpu() for key in parameters}
    normalized = [name for name, m in generator.named_modules() if is_parametrized(m, "weight")]
    if normalized:
        twin = deepcopy(generator).cpu().float()
        twin.load_state_dict(state)
        for name in normalized:
            converge_spectral_norm(twin.get_submodule(name))
        state = {key: value.detach() for key, value in twin.state_dict().items()}
    return state
