"""Models that translate in one direction alone."""

from torch import nn

from munit_pl.models.base.generator import DomainGenerator


class SourceDomain(DomainGenerator, in_files=False):
    """The side of a model of one direction that images come from: it makes none.

    It has no weights: an image is its own content.

    Args:
        target: The generator of the other domain, which translates images of this one.

    Raises:
        ValueError: If the method's content is no image, so that this side would need weights.
    """

    def __init__(self, target: DomainGenerator) -> None:
        super().__init__()
        if "other_channels" not in target.arguments:
            raise ValueError(f"{target.method} has networks of both domains")
        self.arguments = {}
        self.in_channels = target.arguments["other_channels"]
        self.style_dim = 0
        self.size_divisor = target.size_divisor
        self.min_size = target.min_size
        self.content_encoder = nn.Identity()
        self.style_encoder = None
        self.decoder = nn.Module()  # which cannot be called
