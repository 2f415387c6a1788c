"""Two domains' networks and how images pass between them, whatever the method."""

from typing import Protocol, cast

import torch
from torch import Tensor, nn

from munit_pl.data.domain import DomainName
from munit_pl.layers.initialization import Initialization, initialize
from munit_pl.models.base.generator import DomainGenerator


class _Sized(Protocol):
    def check_size(self, height: int, width: int) -> None: ...


class DomainPair(nn.Module):
    """A generator and a discriminator of each domain, which a method makes.

    Attributes:
        gen_a: Domain a's generator.
        gen_b: Domain b's generator.
        dis_a: Domain a's discriminator, which has a ``check_size`` as generators have.
        dis_b: Domain b's discriminator.
    """

    gen_a: DomainGenerator
    gen_b: DomainGenerator
    dis_a: nn.Module
    dis_b: nn.Module

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Translate images of domain a to domain b; see `translate`."""
        return self.translate(x, style)

    def encode(self, x: Tensor, domain: DomainName = "a") -> tuple[Tensor, Tensor]:
        """Return content and style of images of ``domain``; see the generator for shapes."""
        return self._generator(domain).encode(x)

    def decode(self, content: Tensor, style: Tensor, domain: DomainName = "b") -> Tensor:
        """Return images of ``domain`` that show ``content`` in ``style``."""
        return self._generator(domain).decode(content, style)

    def translate(self, x: Tensor, style: Tensor | None = None, to: DomainName = "b") -> Tensor:
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
        """Length of a style code; 0 if the method has none."""
        return self.gen_a.style_dim

    def parameters_of(self, player: str) -> list[nn.Parameter]:
        """Return the parameters of both generators, "gen", or of both discriminators, "dis"."""
        a, b = (self.gen_a, self.gen_b) if player == "gen" else (self.dis_a, self.dis_b)
        return [*a.parameters(), *b.parameters()]

    def check_size(self, height: int, width: int) -> None:
        """Raise a `ValueError` if the networks cannot be trained on images of this size."""
        self.gen_a.check_size(height, width)
        cast(_Sized, self.dis_a).check_size(height, width)

    def initialize(
        self,
        generator: Initialization = "kaiming",
        discriminator: Initialization = "normal",
        skip_spectral: bool = False,
    ) -> None:
        """Draw all weights anew as the original does; see `munit_pl.layers.initialization`."""
        initialize(self.gen_a, generator)
        initialize(self.gen_b, generator)
        initialize(self.dis_a, discriminator, skip_spectral=skip_spectral)
        initialize(self.dis_b, discriminator, skip_spectral=skip_spectral)

    def _generator(self, domain: DomainName) -> DomainGenerator:
        if domain not in ("a", "b"):
            raise ValueError(f"the domain is {domain!r}, but must be a or b")
        return self.gen_a if domain == "a" else self.gen_b
