"""MUNIT as a LightningModule: what is drawn, and what both updates share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from munit_pl.checks import (
    Arguments,
    ArgumentsOf,
    PositiveFloat,
    PositiveInt,
    Seed,
    WithinOne,
    check_arguments,
)
from munit_pl.layers.activation_recomputation import recompute_blocks
from munit_pl.losses.adversarial import GanLoss, adversarial_loss, recording_real_logits
from munit_pl.losses.perceptual import load_vgg16
from munit_pl.losses.terms import Discriminator, Terms
from munit_pl.models.base.module import Images, MicroBatch, plain
from munit_pl.models.base.objective import Decodings, discriminator_terms
from munit_pl.models.base.pair import DomainPair
from munit_pl.models.base.perceptual import PerceptualModule
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.models.munit.model import MUNIT
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.models.munit.nvlabs import read_checkpoint
from munit_pl.models.munit.objective import (
    Codes,
    LossWeights,
    decode,
    encode,
    generator_terms,
    translate,
)
from munit_pl.optim.optimizers import OptimizerArguments
from munit_pl.optim.schedules import ScheduleArguments
from munit_pl.recipes.ada import EVERY, adaptive, overfitting_heuristic
from munit_pl.recipes.consistency import NUM_RANDOM as FOR_SHIFTS
from munit_pl.recipes.consistency import consistency_term
from munit_pl.recipes.diffaugment import (
    AUGMENTATIONS,
    NUM_RANDOM,
    VIEWS,
    Augmented,
    check_augmentations,
)
from munit_pl.recipes.r1 import r1_term

Styles = tuple[Tensor, Tensor]


class _Pass(NamedTuple):
    """What the generators computed of a part, graphs included."""

    codes: Codes
    decoded: Decodings | None


class MUNITModule(MUNIT, PerceptualModule):
    """MUNIT (Huang et al., ECCV 2018): two generators, two discriminators and how they learn.

    Each iteration updates the discriminators, then the generators on the same images, and counts
    as one step of the trainer. Batches are pairs ``(x_a, x_b)`` of images ``(N, C, H, W)`` in
    [-1, 1]; the pairing carries no meaning. The defaults are the original's.

    Args:
        input_channels_a: See `MUNIT`, as of the next four.
        input_channels_b: Channels of domain b's images.
        generator: Arguments of `AdaINGenerator`.
        discriminator: Arguments of `MultiScaleDiscriminator`.
        initialization: How weights are drawn.
        gan_loss: "lsgan" (least squares), "nsgan" (non-saturating, from logits) or "hinge".
        weights: The terms' weights, see `LossWeights`. A term of weight 0 is not computed if it is
            "cycle", "perceptual", "diversity", "r1" or "consistency".
            A weight of "mask" takes batches with masks, ``(x_a, x_b, m_a, m_b)``, each
            ``(N, 1, H, W)`` with 1 where an image may change and 0 where it must not.
        perceptual: Arguments of `load_vgg16`, for a perceptual weight above 0.
        optimizer: Arguments of `make_optimizer`, the same for both optimizers.
        scheduler: Arguments of `munit_pl.optim.schedules.schedule`, in iterations: unless another
            kind is asked for, iteration ``k``, from 0, runs at ``lr * gamma ** (k // step_size)``.
        shared_styles: Draw one pair of styles for both updates and not one for each. The
            generators' pass is then computed once; the algorithm differs a little from the
            published one.
        clip_norm: Largest norm of each optimizer's gradient; none unless given.
        accumulate: Parts that a batch is split into, whose gradients are added up before each
            step: the same update in less memory.
        seed: Where the random styles of training come from.
        checkpoint_activations: Keep few of the generators' activations and compute the others again
            in the backward pass: the same update in less memory and more time.
        lr_discriminator: The learning rate of the discriminators, if it is not ``optimizer``'s: the
            two time-scale update rule (Heusel et al., NeurIPS 2017).
        r1_every: Iterations of which one has the gradient penalty, with so much more weight, if
            its weight is above 0; see `r1_term`.
        diffaugment: Which of `AUGMENTATIONS` change all images on their way to the discriminators;
            see `munit_pl.recipes.diffaugment`.
        adaptive_augment: ADA's target for r_t, in (-1, 1), above which ``diffaugment`` is
            made more often and below which less; it is always made unless given. See
            `munit_pl.recipes.ada`.
        adaptive_images: Images of a domain in which that can go from never to always.
        discriminator_steps: The discriminators' updates in each iteration. All are on the same
            images; each has styles of its own.

    Attributes:
        adaptive: How often augmentations are made; None if they always are. Checkpoints hold it,
            state dicts do not.

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
    ) -> None:
        generator, discriminator = plain(generator or {}), plain(discriminator or {})
        initialization, weights = plain(initialization or {}), plain(weights or {})
        optimizer, scheduler = plain(optimizer or {}), plain(scheduler or {})
        perceptual, diffaugment = plain(perceptual or {}), plain(diffaugment)
        super().__init__(
            input_channels_a, input_channels_b, generator, discriminator, initialization
        )
        self.save_hyperparameters()
        check_arguments(type(self).__init__, self.hparams)
        self.gan_loss = adversarial_loss(gan_loss)
        self.weights: LossWeights = LossWeights(**weights)
        self.check_perceptual()
        self._check_mask()
        self.augmentations = check_augmentations(diffaugment or ())
        self.adaptive = adaptive(adaptive_augment, adaptive_images, self.augmentations)
        self.discriminator_steps = discriminator_steps
        if checkpoint_activations:
            recompute_blocks(self)

    @classmethod
    def from_nvlabs(
        cls,
        gen_path: str | Path,
        dis_path: str | Path | None = None,
        config_path: str | Path | None = None,
    ) -> "MUNITModule":
        """Read a checkpoint of the original MUNIT.

        Args:
            gen_path: ``gen_*.pt``. The networks' sizes are inferred from it.
            dis_path: ``dis_*.pt``; without it the discriminators are new.
            config_path: The YAML file of the run, for what no shape tells: activations (the
                originals' defaults otherwise), loss weights, optimizer and schedule.

        Raises:
            ValueError: If a file is something else; the message says what.
        """
        arguments, states = read_checkpoint(
            Path(gen_path),
            Path(dis_path) if dis_path else None,
            Path(config_path) if config_path else None,
        )
        module = cls(**arguments)
        for name, state in states.items():
            module.get_submodule(name).load_state_dict(state)
        return module

    def optimizer_arguments(self, player: str) -> dict[str, Any]:
        """Return the arguments of `make_optimizer`, with the discriminators' own rate."""
        arguments = super().optimizer_arguments(player)
        rate = self.hparams["lr_discriminator"] if player == "dis" else None
        return arguments if rate is None else arguments | {"lr": rate}

    def draw(self, x_a: Tensor, x_b: Tensor, *where: int | str) -> dict[str, Tensor]:
        """Draw the styles of each update, or one pair for both if they are shared.

        What options draw comes along where they are on, and "r1", ``(N,)``: what each image's
        gradient penalty counts, where this iteration has one.
        """
        n = len(x_a)
        for_gen = self.draw_styles(n, "gen", *where)
        shared = self.hparams["shared_styles"]
        for_dis = for_gen if shared else self.draw_styles(n, "dis", *where)
        draws = {
            "dis_a": for_dis[0],
            "dis_b": for_dis[1],
            "gen_a": for_gen[0],
            "gen_b": for_gen[1],
        }
        if self.weights.diversity > 0:
            draws["other_a"], draws["other_b"] = self.draw_styles(n, "other", *where)
        if self.augmentations:
            drawn = self.draw_each(torch.rand, (2, len(VIEWS), NUM_RANDOM), n, "augment", *where)
            draws["augment_a"], draws["augment_b"] = drawn.to(x_a.device).unbind(1)
        if self.adaptive is not None:
            shape = 2, len(VIEWS), len(AUGMENTATIONS)
            chances = self.draw_each(torch.rand, shape, n, "made", *where).to(x_a.device)
            draws["made_a"], draws["made_b"] = self.adaptive.decide(chances).unbind(1)
        if self.weights.consistency > 0:
            drawn = self.draw_each(torch.rand, (2, FOR_SHIFTS), n, "shift", *where)
            draws["shift_a"], draws["shift_b"] = drawn.to(x_a.device).unbind(1)
        # Of iterations counted from 1, those that logs take too.
        every = self.hparams["r1_every"]
        if self.weights.r1 > 0 and (isinstance(where[0], str) or (where[0] + 1) % every == 0):
            draws["r1"] = torch.full((n,), float(every), device=x_a.device)
        return draws

    def masks_of(self, batch: Images) -> dict[str, Tensor]:
        """Return both domains' masks, ``(N, 1, H, W)`` each, where they have a weight.

        Raises:
            ValueError: If the batch has none, or they do not fit the images.
        """
        if not self.weights.mask > 0:
            return {}
        if len(batch) < 4:
            raise ValueError(
                "weights.mask is above 0, but batches hold no masks: have the data give them "
                "(masks=True), or set the weight to 0"
            )
        for images, masks in zip(batch[:2], batch[2:], strict=True):
            fitting = (len(images), 1, *images.shape[2:])
            if masks.shape != fitting:
                raise ValueError(f"masks are {tuple(masks.shape)}, but must be {fitting}")
        return {"mask_a": batch[2], "mask_b": batch[3]}

    def draw_styles(self, n: int, *where: int | str) -> Styles:
        """Draw styles for ``n`` images of each domain; see `draw_normal`."""
        z_a, z_b = self.draw_normal((2, self.style_dim), n, "style", *where).unbind(1)
        return z_a, z_b

    def discriminator_terms(self, part: MicroBatch) -> Terms:
        """Return `objective.discriminator_terms`, and `r1_term` in the iterations that have it.

        Where it has a weight there is `consistency_term`, too, of the logits just computed.

        What the generators' update can use again is left in ``part``, unless there are other parts,
        whose graphs would be in memory at once.
        """
        z_a, z_b = part.draws["dis_a"], part.draws["dis_b"]
        with torch.set_grad_enabled(part.is_whole_batch):
            codes = encode(self.gen_a, self.gen_b, part.x_a, part.x_b)
        decoded = None
        if part.is_whole_batch and self.hparams["shared_styles"]:
            decoded = decode(self.gen_a, self.gen_b, codes, z_a, z_b)
            x_ab, x_ba = decoded.x_ab, decoded.x_ba
        else:
            with torch.no_grad():
                x_ab, x_ba = translate(self.gen_a, self.gen_b, codes, z_a, z_b)
        part.cached = _Pass(codes, decoded) if part.is_whole_batch else None
        discriminators = self._augmented_discriminators(part)
        gan_loss, real = recording_real_logits(self.gan_loss)
        terms = discriminator_terms(*discriminators, part.x_a, part.x_b, x_ab, x_ba, gan_loss)
        if self.adaptive is not None:
            heuristics = [overfitting_heuristic(logits, gan_loss.boundary) for logits in real]
            part.statistics["r_t"] = torch.stack(heuristics)
        if "r1" in part.draws:  # through the augmentations, too
            terms["r1"] = r1_term(*discriminators, part.x_a, part.x_b, part.draws["r1"])
        if "shift_a" in part.draws:
            drawn = part.draws["shift_a"], part.draws["shift_b"]
            terms["consistency"] = consistency_term(
                *discriminators, part.x_a, part.x_b, real, drawn
            )
        return terms

    def generator_terms(self, part: MicroBatch) -> Terms:
        """Return `objective.generator_terms`."""
        x_a, x_b, z_a, z_b = part.x_a, part.x_b, part.draws["gen_a"], part.draws["gen_b"]
        codes, decoded = part.cached or (encode(self.gen_a, self.gen_b, x_a, x_b), None)
        decoded = decoded or decode(self.gen_a, self.gen_b, codes, z_a, z_b)
        part.cached = _Pass(codes, None)
        others = None
        if "other_a" in part.draws:
            others = part.draws["other_a"], part.draws["other_b"]
        return generator_terms(
            self.gen_a,
            self.gen_b,
            *self._augmented_discriminators(part),
            x_a,
            x_b,
            codes,
            decoded,
            z_a,
            z_b,
            self.gan_loss,
            cycle=self.weights.cycle > 0,
            perceptual=self.perceptual(x_a),
            others=others,
            masks=self._masks(part),
        )

    def log_codes(self, parts: Sequence[MicroBatch]) -> None:
        """Log mean and variance of the encoded styles: 0 and 1 if they follow the prior."""
        for domain in ("a", "b"):
            styles = torch.cat([getattr(p.cached.codes, f"s_{domain}").detach() for p in parts])
            var, mean = torch.var_mean(styles.float())
            self.log_dict({f"style/mean_{domain}": mean, f"style/var_{domain}": var})
        if self.adaptive is not None:
            p_a, p_b = self.adaptive.probability
            self.log_dict({"dis/augment_p_a": p_a, "dis/augment_p_b": p_b})

    def iterate(self, batch: Images) -> tuple[dict[str, list[Terms]], list[MicroBatch]]:
        """Make both updates, then `adapt`."""
        terms, parts = super().iterate(batch)
        self.adapt(parts)
        return terms, parts

    def adapt(self, parts: Sequence[MicroBatch]) -> None:
        """Let augmentations be made more or less often, as the parts of an iteration ask for."""
        if self.adaptive is None:
            return
        heuristics = torch.stack([p.fraction * p.statistics["r_t"] for p in parts]).sum(0)
        n = sum(len(p.x_a) for p in parts)
        self.adaptive.measure(heuristics, n, together=self.trainer.world_size > 1)
        if self.trainer.global_step % EVERY == 0:
            self.adaptive.move()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note how often augmentations are made, too."""
        super().on_save_checkpoint(checkpoint)
        if self.adaptive is not None:
            checkpoint["adaptive_augment"] = self.adaptive.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on making augmentations as often, where that was noted."""
        super().on_load_checkpoint(checkpoint)
        if self.adaptive is not None and "adaptive_augment" in checkpoint:
            self.adaptive.load(checkpoint["adaptive_augment"])

    def _masks(self, part: MicroBatch) -> tuple[Tensor, Tensor] | None:
        """Return the masks of a part's images, if they are used."""
        draws = part.draws
        return (draws["mask_a"], draws["mask_b"]) if "mask_a" in draws else None

    def _check_mask(self) -> None:
        """Raise a `ValueError` if translations cannot be compared with their sources."""
        channels = self.gen_a.in_channels, self.gen_b.in_channels
        if self.weights.mask > 0 and channels[0] != channels[1]:
            raise ValueError(
                f"mask is {self.weights.mask:g}, but would compare images of {channels[0]} and of "
                f"{channels[1]} channels: give both domains as many, or set mask to 0"
            )

    def _augmented_discriminators(self, part: MicroBatch) -> tuple[Discriminator, Discriminator]:
        """Return both discriminators, behind augmentations if asked for."""
        if not self.augmentations:
            return self.dis_a, self.dis_b
        drawn = part.draws["augment_a"], part.draws["augment_b"]
        made = part.draws.get("made_a"), part.draws.get("made_b")
        return (
            Augmented(self.dis_a, self.augmentations, drawn[0], made[0]),
            Augmented(self.dis_b, self.augmentations, drawn[1], made[1]),
        )
