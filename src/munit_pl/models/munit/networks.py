"""MUNIT's generator: two encoders and a decoder for each domain.

Shapes are those of Huang et al., "Multimodal Unsupervised Image-to-Image Translation", ECCV 2018.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from munit_pl.checks import Depth, NumDownsample, PositiveInt, checked
from munit_pl.layers.activation_recomputation import Recomputable
from munit_pl.layers.blocks import (
    Activation,
    AdaINResBlock,
    ConvBlock,
    UpBlock,
    make_activation,
    normalize_convolutions,
)
from munit_pl.layers.padding import PaddingMode
from munit_pl.layers.whitening import RunningWhitening
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.components.content_encoder import ContentEncoder

STYLE_DOWNSAMPLINGS = 4  # fixed, whatever the content code's


class StyleEncoder(Recomputable):
    """The look of an image within its domain: a short vector, averaged over the image.

    No normalization, since instance normalization would remove the means and deviations that
    carry the style. The side is halved four times, whatever the content encoder does.

    Args:
        in_channels: Channels of the image.
        dim: Channels after the first convolution; doubled by each of the first two
            downsampling steps.
        style_dim: Length of the style code.
        activation: Activation of every block.
        padding_mode: What the convolutions' added pixels hold.
        whitening: Whitens what is returned in eval mode.

    Shape:
        ``(N, in_channels, H, W)`` to ``(N, style_dim)``.
    """

    def __init__(
        self,
        in_channels: int,
        dim: int,
        style_dim: int,
        activation: Activation,
        padding_mode: PaddingMode,
        whitening: RunningWhitening | None = None,
    ) -> None:
        super().__init__()
        self.whitening = whitening
        block = partial(ConvBlock, activation=activation, padding_mode=padding_mode)
        widths = [dim, 2 * dim] + [4 * dim] * (STYLE_DOWNSAMPLINGS - 1)
        self.layers = nn.Sequential(
            block(in_channels, dim, 7, 1, 3),
            *(block(before, after, 4, 2, 1) for before, after in pairwise(widths)),
        )
        self.head = nn.Conv2d(4 * dim, style_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the style code of images in [-1, 1]."""
        return self.read(self.run(self.layers, x).mean((2, 3), keepdim=True))

    def read(self, pooled: Tensor) -> Tensor:
        """Return the style code of features' means over an image, ``(N, 4 * dim, 1, 1)``."""
        style = self.head(pooled).flatten(1)
        return style if self.training or self.whitening is None else self.whitening.whiten(style)


class Decoder(Recomputable):
    """Content and style put back together.

    An MLP turns the style into the shift and scale of every adaptive instance
    normalization; they are passed on as arguments, so a decoder holds no state between calls.

    Args:
        out_channels: Channels of the image.
        dim: Channels before the last convolution, as in the encoder.
        style_dim: Length of the style code.
        mlp_dim: Width of the MLP's two hidden layers.
        num_upsample: Upsampling steps, ``D``: each doubles the side.
        num_res_blocks: Residual blocks, two normalizations each, at the lowest resolution.
        activation: Activation of every block.
        padding_mode: What the convolutions' added pixels hold.
        whitening: Colors the styles that are given in eval mode.

    Shape:
        Content ``(N, dim * 2**D, h, w)`` and style ``(N, style_dim)`` to images
        ``(N, out_channels, h * 2**D, w * 2**D)`` in [-1, 1].
    """

    def __init__(
        self,
        out_channels: int,
        dim: int,
        style_dim: int,
        mlp_dim: int,
        num_upsample: int,
        num_res_blocks: int,
        activation: Activation,
        padding_mode: PaddingMode,
        whitening: RunningWhitening | None = None,
    ) -> None:
        super().__init__()
        self.whitening = whitening
        width = dim * 2**num_upsample
        self.mlp = nn.Sequential(
            nn.Linear(style_dim, mlp_dim),
            make_activation(activation),
            nn.Linear(mlp_dim, mlp_dim),
            make_activation(activation),
            nn.Linear(mlp_dim, num_res_blocks * 4 * width),
        )
        self.res_blocks = nn.ModuleList(
            AdaINResBlock(width, activation=activation, padding_mode=padding_mode)
            for _ in range(num_res_blocks)
        )
        # Layer normalization from here: the instance's would undo the style's statistics.
        widths = [width // 2**i for i in range(num_upsample + 1)]
        self.up_blocks = nn.ModuleList(
            UpBlock(before, after, norm="layer", activation=activation, padding_mode=padding_mode)
            for before, after in pairwise(widths)
        )
        self.to_image = ConvBlock(
            dim, out_channels, 7, padding=3, activation="tanh", padding_mode=padding_mode
        )

    def affine_maps(self, style: Tensor) -> list[tuple[Tensor, ...]]:
        """Return what each residual block takes from styles: four ``(N, dim * 2**D)``, in fp32."""
        if not self.training and self.whitening is not None:
            style = self.whitening.color(style)
        flat = self.mlp(style)
        maps = flat.view(flat.shape[0], 4 * len(self.res_blocks), -1).transpose(0, 1)
        # All at once, as normalizations want them.
        each = maps.to(torch.promote_types(flat.dtype, torch.float32)).contiguous().unbind()
        return [each[i : i + 4] for i in range(0, len(each), 4)]

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Return the images that show ``content`` in ``style``."""
        x = content
        for res_block, affine in zip(self.res_blocks, self.affine_maps(style), strict=True):
            x = self.run(res_block, x, affine)
        for up_block in self.up_blocks:
            x = self.run(up_block, x)
        return self.run(self.to_image, x)


class AdaINGenerator(DomainGenerator):
    """One domain's auto-encoder: split an image into content and style, and put it back together.

    Args:
        in_channels: Channels of the domain's images, in and out.
        dim: Channels after the first convolution.
        style_dim: Length of the style code.
        mlp_dim: Width of the MLP that turns a style into normalization parameters.
        num_downsample: Downsampling steps of the content encoder, ``D``.
        num_res_blocks: Residual blocks of the content encoder, and of the decoder.
        activation: "relu", "lrelu" (slope 0.2), "prelu", "selu", "tanh" or "none".
        padding_mode: "reflect", "replicate" or "zeros".
        spectral: Normalize all convolutions' weights spectrally, as Zhang et al., "Self-Attention
            Generative Adversarial Networks", ICML 2019, do in generators too. Not the MLP's:
            with three layers of norm 1, what a style changes of all AdaIN parameters together
            would be no longer than the style.
        whiten_styles: In eval mode, take and return styles whitened by those of the images trained
            on (`RunningWhitening`), so that one drawn from N(0, I) is like theirs. Training is what
            it is without.

    Shape:
        Images ``(N, in_channels, H, W)`` in [-1, 1]; ``H`` and ``W`` divisible by ``2**D``.
        Content ``(N, dim * 2**D, H / 2**D, W / 2**D)``; style ``(N, style_dim)``.
    """

    method = "MUNIT"

    content_encoder: ContentEncoder
    style_encoder: StyleEncoder
    decoder: Decoder

    @checked
    def __init__(
        self,
        in_channels: PositiveInt = 3,
        dim: PositiveInt = 64,
        style_dim: PositiveInt = 8,
        mlp_dim: PositiveInt = 256,
        num_downsample: NumDownsample = 2,
        num_res_blocks: Depth = 4,
        activation: Activation = "relu",
        padding_mode: PaddingMode = "reflect",
        spectral: bool = False,
        whiten_styles: bool = False,
    ) -> None:
        super().__init__()
        self.arguments = {
            "in_channels": in_channels,
            "dim": dim,
            "style_dim": style_dim,
            "mlp_dim": mlp_dim,
            "num_downsample": num_downsample,
            "num_res_blocks": num_res_blocks,
            "activation": activation,
            "padding_mode": padding_mode,
            "spectral": spectral,
            "whiten_styles": whiten_styles,
        }
        self.in_channels = in_channels
        self.style_dim = style_dim
        self.size_divisor = 2**num_downsample
        # The style encoder pads one pixel before its last halving, the residual blocks one pixel
        # at the content code's side; a reflected pixel needs a second one beside it.
        self.min_size = max(2 * self.size_divisor, 2**STYLE_DOWNSAMPLINGS)
        self.content_encoder = ContentEncoder(
            in_channels, dim, num_downsample, num_res_blocks, activation, padding_mode
        )
        whitening = RunningWhitening(style_dim) if whiten_styles else None
        self.style_encoder = StyleEncoder(
            in_channels, dim, style_dim, activation, padding_mode, whitening
        )
        self.decoder = Decoder(
            in_channels,
            dim,
            style_dim,
            mlp_dim,
            num_downsample,
            num_res_blocks,
            activation,
            padding_mode,
            whitening,
        )
        if spectral:
            normalize_convolutions(self)

    def track_styles(self, styles: Tensor) -> None:
        """Take what training encoded of real images, ``(N, style_dim)``, into the whitening."""
        if self.style_encoder.whitening is not None:
            self.style_encoder.whitening.update(styles)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` encoded and decoded again."""
        return self.decode(*self.encode(x))
