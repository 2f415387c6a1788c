"""The patch discriminator of pix2pix, CycleGAN and BicycleGAN."""

from functools import partial
from itertools import pairwise

from torch import nn

from munit_pl.checks import Depth, PositiveInt, checked
from munit_pl.layers.blocks import ConvBlock, Norm
from munit_pl.models.components.discriminators import ScaleDiscriminators

WIDEST = 8  # the multiple of the first width at which the doubling ends


class PatchDiscriminator(ScaleDiscriminators):
    """A discriminator of overlapping patches: with three strided convolutions, of 70x70 pixels.

    Section 6.1.2 of Isola et al., "Image-to-Image Translation with Conditional Adversarial
    Networks", CVPR 2017: 4x4 convolutions, strided but for the last two; leaky ReLU of slope
    0.2; no normalization after the first convolution. With more than one scale there is an
    independent discriminator for each, on an image of half the side of the one before and half as
    wide, as BicycleGAN's authors have it.

    Args:
        in_channels: Channels of the domain's images.
        dim: Channels after the first convolution; doubled by each further one, up to ``8 * dim``.
        num_layers: Strided convolutions of each discriminator, ``L``.
        num_scales: Number of discriminators, ``S``.
        norm: "none", "batch", "instance", "layer" or "spectral", after all but the first
            convolution and the last.

    Shape:
        Images ``(N, in_channels, H, W)`` in [-1, 1] to ``S`` maps of logits, the first
        ``(N, 1, H // 2**L - 2, W // 2**L - 2)``.
    """

    @checked
    def __init__(
        self,
        in_channels: PositiveInt = 3,
        dim: PositiveInt = 64,
        num_layers: Depth = 3,
        num_scales: Depth = 1,
        norm: Norm = "instance",
    ) -> None:
        block = partial(ConvBlock, activation="lrelu", padding_mode="zeros")

        def scale(first: int) -> nn.Sequential:
            widths = [first * min(2**i, WIDEST) for i in range(num_layers + 1)]
            strided = pairwise(widths[:-1])
            return nn.Sequential(
                block(in_channels, first, 4, 2, 1),
                *(block(before, after, 4, 2, 1, norm=norm) for before, after in strided),
                block(widths[-2], widths[-1], 4, 1, 1, norm=norm),
                nn.Conv2d(widths[-1], 1, 4, 1, 1),
            )

        super().__init__((scale(max(dim // 2**s, 1)) for s in range(num_scales)), norm)
        self.num_layers = num_layers

    def check_size(self, height: int, width: int) -> None:
        """Refuse images that leave no logit at the smallest scale.

        Raises:
            ValueError: If a side is too short.
        """
        # A strided convolution rounds a side down and each of the last two takes a pixel off;
        # halving rounds up, so a pixel more than half is enough before each.
        shortest = (3 * 2**self.num_layers - 1) * 2 ** (len(self.scales) - 1) + 1
        if min(height, width) < shortest:
            raise ValueError(
                f"images of {height}x{width} are too small for the discriminator: with num_layers="
                f"{self.num_layers} and num_scales={len(self.scales)} both sides must be at least "
                f"{shortest}"
            )
