"""CycleGAN as a LightningModule: what is drawn, and what discriminators are shown."""

from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from munit_pl.checks import (
    Arguments,
    ArgumentsOf,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    check_arguments,
    plain,
)
from munit_pl.layers.initialization import Initialization, initialize
from munit_pl.losses.adversarial import GanLoss
from munit_pl.losses.terms import Terms
from munit_pl.models.base.micro_batch import MicroBatch
from munit_pl.models.base.module import AdversarialModule
from munit_pl.models.base.objective import Images, Styles, Translations
from munit_pl.models.components.patch_discriminator import PatchDiscriminator
from munit_pl.models.cyclegan.image_pool import ImagePool
from munit_pl.models.cyclegan.networks import CycleGANGenerator
from munit_pl.models.cyclegan.objective import (
    LossWeights,
    Networks,
    discriminator_terms,
    generator_terms,
    translate,
)
from munit_pl.optim.optimizers import OptimizerArguments
from munit_pl.optim.schedules import ScheduleArguments
from munit_pl.recipes.composed import RecipeArguments


class Initializations(NamedTuple):
    """How the networks' weights are drawn, see `initialize`."""

    generator: Initialization = "normal"
    discriminator: Initialization = "normal"


class CycleGANModule(AdversarialModule):
    """CycleGAN (Zhu et al., ICCV 2017), with noise beside the image if asked for.

    Each iteration updates the generators, then the discriminators on the same images and on
    translations that a pool of earlier ones mixes with those of the generators' update. Batches
    are pairs ``(x_a, x_b)`` of images ``(N, C, H, W)`` in [-1, 1]; the pairing carries no meaning.
    The defaults are the paper's, but that its schedule counts epochs: 100 of each kind.

    Args:
        input_channels_a: Channels of domain a's images.
        input_channels_b: Channels of domain b's images.
        generator: ``dim`` and ``num_res_blocks`` of `CycleGANGenerator`.
        discriminator: Arguments of `PatchDiscriminator` but for ``in_channels``.
        initialization: ``generator`` and ``discriminator``, each a name that `initialize` knows,
            "normal" unless given.
        gan_loss: "lsgan" (least squares), "nsgan" (non-saturating, from logits) or "hinge".
        weights: The terms' weights, see `LossWeights`. The identity term is not computed if its
            weight is 0, or if the domains differ in channels.
        recipes: By their names, arguments of what is added to the method, in order; see
            `munit_pl.recipes`.
        noise_dim: Length of the noise that each generator sees beside the image; 0 for none.
        pool_size: Earlier translations held for each discriminator, in each process; 0 for none.
        optimizer: Arguments of `make_optimizer`, the same for both optimizers.
        scheduler: Arguments of `schedule`, in iterations, "linear" unless another kind is given.
        clip_norm: Largest norm of each optimizer's gradient; none unless given.
        accumulate: Parts that a batch is split into, whose gradients are added up before each
            step: the same update in less memory.
        seed: Where the noise and the pools' choices come from.

    Attributes:
        pools: Domain a's and domain b's earlier translations. They are no buffers, which
            distributed training would make alike in all processes.

    Raises:
        TypeError: If a mapping has a key that is no argument of its class.
        ValueError: If a value is out of range.
    """

    dis_a: PatchDiscriminator
    dis_b: PatchDiscriminator

    generators_first = True
    default_optimizer: ClassVar[dict[str, Any]] = {"lr": 2e-4}
    default_scheduler: ClassVar[dict[str, Any]] = {"kind": "linear"}

    def __init__(
        self,
        input_channels_a: PositiveInt = 3,
        input_channels_b: PositiveInt = 3,
        generator: Annotated[
            Arguments,
            ArgumentsOf(CycleGANGenerator, ("in_channels", "other_channels", "noise_dim")),
        ] = None,
        discriminator: Annotated[
            Arguments, ArgumentsOf(PatchDiscriminator, ("in_channels",))
        ] = None,
        initialization: Annotated[Arguments, ArgumentsOf(Initializations)] = None,
        gan_loss: GanLoss = "lsgan",
        weights: Annotated[Arguments, ArgumentsOf(LossWeights)] = None,
        recipes: RecipeArguments = None,
        noise_dim: NonNegativeInt = 0,
        pool_size: NonNegativeInt = 50,
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
        a, b = input_channels_a, input_channels_b
        self.gen_a = CycleGANGenerator(a, b, noise_dim=noise_dim, **generator)
        self.gen_b = CycleGANGenerator(b, a, noise_dim=noise_dim, **generator)
        self.dis_a = PatchDiscriminator(a, **discriminator)
        self.dis_b = PatchDiscriminator(b, **discriminator)
        self._initialize(*Initializations(**initialization))
        self.set_objective(gan_loss, LossWeights(**weights), recipes)
        self.pools = {"a": ImagePool(pool_size), "b": ImagePool(pool_size)}

    def draw(self, images: Images, *where: int | str) -> dict[str, Tensor]:
        """Draw both generators' noise and both pools' chances."""
        n = len(images.x_a)
        z_a, z_b = self.draw_normal((2, self.style_dim), n, "noise", *where).unbind(1)
        chance_a, chance_b = (  # they stay on the CPU, where the pools read them
            self.draw_each(torch.rand, (), n, "pool", domain, *where) for domain in "ab"
        )
        return {"z_a": z_a, "z_b": z_b, "chance_a": chance_a, "chance_b": chance_b}

    def generator_terms(self, part: MicroBatch) -> Terms:
        """Return `objective.generator_terms`, and recipes'; leave the translations behind."""
        networks = Networks(self.gen_a, self.gen_b, *self.discriminators(part.draws))
        images, noise = part.images, Styles(part.draws["z_a"], part.draws["z_b"])
        translations = translate(networks, images, noise)
        identity = self.weights.identity > 0 and images.x_a.shape[1] == images.x_b.shape[1]
        terms = generator_terms(networks, images, translations, noise, self.gan_loss, identity)
        # The pools would show a pixel that is NaN again, and checkpoints refuse it.
        part.cached = Translations(*(x.detach().nan_to_num() for x in translations))
        again = partial(translate, networks, images)
        return self.with_recipe_terms(terms, part, translations, noise, again)

    def discriminator_terms(self, part: MicroBatch) -> Terms:
        """Return `objective.discriminator_terms`, and recipes', of what the pools make of those."""
        x_ab, x_ba = part.cached
        x_ab = self.pools["b"].exchange(x_ab, part.draws["chance_b"])
        x_ba = self.pools["a"].exchange(x_ba, part.draws["chance_a"])
        return self.score(part, Translations(x_ab, x_ba), discriminator_terms)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the pools of all processes, ``(processes, images, C, H, W)`` each."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["pools"] = {
            domain: self._gather(pool) for domain, pool in self.pools.items() if pool.images
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back this process's pools."""
        super().on_load_checkpoint(checkpoint)
        for domain, images in checkpoint["pools"].items():
            # Processes that were not there then share what there is: all pools are equally full,
            # or they could not be gathered again.
            own = images[self.global_rank % len(images)]
            self.pools[domain].images = list(own[: self.pools[domain].size])

    def _initialize(self, generator: Initialization, discriminator: Initialization) -> None:
        for gen, dis in ((self.gen_a, self.dis_a), (self.gen_b, self.dis_b)):
            initialize(gen, generator)
            initialize(dis, discriminator)

    def _gather(self, pool: ImagePool) -> Tensor:
        # After a resumption some lie on the CPU.
        own = torch.stack([image.to(self.device) for image in pool.images])
        gathered = self.all_gather(own)
        assert isinstance(gathered, Tensor)
        return gathered.reshape(-1, *own.shape).cpu()
