"""The content encoder, of MUNIT and of UNIT."""

from functools import partial

from torch import Tensor, nn

from munit_pl.layers.activation_recomputation import Recomputable
from munit_pl.layers.blocks import Activation, ConvBlock, ResBlock
from munit_pl.layers.padding import PaddingMode


class ContentEncoder(Recomputable):
    """What is where in an image: a map of features without the domain's look.

    Args:
        in_channels: Channels of the image.
        dim: Channels after the first convolution; doubled by each halving of the side.
        num_downsample: Downsampling steps, each of which halves the side, ``D``.
        num_res_blocks: Residual blocks at the lowest resolution.
        activation: Activation of every block.
        padding_mode: What the convolutions' added pixels hold.

    Shape:
        ``(N, in_channels, H, W)`` to ``(N, dim * 2**D, H / 2**D, W / 2**D)``.
    """

    def __init__(
        self,
        in_channels: int,
        dim: int,
        num_downsample: int,
        num_res_blocks: int,
        activation: Activation,
        padding_mode: PaddingMode,
    ) -> None:
        super().__init__()
        block = partial(
            ConvBlock, norm="instance", activation=activation, padding_mode=padding_mode
        )
        layers: list[nn.Module] = [block(in_channels, dim, 7, 1, 3)]
        for _ in range(num_downsample):
            layers.append(block(dim, 2 * dim, 4, 2, 1))
            dim *= 2
        self.layers = nn.Sequential(*layers)
        self.res_blocks = nn.Sequential(
            *(
                ResBlock(dim, norm="instance", activation=activation, padding_mode=padding_mode)
                for _ in range(num_res_blocks)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the content code of images in [-1, 1]."""
        x = self.run(self.layers, x)
        for res_block in self.res_blocks:
            x = self.run(res_block, x)
        return x
