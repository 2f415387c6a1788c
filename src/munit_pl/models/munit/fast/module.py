"""MUNIT as a LightningModule that trains as fast as the machine allows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Adam

from munit_pl.checks import Arguments, ArgumentsOf, PositiveFloat, PositiveInt, Seed, WithinOne
from munit_pl.losses.adversarial import GanLoss
from munit_pl.losses.perceptual import load_vgg16
from munit_pl.losses.terms import Terms
from munit_pl.models.base.module import Images, MicroBatch, plain
from munit_pl.models.base.objective import Decodings, Translations, discriminator_terms
from munit_pl.models.base.pair import DomainPair
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.models.munit.fast import lanes
from munit_pl.models.munit.fast.compiling import CompiledNetworks
from munit_pl.models.munit.fast.iteration import Iteration
from munit_pl.models.munit.fast.parts import (
    PARTS,
    RunContext,
    explain,
    obstacle_to_one_function,
    unsupported_features,
)
from munit_pl.models.munit.fast.recording import CudaGraphs
from munit_pl.models.munit.fast.threads import ThreadLane
from munit_pl.models.munit.module import MUNITModule
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.models.munit.objective import Codes, LossWeights, generator_terms
from munit_pl.optim.optimizers import OptimizerArguments
from munit_pl.optim.schedules import ScheduleArguments


class FastMUNITModule(MUNITModule):
    """`MUNITModule` with all that makes its iteration fast.

    The algorithm and the checkpoints are `MUNITModule`'s. What cannot run where the module is
    trained is left out with a line that says why; on the CPU both domains side by side remain.

    Args:
        input_channels_a: See `MUNITModule`, as of all but the last four.
        input_channels_b: See there.
        generator: See there.
        discriminator: See there.
        initialization: See there.
        gan_loss: See there.
        weights: See there.
        perceptual: See there.
        optimizer: See there. The CUDA graph takes a fused Adam, which ``fused=None`` gives.
        scheduler: See there.
        shared_styles: See there.
        clip_norm: See there.
        accumulate: See there. The CUDA graph takes 1.
        seed: See there.
        checkpoint_activations: See there.
        lr_discriminator: See there.
        r1_every: See there.
        diffaugment: See there.
        adaptive_augment: See there.
        adaptive_images: See there.
        discriminator_steps: See there.
        bf16: Compute the training's forward passes in bf16 where the trainer's precision is
            ``32-true``. Validation and pictures have the trainer's precision.
        compile: Have `torch.compile` make the networks' kernels.
        cuda_graph: Record the iteration in one CUDA graph and replay that.
        streams: Let both domains' networks run side by side: on CUDA in two streams of that graph,
            on the CPU in two threads.

    Attributes:
        running: The names of those four that run, known when training starts.

    Raises:
        TypeError: If a mapping has a key that is no argument of its class.
        ValueError: If a value is none that can be trained with.
    """

    def __init__(
        self,
        input_channels_a: PositiveInt = 3,
        input_channels_b: PositiveInt = 3,
        generator: Annotated[Arguments, ArgumentsOf(AdaINGenerator, ("in_channels",))] = None,
        discriminator: Annotated[
            Arguments, ArgumentsOf(MultiScaleDiscriminator, ("in_channels",))
        ] = None,
        initialization: Annotated[Arguments, ArgumentsOf(DomainPair.initialize)] = None,
        gan_loss: GanLoss = "lsgan",
        weights: Annotated[Arguments, ArgumentsOf(LossWeights)] = None,
        perceptual: Annotated[Arguments, ArgumentsOf(load_vgg16)] = None,
        optimizer: OptimizerArguments = None,
        scheduler: ScheduleArguments = None,
        shared_styles: bool = False,
        clip_norm: PositiveFloat | None = None,
        accumulate: PositiveInt = 1,
        seed: Seed = 0,
        checkpoint_activations: bool = False,
        lr_discriminator: PositiveFloat | None = None,
        r1_every: PositiveInt = 16,
        diffaugment: Sequence[str] | None = None,
        adaptive_augment: WithinOne | None = None,
        adaptive_images: PositiveInt = 500_000,
        discriminator_steps: PositiveInt = 1,
        bf16: bool = True,
        compile: bool = True,
        cuda_graph: bool = True,
        streams: bool = True,
    ) -> None:
        # Lightning reads hyper-parameters off this frame too, so that they must be plain here.
        generator, discriminator = plain(generator or {}), plain(discriminator or {})
        initialization, weights = plain(initialization or {}), plain(weights or {})
        optimizer, scheduler = plain(optimizer or {}), plain(scheduler or {})
        perceptual, diffaugment = plain(perceptual or {}), plain(diffaugment)
        super().__init__(
            input_channels_a,
            input_channels_b,
            generator,
            discriminator,
            initialization,
            gan_loss,
            weights,
            perceptual,
            optimizer,
            scheduler,
            shared_styles,
            clip_norm,
            accumulate,
            seed,
            checkpoint_activations,
            lr_discriminator,
            r1_every,
            diffaugment,
            adaptive_augment,
            adaptive_images,
            discriminator_steps,
        )
        self.running: tuple[str, ...] = ()
        self._iteration: Iteration | None = None
        self._lane: lanes.ParallelDomains | None = None
        self._rehearsed = False

    def make_iteration(
        self, optimizers: Iterable[torch.optim.Optimizer], running: Iterable[str]
    ) -> Iteration:
        """Return the iteration as a function of a batch, which takes no trainer.

        Args:
            optimizers: What `configure_optimizers` returns; for "cuda_graph" fused ones.
            running: Names among `PARTS`, all of which must be able to run.
        """
        running = set(running)
        networks = [
            *(part for gen in (self.gen_a, self.gen_b) for part in gen.children()),
            self.dis_a,
            self.dis_b,
        ]
        self._lane = None
        if "streams" in running:
            self._lane = lanes.CudaLane() if self.device.type == "cuda" else ThreadLane()
        return Iteration(
            self,
            [*optimizers],
            amp=torch.bfloat16 if "bf16" in running else None,
            compiled=CompiledNetworks(networks) if "compile" in running else None,
            recorder=CudaGraphs() if "cuda_graph" in running else None,
            lane=self._lane,
            cast_once=self.device.type == "cuda",
            on_fallback=lambda reason: self._leave_out({"cuda_graph": reason, "streams": reason}),
        )

    def on_train_start(self) -> None:
        """Find out what can run here, and say what cannot."""
        super().on_train_start()
        there = RunContext(
            device=self.device.type,
            threads=torch.get_num_threads(),
            precision=str(self.trainer.precision),
            processes=self.trainer.world_size,
            accumulate=self.hparams["accumulate"],
            fused=all(
                isinstance(o, Adam) and g["fused"]
                for o in self.trainer.optimizers
                for g in o.param_groups
            ),
            r1=self.weights.r1,
            discriminator_steps=self.discriminator_steps,
            diversity=self.weights.diversity,
            diffaugment=bool(self.hparams["diffaugment"]),
            spectral_recomputed=self.hparams["checkpoint_activations"]
            and self.gen_a.arguments["spectral"],
            consistency=self.weights.consistency,
        )
        wanted = [part for part in PARTS if self.hparams[part]]
        reasons = unsupported_features(wanted, there)
        self.running = tuple(wanted)
        self._leave_out(reasons)
        running = {*self.running} | ({"bf16"} if there.precision == "bf16-mixed" else set())
        self._rehearsed = "compile" not in running
        self._iteration = None
        if obstacle_to_one_function(there) is None:
            self._iteration = self.make_iteration(self.trainer.optimizers, running)

    def on_train_end(self) -> None:
        """Free what the iteration held."""
        self._iteration = self._lane = None

    def iterate(self, batch: Images) -> tuple[dict[str, list[Terms]], list[MicroBatch]]:
        """Make both updates, as one function of the batch where that is possible."""
        if self._iteration is None:
            with torch.autocast("cuda", torch.bfloat16, enabled="bf16" in self.running):
                return super().iterate(batch)
        (part,) = self._split(batch)
        if not self._rehearsed:
            self._rehearse(self._iteration, part)
        outcome = self._iteration(part.x_a, part.x_b, part.draws)
        # No step of an optimizer that Lightning counts has been made.
        counted = cast("list[LightningOptimizer]", self.optimizers())[1]
        counted._on_before_step()
        counted._on_after_step()
        part.cached, part.statistics = outcome.cached, outcome.statistics
        self.adapt([part])
        if self._logging:
            self._norms = {player: norm.clone() for player, norm in outcome.norms.items()}
        return {player: [terms] for player, terms in outcome.terms.items()}, [part]

    def draw_normal(self, shape: Iterable[int], n: int, *where: int | str) -> Tensor:
        """Draw as `MUNITModule` does, on a CUDA device without waiting for it."""
        weight = next(self.parameters())
        if not weight.is_cuda:
            return super().draw_normal(shape, n, *where)
        drawn = self.draw_each(torch.randn, shape, n, *where).to(weight.dtype)
        return drawn.pin_memory().to(weight.device, non_blocking=True)

    def discriminator_terms(self, part: MicroBatch) -> Terms:
        """Return `objective.discriminator_terms`, the domains side by side where that is on."""
        lane = self._lane
        if lane is None:
            return super().discriminator_terms(part)
        nets = lanes.Networks(self.gen_a, self.gen_b, self.dis_a, self.dis_b)
        x_a, x_b, z_a, z_b = part.x_a, part.x_b, part.draws["dis_a"], part.draws["dis_b"]
        codes = lanes.encode(lane, nets, x_a, x_b)
        decoded = None
        if self.hparams["shared_styles"]:
            decoded = lanes.decode(lane, nets, codes, z_a, z_b)
            made = Translations(decoded.x_ab, decoded.x_ba)
        else:
            with torch.no_grad():
                made = lanes.translate(lane, nets, codes, z_a, z_b)
        part.cached = _Memo(codes, decoded)
        dis_a, dis_b = lanes.score_batches(lane, nets, x_a, x_b, made)
        return discriminator_terms(dis_a, dis_b, x_a, x_b, made.x_ab, made.x_ba, self.gan_loss)

    def generator_terms(self, part: MicroBatch) -> Terms:
        """Return `objective.generator_terms`, likewise."""
        lane, cached = self._lane, part.cached
        if lane is None or cached is None:
            terms = super().generator_terms(part)
        else:
            terms = self._generator_terms_side_by_side(lane, part, cached)
        # Without its graph, or that would be alive still when the next one is recorded.
        part.cached = _Memo(Codes(*(code.detach() for code in part.cached.codes)))
        return terms

    def _generator_terms_side_by_side(
        self, lane: lanes.ParallelDomains, part: MicroBatch, cached: Any
    ) -> Terms:
        nets = lanes.Networks(self.gen_a, self.gen_b, self.dis_a, self.dis_b)
        x_a, x_b, z_a, z_b = part.x_a, part.x_b, part.draws["gen_a"], part.draws["gen_b"]
        decoded = cached.decoded or lanes.decode(lane, nets, cached.codes, z_a, z_b)
        cycle = self.weights.cycle > 0
        known = lanes.read_back(lane, nets, cached.codes, decoded, cycle)
        return generator_terms(
            *known,
            x_a,
            x_b,
            cached.codes,
            decoded,
            z_a,
            z_b,
            self.gan_loss,
            cycle=cycle,
            perceptual=self.perceptual(x_a),
            masks=self._masks(part),
        )

    def _rehearse(self, iteration: Iteration, part: MicroBatch) -> None:
        """Compile all that training calls, before anything has changed, or leave it uncompiled."""
        self._rehearsed = True
        try:
            iteration.warm_up(part.x_a, part.x_b, part.draws)
        except Exception as error:  # a compiler may raise whatever it likes
            iteration.compiled = None
            self._leave_out({"compile": str(error).strip().partition("\n")[0]})

    def _leave_out(self, reasons: Mapping[str, str]) -> None:
        """Note which parts do not run, and say so once."""
        told = {part: reason for part, reason in reasons.items() if part in self.running}
        self.running = tuple(part for part in self.running if part not in told)
        if "streams" in told:
            self._lane = None
            if self._iteration is not None:
                self._iteration.lane = None
        for line in explain(told):
            rank_zero_warn(line)


class _Memo(NamedTuple):
    """What the discriminators' update leaves for the generators', and that for the logs."""

    codes: Codes
    decoded: Decodings | None = None
