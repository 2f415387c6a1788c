"""Translations that show what their sources show, by the features of another network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from munit_pl.checks import NonNegativeFloat, checked
from munit_pl.losses.perceptual import Vgg16, VggSource, check_source, load_vgg16, perceptual_loss
from munit_pl.recipes.base import GeneratorPass, Host, Recipe


class Perceptual(Recipe):
    """The domain-invariant perceptual loss between translations and their sources.

    Section 5.1 of Huang et al., 2018; see `munit_pl.losses.perceptual`. For images of 3 channels.

    Args:
        weight: The weight of the term.
        source: See `load_vgg16`, as of the next two.
        path: A file of VGG-16's weights.
        download: Fetch torchvision's weights if they are not there.

    Attributes:
        vgg: The network, once training has started.

    Raises:
        ValueError: If ``source`` is unknown, or takes a path and has none.
    """

    name = "perceptual"

    @checked
    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        source: VggSource = "torchvision",
        path: str | None = None,
        download: bool = False,
    ) -> None:
        check_source(source, path)
        self.weight = weight
        self._arguments = source, path, download
        self.vgg: Vgg16 | None = None

    def check(self, module: Host, others: Sequence[Recipe]) -> None:
        """Raise a `ValueError` if the network cannot read the images."""
        if (module.gen_a.in_channels, module.gen_b.in_channels) != (3, 3):
            raise ValueError("recipe perceptual reads images of 3 channels in both domains")

    def setup(self) -> None:
        """Read the network, so that a missing file is known before training."""
        self.vgg = self.vgg or load_vgg16(*self._arguments)

    def generator_term(self, done: GeneratorPass) -> Tensor | None:
        """Return `perceptual_loss` of what becomes domain a's and domain b's, ``(2,)``."""
        if self.vgg is None:  # nothing is trained
            return None
        self.vgg = self.vgg.to(done.x_a.device)  # it is no part of the module, so nobody moves it
        of_a = perceptual_loss(done.x_ba, done.x_b, self.vgg)
        of_b = perceptual_loss(done.x_ab, done.x_a, self.vgg)
        return torch.stack((of_a, of_b))

    def log_name(self) -> str:
        """Return a name that says whose weights are used."""
        return f"{self.name}_{self.vgg.source}" if self.vgg else self.name
