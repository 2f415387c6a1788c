"""BicycleGAN as a LightningModule: what is drawn, what is minimized, and in which order."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

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
from munit_pl.layers.initialization import Initialization, initialize
from munit_pl.losses.adversarial import GanLoss
from munit_pl.losses.terms import Terms
from munit_pl.models.base.micro_batch import Batch, MicroBatch
from munit_pl.models.base.module import AdversarialModule
from munit_pl.models.base.objective import Images, Styles, Translations
from munit_pl.models.bicyclegan.networks import (
    BicycleGANGenerator,
    BranchDiscriminators,
    small_xavier,
)
from munit_pl.models.bicyclegan.objective import (
    BranchTranslations,
    Draws,
    LossWeights,
    Networks,
    discriminator_terms,
    generator_terms,
    read,
    translate,
)
from munit_pl.optim.optimizers import OptimizerArguments
from munit_pl.optim.schedules import ScheduleArguments
from munit_pl.recipes.composed import RecipeArguments

_Initialization = Initialization | Literal["small_xavier"]


class Initializations(NamedTuple):
    """How the networks' weights are drawn, see `initialize` and `small_xavier`."""

    generator: _Initialization = "small_xavier"
    discriminator: _Initialization = "small_xavier"


class BicycleGANModule(AdversarialModule):
    """BicycleGAN (Zhu et al., NIPS 2017): paired images, and many translations of each.

    The paper learns one direction. Here both are learnt side by side by networks that share
    nothing, so that each is what it would be alone, but for the size of a clipped gradient.

    Each iteration updates translators and encoders, then all discriminators on the same
    translations. In batches ``(x_a, x_b)`` of images ``(N, C, H, W)`` in [-1, 1], ``x_a[i]`` and
    ``x_b[i]`` must show the same thing. The defaults are those that the authors published, but for
    the dropout (see `UNetTranslator`), the width of the discriminators' second scale (see
    `BranchDiscriminators`) and the halved batches (see `munit_pl.models.bicyclegan.objective`).

    Args:
        input_channels_a: Channels of domain a's images.
        input_channels_b: Channels of domain b's images.
        generator: Arguments of `BicycleGANGenerator` but for the channels.
        discriminator: Arguments of `BranchDiscriminators` but for ``in_channels``.
        initialization: ``generator`` and ``discriminator``, each "small_xavier" (see
            `small_xavier`), as published, or a name that `initialize` knows.
        gan_loss: "lsgan" (least squares), "nsgan" (non-saturating, from logits) or "hinge".
        weights: The terms' weights, see `LossWeights`.
        recipes: By their names, arguments of what is added to the generators' terms, in order; see
            `munit_pl.recipes`. They see the translations under drawn styles.
        optimizer: Arguments of `make_optimizer`, the same for both optimizers.
        scheduler: Arguments of `schedule`, "linear" unless another kind is given, in iterations;
            the authors count epochs.
        clip_norm: Largest norm of each optimizer's gradient; none unless given.
        accumulate: Parts that a batch is split into, whose gradients are added up before each
            step: the same update in less memory.
        seed: Where the random numbers of training come from.

    Raises:
        TypeError: If a mapping has a key that is no argument of its class.
        ValueError: If a value is out of range.
    """

    generators_first: ClassVar[bool] = True
    paired: ClassVar[bool] = True
    hooks: ClassVar[tuple[str, ...]] = ("generator_term",)
    default_optimizer: ClassVar[dict[str, Any]] = {"lr": 2e-4}
    default_scheduler: ClassVar[dict[str, Any]] = {"kind": "linear"}

    gen_a: BicycleGANGenerator
    gen_b: BicycleGANGenerator
    dis_a: BranchDiscriminators
    dis_b: BranchDiscriminators

    def __init__(
        self,
        input_channels_a: PositiveInt = 3,
        input_channels_b: PositiveInt = 3,
        generator: Annotated[
            Arguments, ArgumentsOf(BicycleGANGenerator, ("in_channels", "other_channels"))
        ] = None,
        discriminator: Annotated[
            Arguments, ArgumentsOf(BranchDiscriminators, ("in_channels",))
        ] = None,
        initialization: Annotated[Arguments, ArgumentsOf(Initializations)] = None,
        gan_loss: GanLoss = "lsgan",
        weights: Annotated[Arguments, ArgumentsOf(LossWeights)] = None,
        recipes: RecipeArguments = None,
        optimizer: OptimizerArguments = None,
        scheduler: ScheduleArguments = None,
        clip_norm: PositiveFloat | None = None,
        accumulate: PositiveInt = 1,
        seed: Seed = 0,
    ) -> None:
        generator, discriminator = plain(generator or {}), plain(discriminator or {})
        initialization, weights = plain(initialization or {}), plain(weights or {})
        optimizer, scheduler = plain(optimizer or {}), plain(scheduler or {})
        recipes = plain(recipes or {})
        super().__init__()
        self.save_hyperparameters()
        check_arguments(type(self).__init__, self.hparams)
        self.gen_a = BicycleGANGenerator(input_channels_a, input_channels_b, **generator)
        self.gen_b = BicycleGANGenerator(input_channels_b, input_channels_a, **generator)
        self.dis_a = BranchDiscriminators(input_channels_a, **discriminator)
        self.dis_b = BranchDiscriminators(input_channels_b, **discriminator)
        self._initialize(*Initializations(**initialization))
        self.set_objective(gan_loss, LossWeights(**weights), recipes)

    def draw(self, images: Images, *where: int | str) -> dict[str, Tensor]:
        """Return `Draws` by name."""
        shape, n = (len(Draws._fields), self.style_dim), len(images.x_a)
        return Draws(*self.draw_normal(shape, n, "style", *where).unbind(1))._asdict()

    def num_split(self, batch_size: int) -> int:
        """Return the size of the half that is translated."""
        return (batch_size + 1) // 2

    def split(self, batch: Batch, *where: int | str, alone: bool = True) -> list[MicroBatch]:
        """Split half of a batch; "half_a" and "half_b" are images of the other half.

        Every second image, so that processes together take the halves that one would.
        """
        parts = super().split([x[::2] for x in batch], *where, alone=alone)
        # An odd batch lacks one: its last image is in both halves.
        seconds = [torch.cat([x[1::2], x[-1:]])[: len(x[::2])] for x in batch[:2]]
        others = [torch.split(x, [len(part.images.x_a) for part in parts]) for x in seconds]
        for part, x_a, x_b in zip(parts, *others, strict=True):
            part.draws = {**part.draws, "half_a": x_a, "half_b": x_b}
        return parts

    def generator_terms(self, part: MicroBatch) -> Terms:
        """Return `objective.generator_terms`, and recipes'; leave the translations behind."""
        networks = Networks(self.gen_a, self.gen_b, self.dis_a, self.dis_b)
        images, draws = part.images, Draws(*(part.draws[name] for name in Draws._fields))
        posteriors = read(networks, images)
        translations = translate(networks, images, posteriors, draws)
        # As published, the discriminators see what was made before the generators' step.
        part.cached = BranchTranslations(*(fake.detach() for fake in translations))
        terms = generator_terms(networks, images, posteriors, translations, draws, self.gan_loss)

        def again(styles: Styles) -> Translations:
            gen_a, gen_b = networks.gen_a, networks.gen_b
            x_ab, x_ba = gen_b.decode(images.x_a, styles.z_b), gen_a.decode(images.x_b, styles.z_a)
            return Translations(x_ab, x_ba)

        of_drawn = Translations(translations.random_ab, translations.random_ba)
        styles = Styles(draws.z_a, draws.z_b)
        return self.with_recipe_terms(terms, part, of_drawn, styles, again)

    def adversarial_term(self, part: MicroBatch, translations: Translations) -> Terms:
        """Return the random branch's, of translations under drawn styles."""
        loss = self.gan_loss.generator
        of_a = loss(self.dis_a.random(translations.x_ba))
        of_b = loss(self.dis_b.random(translations.x_ab))
        return {"gan_random": torch.stack((of_a, of_b))}

    def discriminator_terms(self, part: MicroBatch) -> Terms:
        """Return the terms of `objective.discriminator_terms`."""
        others = Images(part.draws["half_a"], part.draws["half_b"])
        return discriminator_terms(
            (self.dis_a, self.dis_b), part.images, others, part.cached, self.gan_loss
        )

    def weights_of(self, player: str) -> Mapping[str, float]:
        """Return the weights of the generators' terms; as published, discriminators' have none."""
        return dict.fromkeys(("gan", "gan_random"), 1.0) if player == "dis" else self.term_weights

    def _initialize(self, generator: _Initialization, discriminator: _Initialization) -> None:
        for networks, how in (
            ((self.gen_a, self.gen_b), generator),
            ((self.dis_a, self.dis_b), discriminator),
        ):
            for network in networks:
                if how == "small_xavier":
                    small_xavier(network)
                else:
                    initialize(network, how)
