"""MUNIT as a LightningModule: what is drawn, and what both updates share."""

from collections.abc import Sequence
from functools import partial
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
    check_arguments,
    plain,
)
from munit_pl.layers.activation_recomputation import recompute_blocks
from munit_pl.losses.adversarial import GanLoss
from munit_pl.losses.terms import Terms
from munit_pl.models.base.micro_batch import MicroBatch
from munit_pl.models.base.module import AdversarialModule
from munit_pl.models.base.objective import (
    Decodings,
    Images,
    Styles,
    Translations,
    discriminator_terms,
)
from munit_pl.models.base.pair import DomainPair
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.models.munit.model import MUNIT
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.models.munit.nvlabs import read_munit_checkpoint
from munit_pl.models.munit.objective import (
    Codes,
    LossWeights,
    Networks,
    decode,
    encode,
    generator_terms,
    translate,
)
from munit_pl.optim.optimizers import OptimizerArguments
from munit_pl.optim.schedules import ScheduleArguments
from munit_pl.recipes.composed import RecipeArguments


class _Pass(NamedTuple):
    """What the generators computed of a part, graphs included."""

    codes: Codes
    decoded: Decodings | None


class MUNITModule(MUNIT, AdversarialModule):
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
        weights: The terms' weights, see `LossWeights`. The cycle term is not computed if its weight
            is 0.
        recipes: By their names, arguments of what is added to the published algorithm, in order;
            see `munit_pl.recipes`.
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
        discriminator_steps: The discriminators' updates in each iteration. All are on the same
            images; each has styles of its own.

    Raises:
        TypeError: If a mapping has a key that is no argument of its class.
        ValueError: If a value is out of range.
    """

    weights: LossWeights

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
        recipes: RecipeArguments = None,
        optimizer: OptimizerArguments = None,
        scheduler: ScheduleArguments = None,
        shared_styles: bool = False,
        clip_norm: PositiveFloat | None = None,
        accumulate: PositiveInt = 1,
        seed: Seed = 0,
        checkpoint_activations: bool = False,
        lr_discriminator: PositiveFloat | None = None,
        discriminator_steps: PositiveInt = 1,
    ) -> None:
        generator, discriminator = plain(generator or {}), plain(discriminator or {})
        initialization, weights = plain(initialization or {}), plain(weights or {})
        optimizer, scheduler = plain(optimizer or {}), plain(scheduler or {})
        recipes = plain(recipes or {})
        super().__init__(
            input_channels_a, input_channels_b, generator, discriminator, initialization
        )
        self.save_hyperparameters()
        check_arguments(type(self).__init__, self.hparams)
        self.set_objective(gan_loss, LossWeights(**weights), recipes)
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
        arguments, states = read_munit_checkpoint(
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

    def draw(self, images: Images, *where: int | str) -> dict[str, Tensor]:
        """Draw the styles of each update, or one pair for both if they are shared."""
        n = len(images.x_a)
        for_gen = self.draw_styles(n, "gen", *where)
        shared = self.hparams["shared_styles"]
        for_dis = for_gen if shared else self.draw_styles(n, "dis", *where)
        names = ("dis_a", "dis_b", "gen_a", "gen_b")
        return dict(zip(names, (*for_dis, *for_gen), strict=True))

    def draw_styles(self, n: int, *where: int | str) -> Styles:
        """Draw styles for ``n`` images of each domain; see `draw_normal`."""
        return Styles(*self.draw_normal((2, self.style_dim), n, "style", *where).unbind(1))

    def discriminator_terms(self, part: MicroBatch) -> Terms:
        """Return `objective.discriminator_terms`, and recipes'.

        What the generators' update can use again is left in ``part``, unless there are other parts,
        whose graphs would be in memory at once.
        """
        networks = self._networks(part)
        styles = Styles(part.draws["dis_a"], part.draws["dis_b"])
        with torch.set_grad_enabled(part.is_whole_batch):
            codes = encode(networks, part.images)
        decoded = None
        if part.is_whole_batch and self.hparams["shared_styles"]:
            decoded = decode(networks, codes, styles)
            translations = Translations(decoded.x_ab, decoded.x_ba)
        else:
            with torch.no_grad():
                translations = translate(networks, codes, styles)
        part.cached = _Pass(codes, decoded) if part.is_whole_batch else None
        return self.score(part, translations, discriminator_terms)

    def generator_terms(self, part: MicroBatch) -> Terms:
        """Return `objective.generator_terms`, and recipes'."""
        networks = self._networks(part)
        styles = Styles(part.draws["gen_a"], part.draws["gen_b"])
        codes, decoded = part.cached or (encode(networks, part.images), None)
        decoded = decoded or decode(networks, codes, styles)
        # For the logs and `adapt`; without a graph, which would be in memory in the next iteration.
        part.cached = _Pass(Codes(*(code.detach() for code in codes)), None)
        cycle = self.weights.cycle > 0
        terms = generator_terms(networks, part.images, codes, decoded, styles, self.gan_loss, cycle)
        translations = Translations(decoded.x_ab, decoded.x_ba)
        again = partial(translate, networks, codes)
        return self.with_recipe_terms(terms, part, translations, styles, again)

    def adapt(self, parts: Sequence[MicroBatch]) -> None:
        """Let recipes adapt to an iteration that is done, and generators to its styles."""
        super().adapt(parts)
        self.gen_a.track_styles(torch.cat([part.cached.codes.s_a for part in parts]))
        self.gen_b.track_styles(torch.cat([part.cached.codes.s_b for part in parts]))

    def code_statistics(self, parts: Sequence[MicroBatch]) -> dict[str, Tensor]:
        """Return mean and variance of the encoded styles: 0 and 1 if they follow the prior."""
        values: dict[str, Tensor] = {}
        for domain in ("a", "b"):
            styles = torch.cat([getattr(part.cached.codes, f"s_{domain}") for part in parts])
            var, mean = torch.var_mean(styles.float())
            values |= {f"style/mean_{domain}": mean, f"style/var_{domain}": var}
        return values

    def _networks(self, part: MicroBatch) -> Networks:
        return Networks(self.gen_a, self.gen_b, *self.discriminators(part.draws))
