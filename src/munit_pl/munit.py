"""MUNIT's four networks as one plain module: what a trained model is used through."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from munit_pl.discriminator import MultiScaleDiscriminator
from munit_pl.initialisation import Initialisation, initialise
from munit_pl.networks import AdaINGenerator

Domain = Literal["a", "b"]


class MUNIT(nn.Module):
    """Two auto-encoders and two discriminators, one of each for domain a and for domain b.

    Args:
        input_channels_a: Channels of domain a's images.
        input_channels_b: Channels of domain b's images.
        generator: Arguments of `AdaINGenerator` but for ``in_channels``.
        discriminator: Arguments of `MultiScaleDiscriminator` but for ``in_channels``.
        initialisation: ``generator`` and ``discriminator``, each a name that `initialise` knows
            ("kaiming" and "normal" unless given), and its ``skip_spectral``.

    Attributes:
        gen_a: Domain a's auto-encoder.
        gen_b: Domain b's auto-encoder.
        dis_a: Domain a's discriminator.
        dis_b: Domain b's discriminator.

    Raises:
        TypeError: If a mapping has a key that is no argument of its class.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        input_channels_a: int = 3,
        input_channels_b: int = 3,
        generator: Mapping[str, Any] | None = None,
        discriminator: Mapping[str, Any] | None = None,
        initialisation: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.gen_a = AdaINGenerator(input_channels_a, **generator or {})
        self.gen_b = AdaINGenerator(input_channels_b, **generator or {})
        self.dis_a = MultiScaleDiscriminator(input_channels_a, **discriminator or {})
        self.dis_b = MultiScaleDiscriminator(input_channels_b, **discriminator or {})
        self._initialise(**initialisation or {})

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Translate images of domain a to domain b; see `translate`."""
        return self.translate(x, style)

    def encode(self, x: Tensor, domain: Domain = "a") -> tuple[Tensor, Tensor]:
        """Return content and style of images of ``domain``; see `AdaINGenerator` for shapes."""
        return self._generator(domain).encode(x)

    def decode(self, content: Tensor, style: Tensor, domain: Domain = "b") -> Tensor:
        """Return images of ``domain`` that show ``content`` in ``style``."""
        return self._generator(domain).decode(content, style)

    def translate(self, x: Tensor, style: Tensor | None = None, to: Domain = "b") -> Tensor:
        """Translate images to the other domain.

        Args:
            x: Images of the domain that is not ``to``, ``(N, C, H, W)`` in [-1, 1].
            style: Styles of domain ``to``, ``(N, style_dim)``: drawn from N(0, I), or an example's
                from `encode`. Drawn anew if not given.
            to: The domain to translate to.

        Returns:
            Images of domain ``to``, of the height and width of ``x``.
        """
        if style is None:
            style = torch.randn(len(x), self.style_dim, device=x.device, dtype=x.dtype)
        content = self._generator("a" if to == "b" else "b").content_encoder(x)
        return self.decode(content, style, to)

    @property
    def style_dim(self) -> int:
        """Length of a style code."""
        return self.gen_a.style_dim

    def check_size(self, height: int, width: int) -> None:
        """Raise a `ValueError` if the networks cannot be trained on images of this size."""
        self.gen_a.check_size(height, width)
        self.dis_a.check_size(height, width)

    def _initialise(
        self,
        generator: Initialisation = "kaiming",
        discriminator: Initialisation = "normal",
        skip_spectral: bool = False,
    ) -> None:
        initialise(self.gen_a, generator)
        initialise(self.gen_b, generator)
        initialise(self.dis_a, discriminator, skip_spectral=skip_spectral)
        initialise(self.dis_b, discriminator, skip_spectral=skip_spectral)

    def _generator(self, domain: Domain) -> AdaINGenerator:
        if domain not in ("a", "b"):
            raise ValueError(f"the domain is {domain!r}, but must be a or b")
        return self.gen_a if domain == "a" else self.gen_b
