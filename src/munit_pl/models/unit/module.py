"""UNIT as a LightningModule: what is drawn, and what both updates share."""

from pathlib import Path
from typing import Annotated, NamedTuple

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
from munit_pl.models.unit.networks import UNITGenerator
from munit_pl.models.unit.nvlabs import read_unit_checkpoint
from munit_pl.models.unit.objective import (
    Codes,
    LossWeights,
    Networks,
    Noises,
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


class UNITModule(AdversarialModule):
    """UNIT (Liu et al., NIPS 2017): one Gaussian code that both domains share, and no styles.

    As the original MUNIT's code trains it: the discriminators, then the generators on the same
    images. The encoders share no weights; that the codes mean the same follows from the losses.
    Batches, iterations and the defaults' origin are `munit_pl.MUNITModule`'s; the weights' defaults
    are those of the original UNIT's code.

    Args:
        input_channels_a: Channels of domain a's images.
        input_channels_b: Channels of domain b's images.
        generator: Arguments of `UNITGenerator` but for ``in_channels``.
        discriminator: Arguments of `MultiScaleDiscriminator` but for ``in_channels``.
        initialization: ``generator`` and ``discriminator``, each a name that `initialize` knows
            ("kaiming" and "normal" unless given), and its ``skip_spectral``.
        gan_loss: "lsgan" (least squares), "nsgan" (non-saturating, from logits) or "hinge".
        weights: The terms' weights, see `LossWeights`.
        recipes: By their names, arguments of what is added to the method, in order; see
            `munit_pl.recipes`.
        optimizer: Arguments of `make_optimizer`, the same for both optimizers.
        scheduler: Arguments of `schedule`, in iterations.
        shared_noise: Draw the codes' noise once for both updates and not once for each. The
            generators' pass is then computed once; the algorithm differs a little from the
            original.
        clip_norm: Largest norm of each optimizer's gradient; none unless given.
        accumulate: Parts that a batch is split into, to save memory.
        seed: Where the noise of training comes from.

    Raises:
        TypeError: If a mapping has a key that is no argument of its class.
        ValueError: If a value is out of range.
    """

    gen_a: UNITGenerator
    gen_b: UNITGenerator
    dis_a: MultiScaleDiscriminator
    dis_b: MultiScaleDiscriminator

    def __init__(
        self,
        input_channels_a: PositiveInt = 3,
        input_channels_b: PositiveInt = 3,
        generator: Annotated[Arguments, ArgumentsOf(UNITGenerator, ("in_channels",))] = None,
        discriminator: Annotated[
            Arguments, ArgumentsOf(MultiScaleDiscriminator, ("in_channels",))
        ] = None,
        initialization: Annotated[Arguments, ArgumentsOf(DomainPair.initialize)] = None,
        gan_loss: GanLoss = "lsgan",
        weights: Annotated[Arguments, ArgumentsOf(LossWeights)] = None,
        recipes: RecipeArguments = None,
        optimizer: OptimizerArguments = None,
        scheduler: ScheduleArguments = None,
        shared_noise: bool = False,
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
        self.gen_a = UNITGenerator(input_channels_a, **generator)
        self.gen_b = UNITGenerator(input_channels_b, **generator)
        self.dis_a = MultiScaleDiscriminator(input_channels_a, **discriminator)
        self.dis_b = MultiScaleDiscriminator(input_channels_b, **discriminator)
        self.initialize(**initialization)
        self.set_objective(gan_loss, LossWeights(**weights), recipes)

    @classmethod
    def from_nvlabs(
        cls,
        gen_path: str | Path,
        dis_path: str | Path | None = None,
        config_path: str | Path | None = None,
    ) -> "UNITModule":
        """Read a checkpoint that the original MUNIT's code made with ``--trainer UNIT``.

        Args:
            gen_path: ``gen_*.pt``. The networks' sizes are inferred from it.
            dis_path: ``dis_*.pt``; without it the discriminators are new.
            config_path: The YAML file of the run, for what no shape tells.

        Raises:
            ValueError: If a file is something else; the message says what.
        """
        paths = [None if path is None else Path(path) for path in (dis_path, config_path)]
        arguments, states = read_unit_checkpoint(Path(gen_path), *paths)
        module = cls(**arguments)
        for name, state in states.items():
            module.get_submodule(name).load_state_dict(state)
        return module

    def draw(self, images: Images, *where: int | str) -> dict[str, Tensor]:
        """Draw the noise of each update's codes, and of the codes read back."""
        x_a, factor = images.x_a, self.gen_a.size_divisor
        width: int = self.gen_a.arguments["dim"] * factor
        shape = (4, width, x_a.shape[2] // factor, x_a.shape[3] // factor)
        gen = self.draw_normal(shape, len(x_a), "noise", "gen", *where).unbind(1)
        dis = gen[:2]
        if not self.hparams["shared_noise"]:
            dis = self.draw_normal((2, *shape[1:]), len(x_a), "noise", "dis", *where).unbind(1)
        names = ("gen_a", "gen_b", "gen_ab", "gen_ba", "dis_a", "dis_b")
        return dict(zip(names, (*gen, *dis), strict=True))

    def discriminator_terms(self, part: MicroBatch) -> Terms:
        """Return the discriminators' terms of UNIT's translations, and recipes'.

        What the generators' update can use again is left in ``part``, unless there are other parts,
        whose graphs would be in memory at once.
        """
        networks, noises = self._networks(part), (part.draws["dis_a"], part.draws["dis_b"])
        with torch.set_grad_enabled(part.is_whole_batch):
            codes = encode(networks, part.images)
        decoded = None
        if part.is_whole_batch and self.hparams["shared_noise"]:
            decoded = decode(networks, codes, *noises)
            translations = Translations(decoded.x_ab, decoded.x_ba)
        else:
            with torch.no_grad():
                translations = translate(networks, codes, *noises)
        part.cached = _Pass(codes, decoded) if part.is_whole_batch else None
        return self.score(part, translations, discriminator_terms)

    def generator_terms(self, part: MicroBatch) -> Terms:
        """Return `munit_pl.models.unit.objective.generator_terms`, and recipes'."""
        networks = self._networks(part)
        noises = Noises(*(part.draws[f"gen_{path}"] for path in ("a", "b", "ab", "ba")))
        codes, decoded = part.cached or (encode(networks, part.images), None)
        decoded = decoded or decode(networks, codes, noises.n_a, noises.n_b)
        part.cached = None
        terms = generator_terms(networks, part.images, codes, decoded, noises, self.gan_loss)
        translations = Translations(decoded.x_ab, decoded.x_ba)
        none = part.images.x_a.new_empty(len(part.images.x_a), 0)
        return self.with_recipe_terms(
            terms, part, translations, Styles(none, none), lambda _: translations
        )

    def _networks(self, part: MicroBatch) -> Networks:
        return Networks(self.gen_a, self.gen_b, *self.discriminators(part.draws))
