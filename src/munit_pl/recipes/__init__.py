"""All recipes that come with the package; `munit_pl.recipes.base` says what a recipe is."""

from munit_pl.recipes import (  # whose classes `Recipe.kinds` then knows
    ada,
    consistency,
    diffaugment,
    mask,
    mode_seeking,
    perceptual,
    r1,
)

__all__ = ["ada", "consistency", "diffaugment", "mask", "mode_seeking", "perceptual", "r1"]
