"""Networks that `torch.compile` has made faster, while they are trained."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from munit_pl.checks import checked
from munit_pl.losses.terms import Terms, total
from munit_pl.models.base.micro_batch import Batch, MicroBatch
from munit_pl.models.base.module import AdversarialModule
from munit_pl.optim.freezing import frozen

_log = logging.getLogger(__name__)

Mode = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
Updates = Callable[[Batch], tuple[dict[str, list[Terms]], list[MicroBatch]]]


class CompiledNetworks(Callback):
    """Has `torch.compile` make the networks' kernels, in place and for the updates alone.

    Weights, names, checkpoints and the loop stay what they are. Pictures and validation come in
    other sizes, each of which would take a minute to compile and save milliseconds, so they call
    the networks as ever. What cannot be compiled is trained on as it is, after a line that says so;
    so are batches of more sizes than `torch.compile` keeps kernels for.

    Args:
        mode: That of `torch.compile`. On CUDA "reduce-overhead" replays each network, forward and
            backward, as a CUDA graph, so that the device does not wait for Python; it keeps the
            memory of its graphs.
    """

    @checked
    def __init__(self, mode: Mode = "reduce-overhead") -> None:
        self.mode = mode
        self._compiled: dict[nn.Module, Any] = {}
        self._tried = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have both updates call compiled networks."""
        module = cast(AdversarialModule, pl_module)
        self._compiled, self._tried = {}, False
        generator = module.hparams.get("generator") or {}
        if module.hparams.get("checkpoint_activations") and generator.get("spectral"):
            _tell("model.checkpoint_activations computes model.generator.spectral's weights again")
            return
        for network in _networks(module):
            network.compile(mode=self.mode, dynamic=False)
            self._compiled[network] = network._compiled_call_impl
            network._compiled_call_impl = None
        cast(Any, module).iterate = partial(self._iterate, module, module.iterate)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the module be as it was."""
        vars(pl_module).pop("iterate", None)
        self._compiled = {}

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Let the module be as it was."""
        self.on_train_end(trainer, pl_module)

    def _iterate(
        self, module: AdversarialModule, iterate: Updates, batch: Batch
    ) -> tuple[dict[str, list[Terms]], list[MicroBatch]]:
        if not self._tried:
            self._try(module, batch)
        # CUDA graphs write to the same memory again from here on, and not between the updates.
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with self._in_use():
            return iterate(batch)

    def _try(self, module: AdversarialModule, batch: Batch) -> None:
        """Compile what training calls, before anything has changed, or leave it uncompiled."""
        self._tried = True
        if module.global_rank == 0:
            _log.info("compiling the networks: the first iteration takes minutes")
        pools = getattr(module, "pools", {})  # CycleGAN's, which a trial would fill
        held = {domain: [*pool.images] for domain, pool in pools.items()}
        try:
            with self._in_use(), _restored(module.buffers()), isolate_rng():
                _differentiate(module, module.split(batch, module.trainer.global_step)[0])
        except Exception as error:  # a compiler may raise whatever it likes
            self._compiled = {}
            _tell(str(error).strip().partition("\n")[0])
        for domain, images in held.items():
            pools[domain].images = images

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Call the compiled networks where their modules are called."""
        try:
            for network, call in self._compiled.items():
                network._compiled_call_impl = call
            yield
        finally:
            for network in self._compiled:
                network._compiled_call_impl = None


def _networks(module: AdversarialModule) -> Sequence[nn.Module]:
    """Return what is compiled as one piece each: the generators are called part by part."""
    parts = [part for gen in (module.gen_a, module.gen_b) for part in gen.children()]
    return [*parts, module.dis_a, module.dis_b]


def _differentiate(module: AdversarialModule, part: MicroBatch) -> None:
    """Compute both gradients, and throw them away."""
    for player in module.order:
        with frozen(module.parameters_of("dis") if player == "gen" else []):
            loss = total(module.terms_of(player, part), module.term_weights)
            torch.autograd.grad(loss, module.parameters_of(player), allow_unused=True)


@contextmanager
def _restored(buffers: Iterable[Tensor]) -> Iterator[None]:
    """Give buffers back the values that they had before."""
    changing = list(buffers)
    earlier = [buffer.clone() for buffer in changing]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in zip(changing, earlier, strict=True):
                buffer.copy_(before)


def _tell(reason: str) -> None:
    rank_zero_warn(f"callbacks.compile goes on without compiling: {reason}")
