"""UNIT's generator, as the original MUNIT's code has it: MUNIT's without styles."""

from itertools import pairwise

from torch import Tensor, nn

from munit_pl.checks import Depth, NumDownsample, PositiveInt, checked
from munit_pl.layers.blocks import Activation, ConvBlock, ResBlock, UpBlock
from munit_pl.layers.padding import PaddingMode
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.components.content_encoder import ContentEncoder


class UNITDecoder(nn.Module):
    """A code put back into an image: `Decoder` of MUNIT with plain instance normalization.

    Args:
        out_channels: Channels of the image.
        dim: Channels before the last convolution, as in the encoder.
        num_upsample: Upsampling steps, ``D``: each doubles the side.
        num_res_blocks: Residual blocks at the lowest resolution.
        activation: Activation of every block.
        padding_mode: What the convolutions' added pixels hold.

    Shape:
        Code ``(N, dim * 2**D, h, w)`` to images ``(N, out_channels, h * 2**D, w * 2**D)`` in
        [-1, 1].
    """

    def __init__(
        self,
        out_channels: int,
        dim: int,
        num_upsample: int,
        num_res_blocks: int,
        activation: Activation,
        padding_mode: PaddingMode,
    ) -> None:
        super().__init__()
        widths = [dim * 2**i for i in range(num_upsample, -1, -1)]
        self.res_blocks = nn.Sequential(
            *(
                ResBlock(
                    widths[0], norm="instance", activation=activation, padding_mode=padding_mode
                )
                for _ in range(num_res_blocks)
            )
        )
        self.up_blocks = nn.ModuleList(
            UpBlock(before, after, norm="layer", activation=activation, padding_mode=padding_mode)
            for before, after in pairwise(widths)
        )
        self.to_image = ConvBlock(
            dim, out_channels, 7, padding=3, activation="tanh", padding_mode=padding_mode
        )

    def forward(self, code: Tensor, style: Tensor | None = None) -> Tensor:
        """Return the images of ``code``; ``style``, of length 0, is there for other methods."""
        x = self.res_blocks(code)
        for up_block in self.up_blocks:
            x = up_block(x)
        return self.to_image(x)


class UNITGenerator(DomainGenerator):
    """One domain's variational auto-encoder, whose code is the mean of a Gaussian of variance 1.

    Args:
        in_channels: Channels of the domain's images, in and out.
        dim: Channels after the first convolution.
        num_downsample: Downsampling steps of the encoder, ``D``.
        num_res_blocks: Residual blocks of the encoder, and of the decoder.
        activation: "relu", "lrelu" (slope 0.2), "prelu", "selu", "tanh" or "none".
        padding_mode: "reflect", "replicate" or "zeros".

    Shape:
        Images ``(N, in_channels, H, W)`` in [-1, 1]; ``H`` and ``W`` divisible by ``2**D``.
        Codes ``(N, dim * 2**D, H / 2**D, W / 2**D)``.
    """

    content_encoder: ContentEncoder
    decoder: UNITDecoder

    @checked
    def __init__(
        self,
        in_channels: PositiveInt = 3,
        dim: PositiveInt = 64,
        num_downsample: NumDownsample = 2,
        num_res_blocks: Depth = 4,
        activation: Activation = "relu",
        padding_mode: PaddingMode = "reflect",
    ) -> None:
        super().__init__()
        self.arguments = {
            "in_channels": in_channels,
            "dim": dim,
            "num_downsample": num_downsample,
            "num_res_blocks": num_res_blocks,
            "activation": activation,
            "padding_mode": padding_mode,
        }
        self.in_channels = in_channels
        self.style_dim = 0
        self.size_divisor = 2**num_downsample
        # The first convolution reflects three pixels, residual blocks one at the code's side.
        self.min_size = max(2 * self.size_divisor, 4)
        self.content_encoder = ContentEncoder(
            in_channels, dim, num_downsample, num_res_blocks, activation, padding_mode
        )
        self.style_encoder = None
        self.decoder = UNITDecoder(
            in_channels, dim, num_downsample, num_res_blocks, activation, padding_mode
        )
