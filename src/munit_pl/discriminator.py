"""MUNIT's discriminator: patches of an image judged at several scales."""

from collections.abc import Iterable
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munit_pl.layers import Activation, ConvBlock, Norm, at_least_one
from munit_pl.padding import PaddingMode


class ScaleDiscriminators(nn.Module):
    """Independent discriminators, each on an image of half the side of the one before.

    Subclasses say what one discriminator is; the scales are those of Wang et al., "High-Resolution
    Image Synthesis and Semantic Manipulation with Conditional GANs", CVPR 2018.

    Args:
        scales: The discriminators, from the full scale to the smallest.
        norm: Their normalisation.
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
                x = halve(x)
            logits.append(scale(x))
        return logits

    def judge(self, *batches: Tensor) -> list[list[Tensor]]:
        """Return the logits of each of several batches.

        They pass together, in fewer and fuller steps, unless a batch normalisation would make
        samples depend on those of another batch, or they differ in shape.
        """
        alike = len({batch.shape for batch in batches}) == 1
        if self.norm == "batch" or not alike:
            return [self(batch) for batch in batches]
        scales = [scale.chunk(len(batches)) for scale in self(torch.cat(batches))]
        return [list(logits) for logits in zip(*scales, strict=True)]


class MultiScaleDiscriminator(ScaleDiscriminators):
    """Independent patch discriminators, each on an image of half the side of the one before.

    Section 5.1 of Huang et al., 2018.

    Args:
        in_channels: Channels of the domain's images.
        dim: Channels after the first convolution; doubled by each further one.
        num_layers: Strided convolutions of each patch discriminator, ``L``.
        num_scales: Number of patch discriminators, ``S``.
        norm: "none", "batch", "instance", "layer" or "spectral", from the second convolution on.
        activation: "relu", "lrelu" (slope 0.2), "prelu", "selu", "tanh" or "none".
        padding_mode: "reflect", "replicate" or "zeros".

    Shape:
        Images ``(N, in_channels, H, W)`` in [-1, 1] to ``S`` maps of logits, the ``i``-th about
        ``(N, 1, H / 2**(L + i), W / 2**(L + i))``.
    """

    def __init__(
        self,
        in_channels: int = 3,
        dim: int = 64,
        num_layers: int = 4,
        num_scales: int = 3,
        norm: Norm = "none",
        activation: Activation = "lrelu",
        padding_mode: PaddingMode = "reflect",
    ) -> None:
        at_least_one(in_channels=in_channels, dim=dim, num_layers=num_layers, num_scales=num_scales)
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
        # A map of one pixel has no deviation to normalise by (batch normalisation: batch of 1).
        normalised = norm in ("instance", "batch") and num_layers > 1
        self.smallest_map = 2 if normalised else 1

    def check_size(self, height: int, width: int) -> None:
        """Refuse images that are too small for the smallest scale.

        Raises:
            ValueError: If the last convolution of the last scale has less than two pixels a side
                to reflect, or leaves less than a normalisation needs.
        """
        # A strided convolution rounds a side down, and the last one needs two pixels: 2**L at the
        # smallest scale, or twice that for a map of two. Pooling rounds up, so a pixel more than
        # half is enough before each.
        shortest = (self.smallest_map * 2**self.num_layers - 1) * 2 ** (len(self.scales) - 1) + 1
        if min(height, width) < shortest:
            raise ValueError(
                f"images of {height}x{width} are too small for the discriminator: with num_layers="
                f"{self.num_layers} and num_scales={len(self.scales)} both sides must be at least "
                f"{shortest}"
            )


def halve(x: Tensor) -> Tensor:
    """Return ``x``, ``(N, C, H, W)``, at half the side; its border averages real pixels only."""
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
