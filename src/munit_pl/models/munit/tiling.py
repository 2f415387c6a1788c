"""The generator's networks layer by layer, each layer tile by tile, for images too large at once.

A feature map lies whole in host memory, and only tiles of it visit the device that holds the
weights. A tile is read with the margin that the next kernel needs, padded at the image's border
alone, and normalized with the statistics of the whole map, which are gathered while the map is
made. So every layer gives what it gives untiled, but for rounding, and there are no seams.

Autocast works as ever. Sizes are those that the networks take: see `AdaINGenerator.check_size`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munit_pl.layers.autocast import to_float32
from munit_pl.layers.blocks import AdaINResBlock, ConvBlock, ResBlock, UpBlock
from munit_pl.layers.normalization import LayerNorm
from munit_pl.layers.upsampling import upsample_conv
from munit_pl.models.components.content_encoder import ContentEncoder
from munit_pl.models.munit.networks import Decoder, StyleEncoder

SMALLEST_TILE = 16  # in smaller ones, most of what is read would be margin

Span = tuple[int, int]  # the first row or column, and the one after the last
Pointwise = Callable[[Tensor], Tensor]

_EPS = 1e-5  # what `adain`, `layer_norm` and nn.InstanceNorm2d take unless given
_AS_IT_IS = nn.Identity()


def check_tile(tile: int) -> None:
    """Raise a `ValueError` if tiles of this side, in pixels, are too small to be worth it."""
    if tile < SMALLEST_TILE:
        raise ValueError(f"tile is {tile} pixels, but must be at least {SMALLEST_TILE}")


@torch.no_grad()
def encode_content_tiled(encoder: ContentEncoder, x: Tensor, tile: int) -> Tensor:
    """Return the content code that ``encoder(x)`` gives, in the device memory of a few tiles.

    Args:
        encoder: A content encoder, on the device to compute on.
        x: Images in [-1, 1], ``(N, C, H, W)``; large ones best on the host.
        tile: Side of the tiles, in pixels of what a layer gives.

    Returns:
        Content, in the encoder's shape, on the device of ``x``.

    Raises:
        ValueError: If ``tile`` is below `SMALLEST_TILE`, or an image is too small to halve.
    """
    h = _start(x, encoder, tile)
    for block in cast(Iterable[ConvBlock], encoder.layers):
        h = _block(h, block)
    for res_block in cast(Iterable[ResBlock], encoder.res_blocks):
        h = _sum(h, _block(_block(h, res_block.conv1), res_block.conv2))
    return h.values.to(x.device)


@torch.no_grad()
def encode_style_tiled(encoder: StyleEncoder, x: Tensor, tile: int) -> Tensor:
    """Return the style code that ``encoder(x)`` gives, in the device memory of a few tiles.

    Args:
        encoder: A style encoder, on the device to compute on.
        x: Images in [-1, 1], ``(N, C, H, W)``; large ones best on the host.
        tile: Side of the tiles, in pixels of what a layer gives.

    Returns:
        Styles, ``(N, style_dim)``, on the device of ``x``.

    Raises:
        ValueError: If ``tile`` is below `SMALLEST_TILE`, or an image is too small to halve.
    """
    h = _start(x, encoder, tile)
    for block in cast(Iterable[ConvBlock], encoder.layers):
        h = _block(h, block)
    pooled = h.values.mean((2, 3), keepdim=True)
    return encoder.read(pooled.to(h.device)).to(x.device)


@torch.no_grad()
def decode_tiled(decoder: Decoder, content: Tensor, style: Tensor, tile: int) -> Tensor:
    """Return the images that ``decoder(content, style)`` gives, in the device memory of few tiles.

    Args:
        decoder: A decoder, on the device to compute on.
        content: Content, in the decoder's shape; that of large images best on the host.
        style: Styles, ``(N, style_dim)``.
        tile: Side of the tiles, in pixels of what a layer gives.

    Returns:
        Images in [-1, 1], in the decoder's shape, on the device of ``content``.

    Raises:
        ValueError: If ``tile`` is below `SMALLEST_TILE`.
    """
    x = _start(content, decoder, tile)
    affines = decoder.affine_maps(style.to(x.device))
    res_blocks = cast(Iterable[AdaINResBlock], decoder.res_blocks)
    for res_block, affine in zip(res_blocks, affines, strict=True):
        x = _adain_res_block(x, res_block, affine)
    for up_block in cast(Iterable[UpBlock], decoder.up_blocks):
        x = _block(x, up_block)
    return _block(x, decoder.to_image).values.to(content.device)


@dataclass(frozen=True)
class _Map:
    """A whole feature map, and what has yet to be done to it.

    Attributes:
        values: ``(N, C, H, W)``.
        device: Where its tiles are computed with.
        tile: Side of the tiles of the map that is made from it.
        pending: What each value has still to go through, a function of a tile on ``device``. It
            leaves the tile that it is given as it is, which may be a view of ``values``.
    """

    values: Tensor
    device: torch.device
    tile: int
    pending: Pointwise = _AS_IT_IS

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.values.shape[2:]
        return height, width

    def read(self, rows: Span, columns: Span) -> Tensor:
        """Bring a tile to the device, with nothing left to be done to it."""
        return self.pending(self.values[:, :, slice(*rows), slice(*columns)].to(self.device))

    def read_padded(self, rows: Span, columns: Span, padding_mode: str) -> Tensor:
        """Bring a tile that may reach beyond the map."""
        height, width = self.size
        top, bottom = max(rows[0], 0), min(rows[1], height)
        left, right = max(columns[0], 0), min(columns[1], width)
        x = self.read((top, bottom), (left, right))
        beyond = (left - columns[0], columns[1] - right, top - rows[0], rows[1] - bottom)
        return F.pad(x, beyond, "constant" if padding_mode == "zeros" else padding_mode)

    def make(self, height: int, width: int, compute: Callable[[Span, Span], Tensor]) -> "_Map":
        """Return the map of what ``compute`` gives for the rows and the columns of each tile."""
        made = torch.empty(0)
        for rows, columns in product(_spans(height, self.tile), _spans(width, self.tile)):
            y = compute(rows, columns)
            if not made.numel():  # allocated late, because autocast decides on the type
                made = torch.empty(*y.shape[:2], height, width, dtype=y.dtype)
            made[:, :, slice(*rows), slice(*columns)] = y
        return _Map(made, self.device, self.tile)


class _Moments:
    """Mean and squared deviations of each channel of a map that is seen tile by tile.

    Tiles are merged as Chan, Golub and LeVeque do ("Updating formulae and a pairwise algorithm for
    computing sample variances", 1979), which loses no digits where the mean is far from zero.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.squares = torch.zeros((), dtype=torch.float64)

    def see(self, x: Tensor) -> Tensor:
        """Take a tile into account, and return it."""
        count = x.shape[2] * x.shape[3]
        moments = torch.var_mean(to_float32(x), (2, 3), correction=0, keepdim=True)
        # Merged on the host, because not every device has fp64.
        variance, mean = (moment.cpu().double() for moment in moments)
        total = self.count + count
        distance = mean - self.mean
        self.mean = self.mean + distance * (count / total)
        self.squares = self.squares + variance * count + distance**2 * (self.count * count / total)
        self.count = total
        return x

    def of_channels(self) -> tuple[Tensor, Tensor]:
        """Return each channel's mean and standard deviation as in `adain`: ``(N, C, 1, 1)``."""
        return self.mean, (self.squares / self.count + _EPS).sqrt()

    def of_samples(self) -> tuple[Tensor, Tensor]:
        """Return each sample's mean and standard deviation as in `layer_norm`: ``(N, 1, 1, 1)``."""
        mean = self.mean.mean(1, keepdim=True)
        squares = self.squares + self.count * (self.mean - mean) ** 2
        count = self.count * squares.shape[1]
        return mean, (squares.sum(1, keepdim=True) / (count - 1)).sqrt() + _EPS


def _start(x: Tensor, network: nn.Module, tile: int) -> _Map:
    check_tile(tile)
    return _Map(x, next(network.parameters()).device, tile)


def _block(x: _Map, block: ConvBlock) -> _Map:
    """Compute a block whose norm is one of the generator's: none, of instances, or of layers."""
    match block.norm:
        case nn.Identity():
            return _convolve(x, block, block.activation)
        case LayerNorm(beta=beta, gamma=gamma):
            return _normalized(x, block, _Moments.of_samples, beta, gamma, block.activation)
    zero, one = torch.zeros(1), torch.ones(1)
    return _normalized(x, block, _Moments.of_channels, zero, one, block.activation)


def _adain_res_block(x: _Map, block: AdaINResBlock, affine: Sequence[Tensor]) -> _Map:
    shift1, scale1, shift2, scale2 = affine
    h = _normalized(x, block.conv1, _Moments.of_channels, shift1, scale1, block.activation)
    h = _normalized(h, block.conv2, _Moments.of_channels, shift2, scale2, _AS_IT_IS)
    return _sum(x, h)


def _normalized(
    x: _Map,
    block: ConvBlock,
    statistics: Callable[[_Moments], tuple[Tensor, Tensor]],
    shift: Tensor,
    scale: Tensor,
    activation: Pointwise,
) -> _Map:
    """Convolve, and leave it to the reading to normalize, scale, shift and activate."""
    moments = _Moments()
    y = _convolve(x, block, moments.see)
    mean, deviation = statistics(moments)
    factor = scale.cpu().double()[..., None, None] / deviation
    wide = torch.promote_types(y.values.dtype, torch.float32)
    mean, factor, shift = (t.to(wide).to(y.device) for t in (mean, factor, shift[..., None, None]))

    def pending(stored: Tensor) -> Tensor:
        normal = (to_float32(stored) - mean).mul_(factor).add_(shift)
        return activation(normal.to(stored.dtype))

    return replace(y, pending=pending)


def _convolve(x: _Map, block: ConvBlock, finish: Pointwise) -> _Map:
    """Compute ``finish(block.convolve(x))``; ``finish`` may change what it is given."""
    if isinstance(block, UpBlock):
        return _convolve_doubled(x, block, finish)
    conv = block.conv
    weight = conv.weight  # once, since spectral normalization moves on with every look at it
    side, step, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
    height, width = ((length + 2 * padding - side) // step + 1 for length in x.size)
    if min(height, width) < 1:
        raise ValueError("the image is too small: a side of a feature map comes to nothing")

    def seen_by(span: Span) -> Span:
        return step * span[0] - padding, step * (span[1] - 1) - padding + side

    def compute(rows: Span, columns: Span) -> Tensor:
        seen = x.read_padded(seen_by(rows), seen_by(columns), conv.padding_mode)
        return finish(F.conv2d(seen, weight, conv.bias, conv.stride))

    return x.make(height, width, compute)


def _convolve_doubled(x: _Map, block: UpBlock, finish: Pointwise) -> _Map:
    """Compute ``finish(block.convolve(x))``, where the block doubles the map's side."""
    conv, (height, width) = block.conv, x.size
    weight, bias = conv.weight, conv.bias

    def compute(rows: Span, columns: Span) -> Tensor:
        (top, bottom), (left, right) = _halved(rows, height), _halved(columns, width)
        seen = x.read((top, bottom), (left, right))
        y = upsample_conv(seen, weight, bias, block.padding_mode)
        y = y[:, :, rows[0] - 2 * top : rows[1] - 2 * top]
        return finish(y[..., columns[0] - 2 * left : columns[1] - 2 * left])

    return x.make(2 * height, 2 * width, compute)


def _halved(span: Span, length: int) -> Span:
    """Return what a span of a doubled map is made of, with a margin of one.

    What is made of the margin is not asked for: beyond it, a tile's border is not the map's.
    """
    return max(span[0] // 2 - 1, 0), min(-(-span[1] // 2) + 1, length)


def _sum(x: _Map, y: _Map) -> _Map:
    return x.make(*x.size, lambda rows, columns: x.read(rows, columns) + y.read(rows, columns))


def _spans(length: int, tile: int) -> list[Span]:
    return [(start, min(start + tile, length)) for start in range(0, length, tile)]
