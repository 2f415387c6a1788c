"""MUNIT's discriminator: patches of an image at several scales."""

from collections.abc import Iterable
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munit_pl.checks import Depth, PositiveInt, checked
from munit_pl.layers.blocks import Activation, ConvBlock, Norm
from munit_pl.layers.padding import PaddingMode


class ScaleDiscriminators(nn.Module):
    """Independent discriminators, each on an image of half the side of the one before.

    Subclasses say what one discriminator is; the scales are those of Wang et al., "High-Resolution
    Image Synthesis and Semantic Manipulation with Conditional GANs", CVPR 2018.

    Args:
        scales: The discriminators, from the full scale to the smallest.
        norm: Their normalization.
    """

    def __init__(self, scales: Iterable[nn.Module], norm: Norm) -> None:
        super().__init__()
        self.scales = nn.ModuleList(scales)
        self.norm = norm

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the logits of images ``x``, from the full scale to the smallest."""
        logits = []
        for i, scale in enumerate(self.scales):
            if i > 0:
                x = downsample(x)
            logits.append(scale(x))
        return logits

    def score_batches(self, *batches: Tensor) -> list[list[Tensor]]:
        """Return the logits of each of several batches.

        They pass together, in fewer and fuller steps, unless a batch normalization would make
        samples depend on those of another batch, or they differ in shape.
        """
        alike = len({batch.shape for batch in batches}) == 1
        if self.norm == "batch" or not alike:
            return [self(batch) for batch in batches]
        scales = [scale.chunk(len(batches)) for scale in self(torch.cat(batches))]
        return [list(logits) for logits in zip(*scales, strict=True)]


class MultiScaleDiscriminator(ScaleDiscriminators):
    """Independent patch discriminators, each on an image of half the side of the one before.

    Section 5.1 of Huang et al., 2018; with ``global_discriminator`` a `GlobalDiscriminator` beside
    them, which the paper does not have.

    Args:
        in_channels: Channels of the domain's images.
        dim: Channels after the first convolution; doubled by each further one.
        num_layers: Strided convolutions of each patch discriminator, ``L``.
        num_scales: Number of patch discriminators, ``S``.
        norm: "none", "batch", "instance", "layer" or "spectral", from the second convolution on.
        activation: "relu", "lrelu" (slope 0.2), "prelu", "selu", "tanh" or "none".
        padding_mode: "reflect", "replicate" or "zeros".
        global_discriminator: Have one more discriminator, of the whole image.

    Shape:
        Images ``(N, in_channels, H, W)`` in [-1, 1] to ``S`` maps of logits, the ``i``-th about
        ``(N, 1, H / 2**(L + i), W / 2**(L + i))``; then that of the whole image, ``(N, 1, 1, 1)``.
    """

    @checked
    def __init__(
        self,
        in_channels: PositiveInt = 3,
        dim: PositiveInt = 64,
        num_layers: Depth = 4,
        num_scales: Depth = 3,
        norm: Norm = "none",
        activation: Activation = "lrelu",
        padding_mode: PaddingMode = "reflect",
        global_discriminator: bool = False,
    ) -> None:
        block = partial(ConvBlock, activation=activation, padding_mode=padding_mode)
        widths = [dim * 2**i for i in range(num_layers)]
        super().__init__(
            (
                nn.Sequential(
                    block(in_channels, dim, 4, 2, 1),
                    *(
                        block(before, after, 4, 2, 1, norm=norm)
                        for before, after in pairwise(widths)
                    ),
                    nn.Conv2d(widths[-1], 1, 1),
                )
                for _ in range(num_scales)
            ),
            norm,
        )
        self.num_layers = num_layers
        self.smallest_map = _smallest_map(norm, num_layers)
        self.global_discriminator: GlobalDiscriminator | None = None
        # Drawn last: the patches' weights are the same with it and without.
        if global_discriminator:
            depth = num_layers + num_scales - 1
            self.global_discriminator = GlobalDiscriminator(
                in_channels, dim, depth, norm, activation, padding_mode
            )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the logits of images ``x``: of each scale, then of the global discriminator."""
        logits = super().forward(x)
        if self.global_discriminator is None:
            return logits
        return [*logits, self.global_discriminator(x)]

    def check_size(self, height: int, width: int) -> None:
        """Refuse images that are too small for the smallest scale, or for the global discriminator.

        Raises:
            ValueError: If the last convolution of either has less than two pixels a side to
                reflect, or leaves less than a normalization needs.
        """
        # A strided convolution rounds a side down, and the last one needs two pixels: 2**L at the
        # smallest scale, or twice that for a map of two. Pooling rounds up, so a pixel more than
        # half is enough before each.
        shortest = (self.smallest_map * 2**self.num_layers - 1) * 2 ** (len(self.scales) - 1) + 1
        settings = f"num_layers={self.num_layers} and num_scales={len(self.scales)}"
        if self.global_discriminator is not None:
            shortest = max(shortest, self.global_discriminator.min_size)
            settings += " and global_discriminator"
        if min(height, width) < shortest:
            raise ValueError(
                f"images of {height}x{width} are too small for the discriminator: with {settings} "
                f"both sides must be at least {shortest}"
            )


class GlobalDiscriminator(nn.Module):
    """One discriminator of the whole image, which gives it a single logit.

    After the global discriminator of Iizuka et al., "Globally and Locally Consistent Image
    Completion", SIGGRAPH 2017: strided convolutions until the map is small, then fully connected
    layers; by default as many and as wide as theirs, six of up to 512 channels. So that images of
    any size pass, the map is averaged first. A layer that is not linear follows, or the logit would
    be the mean of patches' logits once more.

    Args:
        in_channels: Channels of the images.
        dim: Channels after the first convolution; doubled by each further one, up to eightfold.
        depth: Strided convolutions. The patch discriminators' on the smallest scale see as small a
            map after ``num_layers + num_scales - 1`` downsampling steps.
        norm: As of `MultiScaleDiscriminator`, from the second convolution on. What follows the
            average is normalized only where that is by its weight.
        activation: As of `MultiScaleDiscriminator`.
        padding_mode: As of `MultiScaleDiscriminator`.

    Attributes:
        min_size: The smallest side, in pixels, that passes.

    Shape:
        Images ``(N, in_channels, H, W)`` in [-1, 1] to logits ``(N, 1, 1, 1)``.
    """

    def __init__(
        self,
        in_channels: int,
        dim: int,
        depth: int,
        norm: Norm,
        activation: Activation,
        padding_mode: PaddingMode,
    ) -> None:
        super().__init__()
        block = partial(ConvBlock, activation=activation, padding_mode=padding_mode)
        widths = [dim * min(2**i, 8) for i in range(depth)]
        self.layers = nn.Sequential(
            block(in_channels, dim, 4, 2, 1),
            *(block(before, after, 4, 2, 1, norm=norm) for before, after in pairwise(widths)),
        )
        of_weight: Norm = "spectral" if norm == "spectral" else "none"
        self.head = nn.Sequential(
            block(widths[-1], widths[-1], 1, norm=of_weight), nn.Conv2d(widths[-1], 1, 1)
        )
        self.min_size = _smallest_map(norm, depth) * 2**depth

    def forward(self, x: Tensor) -> Tensor:
        """Return a logit for each image."""
        return self.head(self.layers(x).mean((2, 3), keepdim=True))


def _smallest_map(norm: Norm, layers: int) -> int:
    """Return the least side of the last map; the first layer is not normalized."""
    # A map of one pixel has no deviation to normalize by (batch normalization: batch of 1).
    return 2 if norm in ("instance", "batch") and layers > 1 else 1


def downsample(x: Tensor) -> Tensor:
    """Return ``x``, ``(N, C, H, W)``, at half the side; its border averages real pixels only."""
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
