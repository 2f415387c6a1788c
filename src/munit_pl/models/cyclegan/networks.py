"""CycleGAN's generators: residual networks from one domain's images to the other's.

Shapes are those of Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks", ICCV 2017, section 7.2; the image network is that of Johnson et al., 2016.
"""

from torch import nn

from munit_pl.checks import Depth, NonNegativeInt, PositiveInt, checked
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.components.resnet import ResnetTranslator


class CycleGANGenerator(DomainGenerator):
    """One domain's side of CycleGAN: the network that makes its images out of the other domain's.

    An image is its own content, and no style can be read from it.

    Args:
        in_channels: Channels of the domain's images, which come out.
        other_channels: Channels of the other domain's images, which go in.
        dim: Channels after the first convolution.
        num_res_blocks: Residual blocks: 9 in the paper from 256 pixels on, 6 below.
        noise_dim: Length of the noise that goes in beside each pixel; 0 for none, as published.

    Raises:
        ValueError: If a number is out of range.
    """

    @checked
    def __init__(
        self,
        in_channels: PositiveInt = 3,
        other_channels: PositiveInt = 3,
        dim: PositiveInt = 64,
        num_res_blocks: Depth = 9,
        noise_dim: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.arguments = {
            "in_channels": in_channels,
            "other_channels": other_channels,
            "dim": dim,
            "num_res_blocks": num_res_blocks,
            "noise_dim": noise_dim,
        }
        self.in_channels = in_channels
        self.style_dim = noise_dim
        self.size_divisor = 4
        # The residual blocks pad one pixel at a quarter of the side, and a reflected pixel needs a
        # second one beside it.
        self.min_size = 8
        self.content_encoder = nn.Identity()
        self.style_encoder = None
        self.decoder = ResnetTranslator(other_channels, in_channels, dim, num_res_blocks, noise_dim)
