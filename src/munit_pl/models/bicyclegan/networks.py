"""BicycleGAN's networks: a translator that is given a style, and an encoder of images to styles.

Zhu et al., "Toward Multimodal Image-to-Image Translation", NIPS 2017; what the paper leaves open is
as in the networks that its authors published. A style is the paper's latent code ``z``.
"""

from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munit_pl.checks import Below1, Depth, PositiveInt, checked
from munit_pl.layers.blocks import ConvBlock, Norm, make_norm, with_style
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.components.patch_discriminator import PatchDiscriminator
from munit_pl.models.components.resnet import ResnetTranslator

Network = Literal["unet", "resnet"]
Inject = Literal["all", "input"]

WIDEST_TRANSLATOR = 8  # times the first width
WIDEST_ENCODER = 4


class UNetTranslator(nn.Module):
    """A U-Net from images of one domain and styles to images of the other.

    Section 4 of the paper. The convolutions are 4x4 and halve the side on the way down, transposed
    ones double it on the way up, where each also sees what the way down had at its resolution.

    Args:
        in_channels: Channels of the images translated from.
        out_channels: Channels of the images translated to.
        dim: Channels after the first convolution; doubled by each further one, up to eightfold.
        style_dim: Length of the style code.
        num_downsample: Downsampling steps, ``D``: 8 for images of 256x256.
        where: "all": the style is concatenated to the input of each convolution on the way down;
            "input": to the image alone.
        dropout: The share of values dropped in training, on the way up between maps of full width.

    Shape:
        ``(N, in_channels, H, W)`` and ``(N, style_dim)`` to ``(N, out_channels, H, W)`` in [-1, 1];
        ``H`` and ``W`` divisible by ``2**D``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dim: int,
        style_dim: int,
        num_downsample: int,
        where: Inject = "all",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.where = where
        widths = [dim * min(2**i, WIDEST_TRANSLATOR) for i in range(num_downsample)]
        lowest = num_downsample - 1
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        for i, (before, after) in enumerate(pairwise([in_channels, *widths])):
            styled = style_dim if i == 0 or where == "all" else 0
            conv = nn.Conv2d(before + styled, after, 4, 2, 1)
            # Images of 2**D pixels have a lowest map of one pixel, of which no norm would be left.
            norm = make_norm("instance" if 0 < i < lowest else "none", after)
            self.down.append(nn.Sequential(conv, norm))
        for i, (before, after) in enumerate(pairwise([out_channels, *widths])):
            skipped = 0 if i == lowest else after
            conv_up = nn.ConvTranspose2d(after + skipped, before, 4, 2, 1)
            end = nn.Tanh() if i == 0 else make_norm("instance", before)
            drops = before == after and i < lowest
            last = nn.Dropout(dropout) if drops else nn.Identity()
            self.up.append(nn.Sequential(nn.ReLU(), conv_up, end, last))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Translate ``x`` under ``style``."""
        skips = [self.down[0](with_style(x, style))]
        for down in list(self.down)[1:]:
            wide = with_style(skips[-1], style) if self.where == "all" else skips[-1]
            skips.append(down(F.leaky_relu(wide, 0.2)))
        x = skips.pop()
        for up in reversed(list(self.up)[1:]):
            x = torch.cat([up(x), skips.pop()], 1)
        return self.up[0](x)


class ResnetEncoder(nn.Module):
    """Where in the space of styles an image may lie: a normal distribution for each image.

    The encoder ``E`` of section 4: a strided convolution, residual blocks of which each halves the
    side, and an average over what is left.

    Args:
        in_channels: Channels of the image.
        dim: Channels after the first convolution; the blocks have 2, 3 and then 4 times as many.
        style_dim: Length of the style code.
        num_downsample: Downsampling steps, ``D``: 5 for images of 256x256, of which the first is
            the convolution's.

    Shape:
        ``(N, in_channels, H, W)`` to ``(N, style_dim)``; ``H`` and ``W`` at least ``2**D``.
    """

    def __init__(self, in_channels: int, dim: int, style_dim: int, num_downsample: int) -> None:
        super().__init__()
        widths = [dim * min(i + 1, WIDEST_ENCODER) for i in range(num_downsample)]
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, dim, 4, 2, 1),
            *(HalvingResBlock(before, after) for before, after in pairwise(widths)),
            nn.LeakyReLU(0.2),
        )
        self.mean = nn.Linear(widths[-1], style_dim)
        self.log_variance = nn.Linear(widths[-1], style_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return the most likely styles of images in [-1, 1]: their distributions' means."""
        return self.distribution(x)[0]

    def distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance, for each image and component of the style."""
        pooled = self.layers(x).mean((2, 3))
        return self.mean(pooled), self.log_variance(pooled)


class HalvingResBlock(nn.Module):
    """A residual block that normalizes and rectifies before its convolutions and halves the side.

    Args:
        in_dim: Channels in.
        out_dim: Channels out.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            make_norm("instance", in_dim),
            nn.LeakyReLU(0.2, inplace=True),
            ConvBlock(
                in_dim,
                in_dim,
                3,
                padding=1,
                norm="instance",
                activation="lrelu",
                padding_mode="zeros",
            ),
            nn.Conv2d(in_dim, out_dim, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(in_dim, out_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``x``, ``(N, in_dim, H, W)``, to ``(N, out_dim, H // 2, W // 2)``."""
        return F.avg_pool2d(self.layers(x), 2) + self.shortcut(F.avg_pool2d(x, 2))


class BicycleGANGenerator(DomainGenerator):
    """One domain's side: the network that translates to it, and the encoder that reads its styles.

    The two directions share nothing: the paper's ``G`` and ``E`` from a to b are ``decoder`` and
    ``style_encoder`` of domain b's generator, those of domain a's translate from b. Images are
    their own content, and a style read from an image is the mean of its distribution.

    Args:
        in_channels: Channels of the domain's own images, which it makes and encodes.
        other_channels: Channels of the other domain's images, which it translates.
        dim: Channels after the translator's first convolution.
        style_dim: Length of the style code.
        network: The translator: "unet" (`UNetTranslator`) or "resnet" (`ResnetTranslator`).
        num_downsample: Downsampling steps of the U-Net; a residual network has two.
        inject: Where the U-Net is given the style, "all" or "input"; the residual network's place
            is its input.
        dropout: The share of values that the U-Net's lower blocks drop in training: a half as in
            the authors' scripts.
        num_res_blocks: Residual blocks of the residual network.
        encoder_dim: Channels after the encoder's first convolution.
        encoder_downsample: Downsampling steps of the encoder.

    Attributes:
        size_divisor: What both sides of an image must be multiples of: ``2**num_downsample`` for
            the U-Net, 4 for the residual network.
        min_size: The smallest side, in pixels, that both networks can read.

    Raises:
        ValueError: If a size is below 1, or a name is not known.
    """

    style_encoder: ResnetEncoder

    @checked
    def __init__(
        self,
        in_channels: PositiveInt = 3,
        other_channels: PositiveInt = 3,
        dim: PositiveInt = 64,
        style_dim: PositiveInt = 8,
        network: Network = "unet",
        num_downsample: Depth = 8,
        inject: Inject = "all",
        dropout: Below1 = 0.5,
        num_res_blocks: Depth = 9,
        encoder_dim: PositiveInt = 64,
        encoder_downsample: Depth = 5,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "in_channels": in_channels,
            "other_channels": other_channels,
            "dim": dim,
            "style_dim": style_dim,
            "num_downsample": num_downsample,
            "num_res_blocks": num_res_blocks,
            "encoder_dim": encoder_dim,
            "encoder_downsample": encoder_downsample,
            "network": network,
            "inject": inject,
            "dropout": dropout,
        }
        self.in_channels = in_channels
        self.style_dim = style_dim
        self.content_encoder = nn.Identity()
        self.style_encoder = ResnetEncoder(in_channels, encoder_dim, style_dim, encoder_downsample)
        if network == "unet":
            self.size_divisor = smallest = 2**num_downsample
            self.decoder = UNetTranslator(
                other_channels, in_channels, dim, style_dim, num_downsample, inject, dropout
            )
        else:
            # A residual block reflects a pixel at a quarter of the side, beside a second one.
            self.size_divisor, smallest = 4, 8
            self.decoder = ResnetTranslator(
                other_channels, in_channels, dim, num_res_blocks, style_dim
            )
        self.min_size = max(smallest, 2**encoder_downsample)


class BicycleGANTranslator(DomainGenerator):
    """One domain's U-Net without the encoder, as the authors' program keeps it in a file.

    Args:
        in_channels: As of `BicycleGANGenerator`, like all others.
        other_channels: Channels of the images that it translates.
        dim: Channels after the first convolution.
        style_dim: Length of the style code.
        num_downsample: Downsampling steps.
        inject: Where the style goes in.
    """

    method = "BicycleGAN"

    @checked
    def __init__(
        self,
        in_channels: PositiveInt,
        other_channels: PositiveInt,
        dim: PositiveInt,
        style_dim: PositiveInt,
        num_downsample: Depth,
        inject: Inject,
    ) -> None:
        super().__init__()
        self.arguments = {
            "in_channels": in_channels,
            "other_channels": other_channels,
            "dim": dim,
            "style_dim": style_dim,
            "num_downsample": num_downsample,
            "inject": inject,
        }
        self.in_channels = in_channels
        self.style_dim = style_dim
        self.size_divisor = self.min_size = 2**num_downsample
        self.content_encoder = nn.Identity()
        self.style_encoder = None
        self.decoder = UNetTranslator(
            other_channels, in_channels, dim, style_dim, num_downsample, inject
        )


class BranchDiscriminators(nn.Module):
    """One domain's two discriminators; neither sees what an image was translated from.

    Args:
        in_channels: Channels of the domain's images.
        dim: See `PatchDiscriminator`, as of the other arguments.

    Attributes:
        encoded: Scores translations under styles that were read from an image.
        random: Scores translations under styles that were drawn.
    """

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        dim: PositiveInt = 64,
        num_layers: Depth = 3,
        num_scales: Depth = 2,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        self.encoded = PatchDiscriminator(in_channels, dim, num_layers, num_scales, norm)
        self.random = PatchDiscriminator(in_channels, dim, num_layers, num_scales, norm)

    def check_size(self, height: int, width: int) -> None:
        """Raise a `ValueError` if images of this size are too small."""
        self.encoded.check_size(height, width)


def small_xavier(network: nn.Module) -> None:
    """Draw weights as published: Glorot & Bengio's normal ones with a gain of 0.02; biases 0.

    Spectrally normalized weights stay as they are: their scale is fixed anyway.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight, gain=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
