"""A callback that has iterations run as fast as the machine allows."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import Optimizer

from munit_pl.callbacks.fast.compiling import CompiledNetworks
from munit_pl.callbacks.fast.iteration import Iteration
from munit_pl.callbacks.fast.recording import CudaGraphs
from munit_pl.callbacks.fast.support import (
    PARTS,
    RunContext,
    explain,
    obstacle_to_one_function,
    unsupported_features,
)
from munit_pl.losses.terms import Terms
from munit_pl.models.base.micro_batch import Batch, MicroBatch
from munit_pl.models.base.module import AdversarialModule


def make_iteration(
    module: AdversarialModule, optimizers: Iterable[Optimizer], parts: Iterable[str], **more: Any
) -> Iteration:
    """Return a module's iteration as a function of a batch, which takes no trainer.

    Args:
        module: The module.
        optimizers: What its `configure_optimizers` returns; for "cuda_graph" fused ones.
        parts: Names among `PARTS`, all of which must be able to run.
        **more: Arguments of `Iteration`.
    """
    parts = set(parts)
    networks = [
        *(part for gen in (module.gen_a, module.gen_b) for part in gen.children()),
        module.dis_a,
        module.dis_b,
    ]
    return Iteration(
        module,
        [*optimizers],
        amp=torch.bfloat16 if "bf16" in parts else None,
        compiled=CompiledNetworks(networks) if "compile" in parts else None,
        recorder=CudaGraphs() if "cuda_graph" in parts else None,
        cast_once=module.device.type == "cuda",
        **more,
    )


class FastIteration(Callback):
    """Runs each iteration of an `AdversarialModule` as one function of the batch.

    The algorithm and the checkpoints are the module's. What cannot run where it is trained is left
    out, with a line that says why. All three parts take a CUDA device.

    Args:
        bf16: Compute the training's forward passes in bf16 where the trainer's precision is
            ``32-true``. Validation and pictures have the trainer's precision.
        compile: Have `torch.compile` make the networks' kernels.
        cuda_graph: Record the iteration in one CUDA graph and replay that.

    Attributes:
        running: The names of those three that run, known when training starts.
    """

    def __init__(self, bf16: bool = True, compile: bool = True, cuda_graph: bool = True) -> None:
        self.running: tuple[str, ...] = ()
        wanted = {"bf16": bf16, "compile": compile, "cuda_graph": cuda_graph}
        self._wanted = tuple(part for part in PARTS if wanted[part])
        self._warmed_up = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find out what can run here, and say what cannot."""
        module = cast(AdversarialModule, pl_module)
        there = RunContext(
            device=module.device.type,
            precision=str(trainer.precision),
            processes=trainer.world_size,
            accumulate=module.hparams["accumulate"],
            fused=all(g.get("fused") for o in trainer.optimizers for g in o.param_groups),
            obstacle=module.varies(),
            spectral_recomputed=bool(module.hparams.get("checkpoint_activations"))
            and bool(module.gen_a.arguments.get("spectral")),
        )
        self.running = self._wanted
        self._leave_out(unsupported_features(self._wanted, there))
        running = {*self.running} | ({"bf16"} if there.precision == "bf16-mixed" else set())
        self._warmed_up = "compile" not in running
        if obstacle_to_one_function(there) is None:
            iteration = make_iteration(
                module,
                trainer.optimizers,
                running,
                on_fallback=lambda reason: self._leave_out({"cuda_graph": reason}),
            )
            module.run_iteration = partial(self.run, module, iteration)
        elif "bf16" in self.running:
            module.run_iteration = partial(self._run_in_bf16, module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Free what the iteration held."""
        cast(AdversarialModule, pl_module).run_iteration = None

    def run(
        self, module: AdversarialModule, iteration: Iteration, batch: Batch
    ) -> tuple[dict[str, list[Terms]], list[MicroBatch]]:
        """Run one iteration in place of `AdversarialModule.iterate`."""
        (part,) = module.split(batch)
        if not self._warmed_up:
            self._warm_up(iteration, part)
        outcome = iteration(part.images, part.draws)
        # No step of an optimizer that Lightning counts has been made.
        counted = cast("list[LightningOptimizer]", module.optimizers())[1]
        counted._on_before_step()
        counted._on_after_step()
        part.cached, part.statistics = outcome.cached, outcome.statistics
        module.norms = {player: norm.clone() for player, norm in outcome.norms.items()}
        return {player: [terms] for player, terms in outcome.terms.items()}, [part]

    def _run_in_bf16(
        self, module: AdversarialModule, batch: Batch
    ) -> tuple[dict[str, list[Terms]], list[MicroBatch]]:
        # Autocast's own cache would span several updates of the weights that it holds casts of.
        with torch.autocast(module.device.type, torch.bfloat16, cache_enabled=False):
            return module.iterate(batch)

    def _warm_up(self, iteration: Iteration, part: MicroBatch) -> None:
        """Compile all that training calls, before anything has changed, or leave it uncompiled."""
        self._warmed_up = True
        try:
            iteration.warm_up(part.images, part.draws)
        except Exception as error:  # a compiler may raise whatever it likes
            iteration.compiled = None
            self._leave_out({"compile": str(error).strip().partition("\n")[0]})

    def _leave_out(self, reasons: Mapping[str, str]) -> None:
        """Note which parts do not run, and say so once."""
        told = {part: reason for part, reason in reasons.items() if part in self.running}
        self.running = tuple(part for part in self.running if part not in told)
        for line in explain(told):
            rank_zero_warn(line)
