"""One iteration of training as a function of tensors, which a CUDA graph can hold."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from munit_pl.callbacks.fast.casts import cast_weights
from munit_pl.callbacks.fast.compiling import CompiledNetworks, restored
from munit_pl.callbacks.fast.recording import Recorded, Recorder
from munit_pl.losses.terms import Terms, total
from munit_pl.models.base.micro_batch import MicroBatch
from munit_pl.models.base.module import AdversarialModule
from munit_pl.models.base.objective import Images
from munit_pl.optim.finite_updates import keep_finite
from munit_pl.optim.freezing import frozen


class Outcome(NamedTuple):
    """What one iteration leaves to be logged, detached. The next iteration may overwrite it.

    Attributes:
        terms: For "dis" and "gen" the terms that were minimized.
        norms: For both the norm of the gradient.
        cached: What `MicroBatch.cached` was.
        statistics: What `MicroBatch.statistics` was.
    """

    terms: dict[str, Terms]
    norms: dict[str, Tensor]
    cached: Any
    statistics: dict[str, Tensor]


class Iteration:
    """Both updates of an iteration, without a trainer.

    Called with a batch and its random numbers it changes weights, optimizers and
    ``module.skipped`` as an iteration under a trainer does. It counts no iteration, logs nothing
    and leaves learning rates, and what recipes do after a step, to others; callbacks' hooks around
    its backward passes and steps are not called.

    Args:
        module: The module.
        optimizers: The discriminators' and the generators', as `configure_optimizers` makes them.
        amp: The type that autocast computes in; None for none.
        compiled: The networks, if they are to be called compiled.
        recorder: Records the iteration, if it is to be replayed; the optimizers must be fused then.
        cast_once: Whether weights are cast once for ``amp``, and not at each use. On the CPU many
            small casts are cheaper than the gradients of few large ones.
        on_fallback: Called with the reason if the iteration cannot be recorded.
    """

    def __init__(
        self,
        module: AdversarialModule,
        optimizers: Sequence[Optimizer],
        amp: torch.dtype | None = None,
        compiled: CompiledNetworks | None = None,
        recorder: Recorder | None = None,
        cast_once: bool = True,
        on_fallback: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.compiled = compiled
        self._module = module
        self._optimizers = dict(zip(("dis", "gen"), optimizers, strict=True))
        self._amp = amp
        self._cast_to = amp if cast_once else None
        self._told = on_fallback
        device = next(module.parameters()).device
        self._counts = {
            player: torch.zeros(2, dtype=torch.int64, device=device) for player in self._optimizers
        }
        self._rates = {
            player: torch.tensor(_rate(optimizer), dtype=torch.float32, device=device)
            for player, optimizer in self._optimizers.items()
        }
        self._set = {player: _rate(o) for player, o in self._optimizers.items()}
        self._names: tuple[str, ...] = ()
        self._run = Recorded(self._update_both, recorder, self._recover)
        for optimizer in optimizers:  # which gives them other moments
            optimizer.register_load_state_dict_post_hook(lambda _: self._run.forget())

    def __call__(self, images: Images, draws: Mapping[str, Tensor]) -> Outcome:
        """Train on one batch.

        Args:
            images: The images.
            draws: What ``module.draw_all`` drew for them.
        """
        for player, counts in self._counts.items():
            if self._module.skipped[player] is not counts:  # a checkpoint's, or a guard's
                counts.copy_(self._module.skipped[player])
                self._module.skipped[player] = counts
        for player, optimizer in self._optimizers.items():
            if self._set[player] != _rate(optimizer):
                self._set[player] = _rate(optimizer)
                self._rates[player].fill_(self._set[player])
        self._names = tuple(draws)
        return self._run(*images, *draws.values())

    def warm_up(self, images: Images, draws: Mapping[str, Tensor]) -> None:
        """Compute both gradients and throw them away, for all to be compiled that has to be."""

        def differentiate(player: str, loss: Tensor) -> None:
            weights = _parameters(self._optimizers[player])
            torch.autograd.grad(loss, weights, allow_unused=True)

        with restored(self._module.buffers()):
            self._play(MicroBatch(images, draws), differentiate)

    def _update_both(self, x_a: Tensor, x_b: Tensor, *draws: Tensor) -> Outcome:
        """Make both updates."""
        for optimizer in self._optimizers.values():
            optimizer.zero_grad()
        part = MicroBatch(Images(x_a, x_b), dict(zip(self._names, draws, strict=True)))
        norms = {}

        def update(player: str, loss: Tensor) -> None:
            loss.backward()  # type: ignore[no-untyped-call]
            norms[player] = self._step(player)

        terms = self._play(part, update)
        return Outcome(terms, norms, part.cached, part.statistics)

    def _play(self, part: MicroBatch, respond: Callable[[str, Tensor], None]) -> dict[str, Terms]:
        """Let ``respond`` act on what each player minimizes, in turn; return the terms."""
        module, terms = self._module, {}
        gens, diss = (module.gen_a, module.gen_b), (module.dis_a, module.dis_b)
        of_player = {"dis": module.discriminator_terms, "gen": module.generator_terms}
        waiting = {"dis": [], "gen": _parameters(self._optimizers["dis"])}
        order = ("gen", "dis") if module.generators_first else ("dis", "gen")
        with self._arithmetic(), keep_finite(module.buffers()), cast_weights(gens, self._cast_to):
            for player in order:
                with frozen(waiting[player]), cast_weights(diss, self._cast_to):
                    terms[player] = of_player[player](part)
                    respond(player, total(terms[player], module.term_weights))
        return {
            player: {term: pair.detach() for term, pair in own.items()}
            for player, own in terms.items()
        }

    def _step(self, player: str) -> Tensor:
        """Make a player's step, unless its gradient forbids it; return the gradient's norm."""
        module, optimizer, counts = self._module, self._optimizers[player], self._counts[player]
        norm = module.prepare_step(player, optimizer)
        # Where they were before, since a recording reads and writes there.
        module.skipped[player] = counts.copy_(module.skipped[player])
        recording = self._run.recording
        with _recordable(optimizer, self._rates[player]) if recording else nullcontext():
            optimizer.step()
        return norm

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        device = next(self._module.parameters()).device.type
        cast: AbstractContextManager[Any] = nullcontext()
        if self._amp is not None:
            cast = torch.autocast(device, self._amp, cache_enabled=False)  # see `cast_weights`
        with cast, self.compiled.in_use() if self.compiled else nullcontext():
            yield

    def _recover(self, reason: str) -> None:
        """Go on without a recording; what was to hold its results is gone with it."""
        self._module.skipped = dict(self._counts)
        self._told(reason)


@contextmanager
def _recordable(optimizer: Optimizer, rate: Tensor) -> Iterator[None]:
    """Let a step read its learning rate from memory, so that a replay finds another one there.

    Outside of the recorded step the optimizer is as it was, for schedules, logs and checkpoints.
    """
    earlier = [{name: group[name] for name in ("lr", "capturable")} for group in _groups(optimizer)]
    try:
        for group in _groups(optimizer):
            group.update(lr=rate, capturable=True)
        yield
    finally:
        for group, values in zip(_groups(optimizer), earlier, strict=True):
            group.update(values)


def _groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    return optimizer.param_groups


def _parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    return [parameter for group in _groups(optimizer) for parameter in group["params"]]


def _rate(optimizer: Optimizer) -> float:
    return float(_groups(optimizer)[0]["lr"])
