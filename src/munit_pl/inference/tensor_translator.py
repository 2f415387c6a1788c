"""Batches of images in, codes or batches of images out."""

from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from munit_pl.data.domain import DomainName
from munit_pl.data.sizes import ImageSize
from munit_pl.inference.execution import NetworkRunner, Precision
from munit_pl.inference.one_way import SourceDomain
from munit_pl.models.base.generator import DomainGenerator


class TranslatorOptions(TypedDict, total=False):
    """The options of `Translator`, for what passes them on."""

    device: str | torch.device | None
    precision: Precision
    batch_size: int | None
    tile: int | None
    compile: bool


class TensorTranslator:
    """What `Translator` does with tensors; its arguments are described there."""

    def __init__(
        self,
        gen_a: DomainGenerator,
        gen_b: DomainGenerator,
        *,
        device: str | torch.device | None = None,
        precision: Precision = "fp32",
        batch_size: int | None = None,
        tile: int | None = None,
        compile: bool = False,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, but must be at least 1")
        self._runner = NetworkRunner(gen_a, device, precision, tile, compile)
        self.device = self._runner.device
        self.precision = self._runner.precision
        self.precision_reason = self._runner.precision_reason
        usual = 1 if self.device.type == "cpu" else 8
        self.batch_size = (batch_size or usual) if tile is None else 1
        self._gens: dict[DomainName, DomainGenerator] = {
            "a": self._runner.prepare(gen_a),
            "b": self._runner.prepare(gen_b),
        }
        self.image_size: ImageSize | None = gen_a.image_size

    @property
    def generators(self) -> tuple[DomainGenerator, DomainGenerator]:
        """Domain a's generator and domain b's."""
        return self._gens["a"], self._gens["b"]

    @property
    def targets(self) -> tuple[DomainName, ...]:
        """The domains that can be translated to: both, or one of a model of one direction."""
        return tuple(d for d, gen in self._gens.items() if not isinstance(gen, SourceDomain))

    @property
    def resize(self) -> int | None:
        """Pixels of the shortest side of images in training; None if they kept their size.

        None, too, if that is not known.
        """
        return self.image_size.resize if self.image_size else None

    def channels(self, domain: DomainName) -> int:
        """Return the channels of a domain's images."""
        return self._generator(domain).in_channels

    def max_value(self, domain: DomainName) -> int:
        """Return what was white in a domain's 16-bit gray files in training."""
        return self._generator(domain).max_value

    def style_dim(self, domain: DomainName) -> int:
        """Return the length of a domain's style codes; 0 if the method has none."""
        return self._generator(domain).style_dim

    @property
    def reads_styles(self) -> bool:
        """Whether styles can be encoded from images of the domains that can be translated to."""
        return all(self._gens[domain].style_encoder is not None for domain in self.targets)

    @property
    def reconstructs(self) -> bool:
        """Whether images have a content code, from which they can be reconstructed."""
        return all(gen.has_content_code for gen in self._gens.values())

    @torch.no_grad()
    def encode_content(self, x: Tensor, domain: DomainName) -> Tensor:
        """Return the contents, ``(N, ...)``, of a domain's images ``(N, C, H, W)`` in [-1, 1].

        Raises:
            ValueError: If the images have other channels, or a side that is too short or no
                multiple of what the generator halves.
        """
        gen = self.check(x, domain)
        gen.check_size(*x.shape[2:])
        parts = torch.split(x, self.batch_size)
        return torch.cat(
            [self._runner.run(gen.content_encoder, part).float().cpu() for part in parts]
        )

    @torch.no_grad()
    def encode_style(self, x: Tensor, domain: DomainName) -> Tensor:
        """Return the styles, ``(N, style_dim)``, of a domain's images ``(N, C, H, W)`` in [-1, 1].

        Raises:
            ValueError: If the images have other channels, or a side is too short, or the model
                reads no styles.
        """
        encoder = self.check(x, domain).style_encoder
        if encoder is None:
            raise ValueError("this model reads no style from an image")
        styles = [self._runner.run(encoder, part) for part in torch.split(x, self.batch_size)]
        return torch.cat(styles).float().cpu()

    @torch.no_grad()
    def translate(self, x: Tensor, styles: Tensor, to: DomainName = "b") -> Tensor:
        """Decode the content of images in styles of domain ``to``.

        Args:
            x: Images of the domain that is not ``to``, ``(N, C, H, W)`` in [-1, 1], of any size
                from the networks' smallest side on.
            styles: ``(K, style_dim)``, the same for all images, or ``(N, K, style_dim)``.
            to: The domain to translate to.

        Returns:
            Images, ``(N, K, C', H, W)`` in [-1, 1].

        Raises:
            ValueError: If shapes do not fit, or the model is of the other direction alone.
        """
        self.check_target(to)
        source: DomainName = "b" if to == "a" else "a"
        return self._decode(x, source, styles, to)

    @torch.no_grad()
    def reconstruct(self, x: Tensor, domain: DomainName) -> Tensor:
        """Return images ``(N, C, H, W)`` of ``domain``, encoded and decoded in their own style.

        Raises:
            ValueError: If the images do not fit, or the method has no content code.
        """
        if not self.reconstructs:
            raise ValueError("this model's method has no codes to reconstruct from")
        own = self.encode_style(x, domain) if self.reads_styles else x.new_empty(len(x), 0)
        return self._decode(x, domain, own[:, None], domain)[:, 0]

    @torch.no_grad()
    def decode(self, content: Tensor, styles: Tensor, to: DomainName = "b") -> Tensor:
        """Decode contents, as of `encode_content`, in styles of domain ``to``.

        Args:
            content: ``(N, ...)``, of either domain.
            styles: ``(K, style_dim)``, the same for all contents, or ``(N, K, style_dim)``.
            to: The domain to decode to.

        Returns:
            Images, ``(N, K, C', H, W)`` in [-1, 1].

        Raises:
            ValueError: If shapes do not fit, or the model is of the other direction alone.
        """
        self.check_target(to)
        gen = self._generator(to)
        styles = _per_image(styles, len(content), gen.style_dim)
        k = styles.shape[1]
        # All pairs of a content and one of its styles, the styles of a content side by side.
        pairs = torch.arange(len(content) * k)
        shown = [
            self._runner.run(gen.decoder, content[these // k], styles.flatten(0, 1)[these])
            .float()
            .cpu()
            for these in torch.split(pairs, self.batch_size)
        ]
        images = torch.cat(shown)
        return images.view(len(content), k, *images.shape[1:])

    def _decode(self, x: Tensor, source: DomainName, styles: Tensor, to: DomainName) -> Tensor:
        """Decode each image, of ``source``, in each of its styles of ``to``."""
        gen = self.check(x, source)
        styles = _per_image(styles, len(x), self.style_dim(to))
        height, width = x.shape[2:]
        padded, top, left = _pad(x, gen.size_divisor)
        shown = []
        for first in range(0, len(x), self.batch_size):
            images = slice(first, first + self.batch_size)
            content = self._runner.run(gen.content_encoder, padded[images])
            y = self.decode(content, styles[images], to)
            if y.shape[-2:] != padded.shape[-2:]:  # of a graph of unknown origin
                shown_in, given = ("x".join(map(str, z.shape[-2:])) for z in (y, padded))
                raise ValueError(f"the model's outputs are {shown_in} pixels for inputs of {given}")
            shown.append(y[..., top : top + height, left : left + width])
        return torch.cat(shown)

    def _generator(self, domain: DomainName) -> DomainGenerator:
        if domain not in ("a", "b"):
            raise ValueError(f"the domain is {domain!r}, but must be a or b")
        return self._gens[domain]

    def check_target(self, domain: DomainName) -> None:
        """Refuse a domain that the model does not translate to.

        Raises:
            ValueError: If the model is of one direction, from this domain.
        """
        if isinstance(self._generator(domain), SourceDomain):
            (other,) = self.targets
            raise ValueError(f"this model translates from {domain} to {other} alone")

    def check(self, x: Tensor, domain: DomainName) -> DomainGenerator:
        """Return the domain's generator, which can take images ``x``, ``(N, C, H, W)``.

        Raises:
            ValueError: If the images have other channels, or a side is too short.
        """
        gen = self._generator(domain)
        if x.ndim != 4 or x.shape[1] != gen.in_channels:
            raise ValueError(
                f"images of domain {domain} are (N, {gen.in_channels}, H, W) for this model, but "
                f"these are {tuple(x.shape)}"
            )
        height, width = x.shape[2:]
        if min(height, width) < gen.min_size:
            raise ValueError(
                f"an image of {height}x{width} is too small for this model: both sides must be at "
                f"least {gen.min_size} pixels"
            )
        return gen


def _per_image(styles: Tensor, n: int, style_dim: int) -> Tensor:
    """Return styles as ``(N, K, style_dim)``."""
    per_image = styles.expand(n, -1, -1) if styles.ndim == 2 else styles
    if per_image.ndim != 3 or len(per_image) != n or per_image.shape[2] != style_dim:
        raise ValueError(
            f"styles for {n} images are (K, {style_dim}) or ({n}, K, {style_dim}) for this model, "
            f"but these are {tuple(styles.shape)}"
        )
    return per_image


def _pad(x: Tensor, size_divisor: int) -> tuple[Tensor, int, int]:
    """Reflect the borders of images until both sides are multiples of ``size_divisor``.

    Returns:
        The padded images, and the rows above and the columns left of the original ones.
    """
    height, width = x.shape[2:]
    down, along = -height % size_divisor, -width % size_divisor
    top, left = down // 2, along // 2
    return F.pad(x, (left, along - left, top, down - top), mode="reflect"), top, left
