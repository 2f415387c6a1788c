"""Recipes: what is added to a method's training without touching its loop.

A recipe adds a term to what a player minimizes, or changes what discriminators see. It is a
subclass of `Recipe` that overrides the hooks it needs. Modules hold a list of recipes and make them
of plain values, found by name; so a checkpoint names its recipes and holds no code.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from torch import Tensor

from munit_pl.losses.adversarial import Logits
from munit_pl.losses.terms import Discriminator, Terms

Discriminators = tuple[Discriminator, Discriminator]


class Host(Protocol):
    """What a recipe may use of the module that it is added to.

    Attributes:
        gen_a: Domain a's generator.
        gen_b: Domain b's generator.
    """

    gen_a: Any
    gen_b: Any

    @property
    def style_dim(self) -> int:
        """Length of a style code; 0 if the method has none."""

    def draw_uniform(self, shape: Sequence[int], n: int, *where: int | str) -> Tensor:
        """Draw from U[0, 1) for ``n`` images, ``(n, *shape)``, where the module is."""

    def draw_normal(self, shape: Sequence[int], n: int, *where: int | str) -> Tensor:
        """Draw N(0, 1) likewise."""


class DiscriminatorPass(NamedTuple):
    """What the discriminators' update has computed, graphs included.

    Attributes:
        discriminators: Domain a's and domain b's, behind what recipes put before them.
        x_a: Real images of domain a, ``(N, C, H, W)`` in [-1, 1].
        x_b: Real images of domain b.
        x_ab: Translations to domain b, of these images or of earlier ones, without a graph.
        x_ba: Translations to domain a.
        real: The logits of ``x_a`` and of ``x_b``.
        fake: The logits of ``x_ba`` and of ``x_ab``: domain a's and domain b's, too.
        boundary: The logit above which images count as real; see `AdversarialLoss`.
        draws: The random numbers of these images, those of `Recipe.draw` among them.
        statistics: Where a term may leave tensors for `Recipe.after_step`.
    """

    discriminators: Discriminators
    x_a: Tensor
    x_b: Tensor
    x_ab: Tensor
    x_ba: Tensor
    real: Sequence[Logits]
    fake: Sequence[Logits]
    boundary: float
    draws: Mapping[str, Tensor]
    statistics: dict[str, Tensor]


class GeneratorPass(NamedTuple):
    """What the generators' update has computed, graphs included.

    Attributes:
        x_a: Images of domain a, ``(N, C, H, W)`` in [-1, 1].
        x_b: Images of domain b.
        x_ab: ``x_a`` translated to domain b.
        x_ba: ``x_b`` translated to domain a.
        z_a: The styles of ``x_ba``, ``(N, style_dim)``.
        z_b: The styles of ``x_ab``.
        translate: Returns ``x_ab`` and ``x_ba`` under other styles of domain a and of domain b.
        adversarial: Returns the method's adversarial term of such others, by its name.
        draws: The random numbers of these images, those of `Recipe.draw` among them.
    """

    x_a: Tensor
    x_b: Tensor
    x_ab: Tensor
    x_ba: Tensor
    z_a: Tensor
    z_b: Tensor
    translate: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    adversarial: Callable[[Tensor, Tensor], Terms]
    draws: Mapping[str, Tensor]


class Recipe:
    """One addition to a method's training. No hook does anything unless it is overridden.

    A subclass has a ``name``, under which modules and configurations know it from then on, and a
    constructor of plain values.

    Attributes:
        kinds: All recipes by name.
        name: The recipe's, its term's in logs too.
        weight: The weight of its term. A recipe of weight 0 is off.
    """

    kinds: ClassVar[dict[str, type["Recipe"]]] = {}
    name: ClassVar[str]
    weight: float = 1.0

    def __init_subclass__(cls) -> None:
        known = Recipe.kinds.setdefault(cls.name, cls)
        own = cls.__module__, cls.__qualname__
        if (known.__module__, known.__qualname__) != own:  # else a notebook's cell is run again
            raise TypeError(f"there is a recipe {cls.name} already: {known.__qualname__}")
        Recipe.kinds[cls.name] = cls

    def check(self, module: Host, others: Sequence["Recipe"]) -> None:
        """Raise a `ValueError` if the recipe cannot be added to a module, or to its others."""

    def setup(self) -> None:
        """Read what training takes, such as weights of another network."""

    def draw(self, module: Host, batch: Sequence[Tensor], *where: int | str) -> dict[str, Tensor]:
        """Return what the terms need of ``N`` images of each domain, each ``(N, ...)``, by name.

        Args:
            module: Draws random numbers as functions of the seed and ``where``.
            batch: ``x_a`` and ``x_b``; their masks ``m_a`` and ``m_b``, too, if data has them.
            *where: The iteration, from 0; or in validation a word, and the batch.
        """
        return {}

    def wrap(self, discriminators: Discriminators, draws: Mapping[str, Tensor]) -> Discriminators:
        """Return discriminators that see something else, in both players' updates."""
        return discriminators

    def discriminator_term(self, done: DiscriminatorPass) -> Tensor | None:
        """Return the discriminators' term, ``(2,)``: domain a's and domain b's. None for none."""
        return None

    def generator_term(self, done: GeneratorPass) -> Tensor | Terms | None:
        """Return the generators' term, likewise; or by name, to add to others of the method too."""
        return None

    def after_step(
        self, statistics: Mapping[str, Tensor], images: int, iteration: int, distributed: bool
    ) -> None:
        """Adapt to an iteration that is done.

        Args:
            statistics: What the term left in `DiscriminatorPass.statistics`, averaged over the
                batch.
            images: Of each domain in this process's batch.
            iteration: Its number, from 1.
            distributed: Whether other processes train along, all of which call this.
        """

    def log_name(self) -> str:
        """Return the term's name in logs."""
        return self.name

    def logs(self) -> dict[str, Tensor]:
        """Return scalars to be logged, by name."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds of the recipe: plain values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
