"""What every method's generator offers, so that one translator and one report serve all."""

from typing import Any, ClassVar

from torch import Tensor, nn

from munit_pl.data.images.bit_depth import FULL
from munit_pl.data.sizes import ImageSize


class DomainGenerator(nn.Module):
    """One domain's side of a translator: read its images, and show any content as its images.

    A translation from a to b is domain b's ``decoder`` applied to what domain a's
    ``content_encoder`` made. Methods that map image to image have no content code: their content is
    the image itself, and ``content_encoder`` is the identity.

    Attributes:
        arguments: What the generator was made with: ``type(gen)(**gen.arguments)`` is another.
        in_channels: Channels of the domain's images.
        style_dim: Length of a style code; 0 if the method has none.
        size_divisor: What both sides of an image must be multiples of.
        min_size: The smallest side, in pixels, that passes.
        content_encoder: The domain's images ``(N, C, H, W)`` in [-1, 1] to contents ``(N, ...)``.
        style_encoder: The domain's images to styles ``(N, style_dim)``; None where the method reads
            no style from an image.
        decoder: Contents of either domain and styles of this one to this domain's images.
        image_size: How images were brought to size for its training; None where nothing tells.
        max_value: What was white in its domain's 16-bit gray files.
        kinds: All such classes by name: what a checkpoint may ask for.
        method: The method's name, for people: that of the class unless it says another.
    """

    kinds: ClassVar[dict[str, type["DomainGenerator"]]] = {}
    method: ClassVar[str]

    arguments: dict[str, Any]
    in_channels: int
    style_dim: int
    size_divisor: int
    min_size: int
    content_encoder: nn.Module
    style_encoder: nn.Module | None
    decoder: nn.Module
    image_size: ImageSize | None = None
    max_value: int = FULL

    def __init_subclass__(cls, in_files: bool = True) -> None:
        """Know the class by its name, unless no file describes one."""
        super().__init_subclass__()
        if in_files:
            DomainGenerator.kinds[cls.__name__] = cls
        if "method" not in vars(cls):
            cls.method = cls.__name__.removesuffix("Generator")

    @property
    def has_content_code(self) -> bool:
        """Whether content is more abstract than the image, so that either domain can show it."""
        return not isinstance(self.content_encoder, nn.Identity)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return content and style of images ``x``; an empty style where none can be read."""
        if self.style_encoder is None:
            return self.content_encoder(x), x.new_empty(len(x), 0)
        return self.content_encoder(x), self.style_encoder(x)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Return the images that show ``content``, of either domain, in this domain's ``style``."""
        return self.decoder(content, style)

    def check_size(self, height: int, width: int) -> None:
        """Refuse images of a size that the generator cannot give back.

        Raises:
            ValueError: If a side is no multiple of ``size_divisor``, or below ``min_size``.
        """
        if height % self.size_divisor or width % self.size_divisor:
            raise ValueError(
                f"images of {height}x{width} cannot pass the generator: both sides must be "
                f"multiples of {self.size_divisor}"
            )
        if min(height, width) < self.min_size:
            raise ValueError(
                f"images of {height}x{width} are too small for the generator: "
                f"both sides must be at least {self.min_size}"
            )
