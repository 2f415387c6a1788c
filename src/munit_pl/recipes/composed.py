"""All recipes of a module, in order, as one."""

from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from typing import Annotated, Any

from torch import Tensor

from munit_pl.checks import Arguments, ArgumentsByName, nearest, unknown_argument
from munit_pl.losses.terms import Terms
from munit_pl.recipes.base import (
    DiscriminatorPass,
    Discriminators,
    GeneratorPass,
    Host,
    Recipe,
)

RecipeArguments = Annotated[Arguments, ArgumentsByName(Recipe.kinds)]


class Recipes:
    """Recipes, in order, without those of weight 0.

    Args:
        arguments: By the recipes' names the arguments of their constructors.

    Raises:
        TypeError: If there is no such recipe, or it has no such argument.
        ValueError: If an argument is out of range.
    """

    def __init__(self, arguments: Mapping[str, Mapping[str, Any] | None]) -> None:
        made = [_make(name, options or {}) for name, options in arguments.items()]
        self._recipes = [recipe for recipe in made if recipe.weight > 0]

    def __iter__(self) -> Iterator[Recipe]:
        """Iterate over the recipes."""
        return iter(self._recipes)

    def check(self, module: Host, hooks: Sequence[str]) -> None:
        """Raise a `ValueError` if a recipe cannot be added to a module that calls these hooks."""
        for recipe in self:
            for hook in ("wrap", "discriminator_term", "generator_term"):
                overridden = getattr(type(recipe), hook) is not getattr(Recipe, hook)
                if overridden and hook not in hooks:
                    raise ValueError(
                        f"{type(module).__name__} takes no recipe {recipe.name}: it calls no {hook}"
                    )
            recipe.check(module, self._recipes)

    def weights(self) -> dict[str, float]:
        """Return the terms' weights, by name."""
        return {recipe.name: recipe.weight for recipe in self}

    def draw(self, module: Host, batch: Sequence[Tensor], *where: int | str) -> dict[str, Tensor]:
        """Return all `Recipe.draw`."""
        draws: dict[str, Tensor] = {}
        for recipe in self:
            draws |= recipe.draw(module, batch, *where)
        return draws

    def wrap(self, discriminators: Discriminators, draws: Mapping[str, Tensor]) -> Discriminators:
        """Return discriminators behind all that recipes put before them, the last one outermost."""
        for recipe in self:
            discriminators = recipe.wrap(discriminators, draws)
        return discriminators

    def discriminator_terms(self, done: DiscriminatorPass) -> Terms:
        """Return the discriminators' terms."""
        found = {recipe.name: recipe.discriminator_term(done) for recipe in self}
        return {name: term for name, term in found.items() if term is not None}

    def generator_terms(self, done: GeneratorPass, terms: Terms) -> Terms:
        """Return a method's terms and what recipes add to them, in its terms or beside them."""
        terms = dict(terms)
        for recipe in self:
            found = recipe.generator_term(done)
            added = {recipe.name: found} if isinstance(found, Tensor) else found or {}
            for name, term in added.items():
                terms[name] = terms[name] + term if name in terms else term
        return terms

    def log_name(self, term: str) -> str:
        """Return a term's name in logs, that of the method's own as it is."""
        return next((recipe.log_name() for recipe in self if recipe.name == term), term)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds of each, by name."""
        return {recipe.name: recipe.state_dict() for recipe in self}

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, where it had such a recipe."""
        for recipe in self:
            if states.get(recipe.name):
                recipe.load_state_dict(states[recipe.name])


def _make(name: str, arguments: Mapping[str, Any]) -> Recipe:
    if name not in Recipe.kinds:
        raise TypeError(
            f"there is no recipe {name}{nearest(name, Recipe.kinds)} (known: "
            f"{', '.join(sorted(Recipe.kinds))}; a recipe of your own must have been imported)"
        )
    known = signature(Recipe.kinds[name]).parameters
    for argument in arguments.keys() - known.keys():
        raise TypeError(unknown_argument(f"recipe {name}", argument, known))
    return Recipe.kinds[name](**arguments)
