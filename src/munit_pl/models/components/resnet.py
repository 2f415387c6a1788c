"""The residual network that translates, of CycleGAN and of BicycleGAN."""

from functools import partial

from torch import Tensor, nn

from munit_pl.layers.blocks import ConvBlock, Norm, ResBlock, make_activation, make_norm, with_style


class ResnetTranslator(nn.Module):
    """An image in, an image of the same size out.

    A 7x7 convolution, two strided ones, residual blocks, two transposed convolutions and a 7x7
    convolution with a tanh; instance normalization and ReLU between them. A
    style is repeated over the image and put beside its channels. The first convolution then goes
    without normalization, which would remove all that a style adds to it.

    Args:
        in_channels: Channels of the image that comes in.
        out_channels: Channels of the image that comes out.
        dim: Channels after the first convolution; doubled by each strided one.
        num_res_blocks: Residual blocks at a quarter of the side.
        style_dim: Length of the style, ``Z``; 0 for none.

    Shape:
        Images ``(N, in_channels, H, W)`` and styles ``(N, Z)`` to images ``(N, out_channels, H,
        W)`` in [-1, 1]; ``H`` and ``W`` divisible by 4.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        dim: int = 64,
        num_res_blocks: int = 9,
        style_dim: int = 0,
    ) -> None:
        super().__init__()
        down = partial(ConvBlock, norm="instance", padding_mode="zeros")
        # A style's maps are constant, so they shift each channel of the first convolution as a
        # whole: instance normalization would subtract just that.
        first_norm: Norm = "none" if style_dim else "instance"
        self.layers = nn.Sequential(
            ConvBlock(in_channels + style_dim, dim, 7, 1, 3, norm=first_norm),
            down(dim, 2 * dim, 3, 2, 1),
            down(2 * dim, 4 * dim, 3, 2, 1),
            *(
                ResBlock(4 * dim, norm="instance", activation="relu", padding_mode="reflect")
                for _ in range(num_res_blocks)
            ),
            TransposedConvBlock(4 * dim, 2 * dim),
            TransposedConvBlock(2 * dim, dim),
            ConvBlock(dim, out_channels, 7, 1, 3, activation="tanh"),
        )

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return ``x`` translated, under the noise ``style``."""
        return self.layers(with_style(x, style))


class TransposedConvBlock(nn.Module):
    """A transposed convolution that doubles the side, instance normalization and a ReLU.

    Args:
        in_dim: Channels in.
        out_dim: Channels out.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_dim, out_dim, 3, 2, padding=1, output_padding=1)
        self.norm = make_norm("instance", out_dim)
        self.activation = make_activation("relu")

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``x``, ``(N, in_dim, H, W)``, to ``(N, out_dim, 2 * H, 2 * W)``."""
        return self.activation(self.norm(self.conv(x)))
