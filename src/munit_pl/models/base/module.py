"""What every method's LightningModule shares: two players, updated in turns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.hub.model_lookup import find_checkpoint
from munit_pl.io.safe_reading import read_checkpoint
from munit_pl.layers.weight_casts import WeightCasts
from munit_pl.losses.adversarial import AdversarialLoss, adversarial_loss, recording_logits
from munit_pl.losses.terms import Discriminator, Terms, total
from munit_pl.models.base.description import describe, method_of, recall_images
from munit_pl.models.base.logged_values import on_host, values_of_iteration
from munit_pl.models.base.micro_batch import Batch, MicroBatch, split
from munit_pl.models.base.objective import Images, Styles, Translations
from munit_pl.models.base.pair import DomainPair
from munit_pl.models.base.renamed import current_names, recipe_states, rename_weights
from munit_pl.models.base.run_length import run_length
from munit_pl.models.base.training_checks import precision_faults
from munit_pl.optim.finite_updates import (
    count_skipped,
    is_fused_adam,
    keep_finite,
    skip_unless_finite,
)
from munit_pl.optim.optimizers import make_optimizer
from munit_pl.optim.resume_settings import adopt_settings, describe_changes
from munit_pl.optim.schedules import ends_at, schedule
from munit_pl.randomness import rng_for
from munit_pl.recipes.base import DiscriminatorPass, GeneratorPass
from munit_pl.recipes.composed import Recipes


class AdversarialModule(DomainPair, LightningModule):
    """Two generators and two discriminators that learn against each other.

    Each iteration updates the discriminators and the generators, in the method's order, on the same
    images, and counts as one step of the trainer. Batches are pairs ``(x_a, x_b)`` of images
    ``(N, C, H, W)`` in [-1, 1]. Masks may follow, ``(x_a, x_b, m_a, m_b)``, each ``(N, 1, H, W)``
    in [0, 1], for recipes that use them.

    A method is a subclass. Its ``__init__`` makes the four networks of `DomainPair`, saves as
    hyper-parameters at least ``optimizer``, ``scheduler``, ``clip_norm``, ``accumulate`` and
    ``seed``, and calls `set_objective`; the class says what is drawn and what is minimized.

    A player's step is skipped where the norm of its gradient is not finite or above `MAX_NORM`, so
    that neither its weights nor its moments ever cease to be finite. The iteration counts.

    Attributes:
        gan_loss: The adversarial loss.
        weights: A named tuple of the method's terms' weights; "gan" weighs the discriminators' term
            too.
        recipes: What is added to the method, in order.
        term_weights: The weights of all terms, those of recipes too, by name.
        skipped: For "dis" and "gen" the steps skipped, in all and in a row up to now, ``(2,)``.
            They are no buffers: checkpoints hold them, state dicts do not.
        norms: For "dis" and "gen" the norm of the last gradient.
        generators_first: Whether the generators' update comes before the discriminators'.
        paired: Whether ``x_a[i]`` and ``x_b[i]`` must show the same thing.
        hooks: Those of a `Recipe`'s hooks for terms and discriminators that the method calls.
        default_optimizer: The method's arguments of `make_optimizer`, where ``optimizer`` gives no
            others.
        default_scheduler: Of `schedule`, likewise.
        discriminator_steps: The discriminators' updates in each iteration. All but the last are on
            the same images and other random numbers, before all else; they are not logged.
    """

    generators_first: ClassVar[bool] = False
    paired: ClassVar[bool] = False
    hooks: ClassVar[tuple[str, ...]] = ("wrap", "discriminator_term", "generator_term")
    default_optimizer: ClassVar[dict[str, Any]] = {"lr": 1e-4, "weight_decay": 1e-4}
    default_scheduler: ClassVar[dict[str, Any]] = {}
    discriminator_steps: int = 1

    gan_loss: AdversarialLoss
    weights: Any
    recipes: Recipes

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.skipped = {
            player: torch.zeros(2, dtype=torch.int64, device="cpu") for player in ("dis", "gen")
        }
        self.norms: dict[str, Tensor] = {}

    def set_objective(
        self, gan_loss: str, weights: Any, recipes: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Set what is minimized, once the networks are there.

        Args:
            gan_loss: The name of an adversarial loss.
            weights: See `weights`.
            recipes: By the recipes' names, arguments of their constructors.

        Raises:
            TypeError: If there is no such recipe, or it has no such argument.
            ValueError: If a recipe cannot be added to this method, or a value is out of range.
        """
        networks = (self.gen_a, self.gen_b, self.dis_a, self.dis_b)
        self._casts = [WeightCasts(network) for network in networks]
        self.gan_loss = adversarial_loss(gan_loss)
        self.weights = weights
        self.recipes = Recipes(recipes)
        self.recipes.check(self, self.hooks)
        self.term_weights: dict[str, float] = weights._asdict() | self.recipes.weights()

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: str | Path, map_location: Any = None, **arguments: Any
    ) -> Any:
        """Read a module from a checkpoint of its own class, which may be untrusted.

        Its generators are the moving average, where the run kept one, as all that translates has
        them. A run goes on from the weights themselves, which the trainer's ``ckpt_path`` reads.

        Args:
            checkpoint_path: A file, or a run's folder, whose newest whole checkpoint is meant.
            map_location: Where the tensors go; where they were saved from unless given.
            **arguments: Arguments of the class that replace the checkpoint's; and Lightning's.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is no checkpoint, one that asks for more than it holds, or one of
                another method.
        """
        path = find_checkpoint(checkpoint_path)
        checkpoint = read_checkpoint(path)
        held: Mapping[str, Any] = checkpoint if isinstance(checkpoint, Mapping) else {}
        noted: Any = held.get("hyper_parameters")
        # Nothing else of it: Lightning would take "strict" and its like for the caller's.
        renamed = {k: v for k, v in current_names(noted).items() if noted.get(k) != v}
        arguments = {**renamed, **arguments, "weights_only": True}
        try:
            module = super().load_from_checkpoint(path, map_location, **arguments)
            for name in ("gen_a", "gen_b") if held.get("averaged") else ():
                strict = arguments.get("strict", True)
                module.get_submodule(name).load_state_dict(held["averaged"][name], strict)
            return module
        except (RuntimeError, TypeError, LookupError, AttributeError) as error:
            method = method_of(held.get("generators"))
            detail = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{path} is a checkpoint of {method or 'another model'}, and does not load as "
                f"{cls.__name__}: {detail}"
            ) from error

    def draw(self, images: Images, *where: int | str) -> dict[str, Tensor]:
        """Return the method's random numbers for ``N`` images of each domain, each ``(N, ...)``.

        They are a function of the images' sizes, the seed and ``where``: the iteration in training.
        """
        raise NotImplementedError

    def discriminator_terms(self, part: MicroBatch) -> Terms:
        """Return the discriminators' terms, unweighted, a pair each: domain a's and domain b's."""
        raise NotImplementedError

    def generator_terms(self, part: MicroBatch) -> Terms:
        """Return the generators' terms, likewise."""
        raise NotImplementedError

    def validation_terms(self, part: MicroBatch) -> Terms:
        """Return the generators' terms for images that are not trained on."""
        return self.generator_terms(part)

    def code_statistics(self, parts: Sequence[MicroBatch]) -> dict[str, Tensor]:
        """Return what is to be logged of the method's codes in an iteration, scalars by name."""
        return {}

    def terms_of(self, player: str, part: MicroBatch) -> Terms:
        """Return the terms that "dis" or "gen" minimizes."""
        return self.discriminator_terms(part) if player == "dis" else self.generator_terms(part)

    def weights_of(self, player: str) -> Mapping[str, float]:
        """Return the weights of the terms of "dis" or "gen", by name."""
        return self.term_weights

    def optimizer_arguments(self, player: str) -> dict[str, Any]:
        """Return the arguments of `make_optimizer` for "dis" or "gen"."""
        return self.default_optimizer | self.hparams["optimizer"]

    def make_scheduler(self, optimizer: Optimizer) -> LRScheduler:
        """Return the schedule of one optimizer, stepped once an iteration."""
        arguments = self.default_scheduler | self.hparams["scheduler"]
        follows = None in (arguments.get("constant"), arguments.get("decay"))
        if arguments.get("kind") == "linear" and follows and self._trainer is not None:
            run = run_length(self.trainer)
            arguments |= {} if run is None else {"iterations": max(run, 1)}
        return schedule(optimizer, **arguments)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Update both players, then the learning rates."""
        # Logging costs more than a small network's update, so it is left to the iterations that the
        # trainer writes down.
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        logging = (self.trainer.global_step + 1) % every == 0
        self._seed_global_generators()
        terms, parts = self.iterate(batch)
        self.adapt(parts)
        if logging:  # after both: Lightning forgets what is logged before a counted step
            for name, value in on_host(values_of_iteration(self, terms, parts)).items():
                self.log(name, value, prog_bar=name in ("dis/total", "gen/total"))
        for config in self.trainer.lr_scheduler_configs:
            cast(Any, config.scheduler).step()  # no plateau schedule

    def iterate(self, batch: Batch) -> tuple[dict[str, list[Terms]], list[MicroBatch]]:
        """Make both updates; return each player's terms, part by part, and the parts."""
        step = self.trainer.global_step
        parts = self.split(batch, step)
        updates = {"dis": self._update_discriminators, "gen": self._update_generators}
        with keep_finite(self.buffers()):
            for i in range(1, self.discriminator_steps):
                further = self.split(batch, step, "further", i, alone=False)  # takes nothing over
                self._update_discriminators(further)
                if self._scaler is not None:
                    self._scaler.update()  # which takes one step of an optimizer between two
            terms = {player: updates[player](parts) for player in self.order}
        return terms, parts

    @property
    def order(self) -> tuple[str, str]:
        """The players in the order of their updates."""
        return ("gen", "dis") if self.generators_first else ("dis", "gen")

    def split(self, batch: Batch, *where: int | str, alone: bool = True) -> list[MicroBatch]:
        """Split a batch as ``accumulate`` says and give each part its random numbers.

        Args:
            batch: The images, with masks or without.
            *where: See `draw`.
            alone: Whether one part counts as a whole batch.
        """
        draws = self.draw_all(batch, *where)
        return split(Images(*batch[:2]), draws, self.hparams["accumulate"], alone)

    def num_split(self, batch_size: int) -> int:
        """Return how many of a batch's images of each domain `split` splits."""
        return batch_size

    def draw_all(self, batch: Batch, *where: int | str) -> dict[str, Tensor]:
        """Return the random numbers of the method, and of its recipes."""
        return self.draw(Images(*batch[:2]), *where) | self.recipes.draw(self, batch, *where)

    def discriminators(self, draws: Mapping[str, Tensor]) -> tuple[Discriminator, Discriminator]:
        """Return both discriminators, behind what recipes put before them."""
        pair = cast("tuple[Discriminator, Discriminator]", (self.dis_a, self.dis_b))
        return self.recipes.wrap(pair, draws)

    def score(
        self,
        part: MicroBatch,
        translations: Translations,
        terms_of: Callable[[Any, Images, Translations, AdversarialLoss], Terms],
    ) -> Terms:
        """Return the discriminators' terms for images and translations, and recipes'.

        Args:
            part: The images and random numbers.
            translations: Of these images, or earlier ones.
            terms_of: The method's terms, `munit_pl.models.base.objective.discriminator_terms` or
                its like.
        """
        pair = self.discriminators(part.draws)
        gan_loss, real, fake = recording_logits(self.gan_loss)
        terms = terms_of(pair, part.images, translations, gan_loss)
        shown = Translations(*(x.detach() for x in translations))
        done = DiscriminatorPass(
            pair,
            *part.images,
            *shown,
            real,
            fake,
            gan_loss.boundary,
            part.draws,
            part.statistics,
        )
        return terms | self.recipes.discriminator_terms(done)

    def with_recipe_terms(
        self,
        terms: Terms,
        part: MicroBatch,
        translations: Translations,
        styles: Styles,
        translate: Callable[[Styles], Translations],
    ) -> Terms:
        """Return the generators' terms and what recipes add to them.

        Args:
            terms: The method's.
            part: The images and random numbers.
            translations: Of these images.
            styles: What they were made under, ``(N, 0)`` where there are none.
            translate: Makes others of other styles.
        """
        done = GeneratorPass(
            *part.images,
            *translations,
            *styles,
            lambda z_a, z_b: translate(Styles(z_a, z_b)),
            lambda x_ab, x_ba: self.adversarial_term(part, Translations(x_ab, x_ba)),
            part.draws,
        )
        return self.recipes.generator_terms(done, terms)

    def adversarial_term(self, part: MicroBatch, translations: Translations) -> Terms:
        """Return the generators' adversarial term of translations under drawn styles, by name."""
        (dis_a, dis_b), loss = self.discriminators(part.draws), self.gan_loss.generator
        pair = loss(dis_a(translations.x_ba)), loss(dis_b(translations.x_ab))
        return {"gan": torch.stack(pair)}

    def adapt(self, parts: Sequence[MicroBatch]) -> None:
        """Let recipes adapt to an iteration that is done."""
        statistics = {
            name: torch.stack([part.fraction * part.statistics[name] for part in parts]).sum(0)
            for name in parts[0].statistics
        }
        images = sum(len(part.images.x_a) for part in parts)
        distributed = self.trainer.world_size > 1
        for recipe in self.recipes:
            recipe.after_step(statistics, images, self.trainer.global_step, distributed)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Prepare the step of a gradient that the precision plugin has unscaled."""
        player = "gen" if optimizer is self.trainer.optimizers[1] else "dis"
        self.prepare_step(player, optimizer)

    def prepare_step(self, player: str, optimizer: Optimizer) -> None:
        """Clip a player's gradient, or have the step skipped."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        self.norms[player] = norm
        bad = skip_unless_finite(optimizer, norm)
        self.skipped[player] = count_skipped(self.skipped[player], bad)
        clip_norm = self.hparams["clip_norm"]
        if clip_norm is not None:
            clip_grads_with_norm_(parameters, clip_norm, norm)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the generators' terms on images that are not trained on."""
        draws = self.draw_all(batch, "validation", batch_idx)
        terms = self.validation_terms(MicroBatch(Images(*batch[:2]), draws))
        values = {f"val/{self.recipes.log_name(term)}": pair.sum() for term, pair in terms.items()}
        self.log_dict(values, batch_size=len(batch[0]), sync_dist=True)

    def predict_step(self, batch: Batch, batch_idx: int) -> Translations:
        """Return a batch's translations under random styles, a function of seed and batch."""
        shape, n = (2, self.style_dim), len(batch[0])
        z_a, z_b = self.draw_normal(shape, n, "style", "predict", batch_idx).unbind(1)
        return Translations(self.translate(batch[0], z_b, "b"), self.translate(batch[1], z_a, "a"))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return one optimizer for both discriminators and one for both generators.

        Adam is fused unless something speaks against it: one pass over memory, and on CUDA, to
        skip a step of any other, the host would have to wait for the device in each iteration.
        """
        able = all(parameter.device.type in ("cuda", "cpu") for parameter in self.parameters())
        optimizers = []
        for player in ("dis", "gen"):
            arguments = self.optimizer_arguments(player)
            skips = arguments.get("name", "Adam") in ("Adam", "AdamW")
            if skips and arguments.get("fused") is None and not arguments.get("foreach"):
                arguments["fused"] = able or None
            optimizer = make_optimizer(self.parameters_of(player), **arguments)
            if self._scaler is not None and is_fused_adam(optimizer):
                # A scaler tells it of overflows at the last moment, and so not of norms too large.
                optimizer.register_step_pre_hook(partial(self._skip_again, player))
            optimizers.append(optimizer)
        return optimizers, [self.make_scheduler(optimizer) for optimizer in optimizers]

    def setup(self, stage: str) -> None:
        """Let recipes read what they take, so that a missing file is known before training."""
        if stage == "fit":
            for recipe in self.recipes:
                recipe.setup()

    def on_fit_start(self) -> None:
        """Note the images' size and white, and refuse what cannot be trained in this precision."""
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, TwoDomains):
            self.gen_a.image_size = self.gen_b.image_size = data.image_size
            self.gen_a.max_value, self.gen_b.max_value = data.max_value("a"), data.max_value("b")
        for fault in precision_faults(self, self.trainer.precision):
            raise ValueError(fault)

    def on_train_start(self) -> None:
        """Say where the learning rate is 0 long before the run ends."""
        for config in self.trainer.lr_scheduler_configs[:1]:  # both players' fall alike
            run = self.trainer.estimated_stepping_batches
            end = ends_at(config.scheduler, run)
            if end is not None:
                rank_zero_warn(
                    f"the learning rate is 0 after iteration {end} of {run}, and nothing is learnt "
                    f"any more: set trainer.max_steps={end}, or a longer model.scheduler"
                )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note the steps skipped, and what the generators are, to be used without this module.

        ``image_size`` in what they are is how images were brought to size, ``max_value`` what was
        white in 16-bit files, where that was not 65535.
        """
        checkpoint["skipped"] = {player: counts.tolist() for player, counts in self.skipped.items()}
        checkpoint["generators"] = describe({"gen_a": self.gen_a, "gen_b": self.gen_b})
        checkpoint["recipes"] = self.recipes.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Count on from the steps that had been skipped, and know how images were read again.

        A run goes on with the settings that it is given, and says which have changed.
        """
        recall_images({"gen_a": self.gen_a, "gen_b": self.gen_b}, checkpoint.get("generators"))
        for player, counts in checkpoint.get("skipped", {}).items():
            self.skipped[player] = torch.tensor(counts, device=self.device)
        rename_weights(checkpoint)
        self.recipes.load_state_dict(recipe_states(checkpoint))
        if self._trainer is not None and self.trainer.state.fn == "fit":
            optimizers, schedulers = cast(Any, self.configure_optimizers())
            checkpoint["hyper_parameters"] = current_names(checkpoint.get("hyper_parameters"))
            settings = self.hparams, type(self)
            changes = adopt_settings(checkpoint, optimizers, schedulers, *settings)
            if changes and not self.trainer.global_step:  # else a guard loads within a run
                done = checkpoint["global_step"]
                rank_zero_warn(f"changed after iteration {done}: {describe_changes(changes)}")

    def draw_normal(self, shape: Iterable[int], n: int, *where: int | str) -> Tensor:
        """Draw N(0, 1) for ``n`` images, ``(n, *shape)``, as a function of the seed and ``where``.

        Every process of a distributed run draws other numbers, and all together those that one
        process would draw for all their images.
        """
        drawn = self.draw_each(torch.randn, shape, n, *where)
        return self._uploaded(drawn.to(next(self.parameters()).dtype))

    def draw_uniform(self, shape: Iterable[int], n: int, *where: int | str) -> Tensor:
        """Draw from U[0, 1) likewise, in fp32."""
        return self._uploaded(self.draw_each(torch.rand, shape, n, *where))

    def draw_each(
        self, distribution: Callable[..., Tensor], shape: Iterable[int], n: int, *where: int | str
    ) -> Tensor:
        """Draw from `torch.rand` or its like for ``n`` images, ``(n, *shape)``, on the CPU."""
        shape, first, seed = tuple(shape), self.global_rank * n, self.hparams["seed"]
        # Whatever the defaults are: all precisions and devices draw the same numbers.
        of: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
        samples = [
            distribution(shape, generator=rng_for(seed, *where, first + i), **of) for i in range(n)
        ]
        return torch.stack(samples)

    def _uploaded(self, drawn: Tensor) -> Tensor:
        """Return random numbers where the module is, without having the host wait for a GPU."""
        device = next(self.parameters()).device
        if device.type == "cuda":
            return drawn.pin_memory().to(device, non_blocking=True)
        return drawn.to(device)

    def _seed_global_generators(self) -> None:
        """Make what others draw without a generator a function of the iteration, too."""
        where = "global", self.trainer.global_step, self.global_rank
        seed = rng_for(self.hparams["seed"], *where).initial_seed()
        # Not `torch.manual_seed`: it notes, with a stack trace, each kind of device that is not in
        # use, which takes a hundred times as long.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    @property
    def _scaler(self) -> torch.amp.GradScaler | None:
        plugin = getattr(self._trainer, "precision_plugin", None)  # no trainer: settings are tried
        return getattr(plugin, "scaler", None)

    def _update_discriminators(self, parts: Sequence[MicroBatch]) -> list[Terms]:
        optimizer = self.trainer.optimizers[0]
        optimizer.zero_grad()
        with self.weights_cast_once():
            terms = [self._backward("dis", part) for part in parts]
        self._average_gradients(optimizer)
        self._step_discriminators(optimizer)
        return terms

    def _step_discriminators(self, optimizer: Optimizer) -> None:
        """Step without Lightning's wrapper, which would count a second step of the iteration.

        Under fp16 the gradient is unscaled here and the step skipped if it overflowed; the
        generators' step, which goes through Lightning, updates the scale for both.
        """
        if self._scaler is None:
            self.on_before_optimizer_step(optimizer)
            optimizer.step()
            return
        self._scaler.unscale_(optimizer)
        self.on_before_optimizer_step(optimizer)
        self._scaler.step(optimizer)
        if self.generators_first and self.skipped["dis"][1]:
            self._scaler.update()  # the next iteration's would miss it if a checkpoint lies between

    def _update_generators(self, parts: Sequence[MicroBatch]) -> list[Terms]:
        optimizer = self.trainer.optimizers[1]
        counted = cast("list[LightningOptimizer]", self.optimizers())[1]
        optimizer.zero_grad()
        # No gradients for the discriminators' weights.
        with self.toggled_optimizer(optimizer), self.weights_cast_once():
            terms = [self._backward("gen", part) for part in parts]
        self._average_gradients(optimizer)
        if self._scaler is not None and is_fused_adam(optimizer):
            self._scaler.unscale_(optimizer)  # which Lightning leaves to the step, after all hooks
        counted.step()
        return terms

    def _skip_again(self, player: str, optimizer: Optimizer, *_: object) -> None:
        skip_unless_finite(optimizer, self.norms[player])

    @contextmanager
    def weights_cast_once(self) -> Iterator[None]:
        """Cast all networks' weights for one update, where that is worth it; see `WeightCasts`."""
        with ExitStack() as stack:
            for casts in self._casts:
                stack.enter_context(casts.in_use())
            yield

    def _average_gradients(self, optimizer: Optimizer) -> None:
        """Average an update's gradients over all processes, unless that has been done by now.

        Most strategies do it in the backward pass, some leave it to be called here.
        """
        average = getattr(self.trainer.strategy, "average_gradients", None)
        if average is not None:
            average(optimizer)

    def _backward(self, player: str, part: MicroBatch) -> Terms:
        """Add one part's share to the gradient and return its share of the terms."""
        terms = self.terms_of(player, part)
        if part.fraction != 1:
            terms = {term: part.fraction * pair for term, pair in terms.items()}
        self.manual_backward(total(terms, self.weights_of(player)))
        return terms
