"""Normalizations of feature maps, whose statistics are in fp32 whatever the type of the maps."""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munit_pl.layers.autocast import to_float32


def adain(x: Tensor, shift: Tensor, scale: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalize every channel map of ``x``, then scale and shift it.

    Adaptive instance normalization (Huang & Belongie, 2017). The statistics are those of each
    map alone, in training and in evaluation, with the biased variance.

    Args:
        x: Features, ``(N, C, H, W)``.
        shift: Added per sample and channel, ``(N, C)``.
        scale: Multiplied per sample and channel, ``(N, C)``. It is used as it is: no 1 is added.
        eps: Added to the variance before the root.

    Returns:
        Features of the shape and type of ``x``.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    return _by_map(x, scale.reshape(-1).to(wide), shift.reshape(-1).to(wide), eps)


class InstanceNorm2d(nn.InstanceNorm2d):
    """PyTorch's, without an affine map; what it returns to be differentiated is no view."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize every channel map of ``x``, ``(N, C, H, W)``."""
        if torch.compiler.is_compiling() or not x.requires_grad:
            return super().forward(x)
        return _by_map(x, None, None, self.eps)


def _by_map(x: Tensor, scale: Tensor | None, shift: Tensor | None, eps: float) -> Tensor:
    """Normalize every channel map of ``x``; scale and shift, ``(N * C,)``, follow."""
    n, c, h, w = x.shape
    # One sample's channels and another's are alike to batch_norm once the batch is folded into
    # the channels; it sums in fp32 whatever the type of x, and applies scale and shift on the way.
    folded = x.reshape(1, n * c, h, w)
    y = F.batch_norm(folded, None, None, scale, shift, training=True, eps=eps)
    # No view to autograd: of a view that an activation then changes in place, it would clone the
    # gradient, and copy it twice.
    return cast(Tensor, torch.ops.aten._unsafe_view(y, x.shape))


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalize each sample over channels and pixels together, then scale and shift channels.

    MUNIT's own layer normalization. It is neither ``nn.LayerNorm`` nor ``nn.GroupNorm(1)``: the
    standard deviation is unbiased (n - 1), and ``eps`` is added to it, outside the root.

    Args:
        x: Features, ``(N, C, H, W)``.
        gamma: Scale of each channel, ``(C,)``.
        beta: Shift of each channel, ``(C,)``.
        eps: Added to the standard deviation.

    Returns:
        Features of the shape and type of ``x``.
    """
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        return _LayerNorm.apply(x, gamma, beta, eps)
    wide = to_float32(x)
    std, mean = torch.std_mean(wide, dim=(1, 2, 3), keepdim=True)
    scale = gamma[:, None, None] / (std + eps)
    return torch.addcmul(beta[:, None, None], wide - mean, scale).to(x.dtype)


class _LayerNorm(torch.autograd.Function):
    """`layer_norm` by the CPU's kernels for batch normalization, each a single pass over memory.

    The batch is folded into the channels, whose moments are merged into those of each sample. Of
    the maps, nothing but ``x`` is kept for the gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
        n, c, h, w = x.shape
        nothing = torch.zeros(n * c, dtype=torch.promote_types(x.dtype, torch.float32))
        moments = torch.batch_norm_update_stats(_folded(x), nothing, nothing.clone(), 1.0)
        means, variances = (moment.view(n, c) for moment in moments)
        mean = means.mean(1, keepdim=True)
        squares = variances + (means - mean).square()
        std = (squares.sum(1, keepdim=True) * (h * w / (c * h * w - 1))).sqrt()
        ctx.save_for_backward(x, gamma, mean, std)
        ctx.eps = eps
        return _affine(x, mean, gamma / (std + eps), beta.expand(n, c))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, gamma, mean, std = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again, which the kernels below cannot be
            return *_layer_norm_gradients(x, gamma, grad, ctx.eps), None
        n, c, h, w = x.shape
        inverse, count = 1 / (std + ctx.eps), c * h * w
        one = torch.ones(n * c, dtype=mean.dtype)
        _, products, sums = torch.ops.aten.native_batch_norm_backward(
            _folded(grad), _folded(x), one, None, None, mean.expand(n, c).reshape(-1), one, True,
            0.0, [False, True, True],
        )  # fmt: skip
        products, sums = products.view(n, c), sums.view(n, c)  # of grad * (x - mean), of grad
        # With y = gamma * (x - mean) * inverse + beta: through the values themselves, through the
        # deviation, whose derivative is (x - mean) / ((count - 1) * std), and through the mean.
        smallest = torch.finfo(std.dtype).tiny  # where all values are one, their products are 0
        by_std = (gamma * products).sum(1, keepdim=True) * inverse.square()
        by_std /= (count - 1) * std.clamp_min(smallest)
        by_mean = (gamma * sums).sum(1, keepdim=True) * inverse / count
        through = _affine(x, mean, -by_std.expand(n, c), -by_mean.expand(n, c))
        through += _affine(grad, torch.zeros_like(mean), gamma * inverse, torch.zeros_like(sums))
        return through, (products * inverse).sum(0), sums.sum(0), None


def _layer_norm_gradients(
    x: Tensor, gamma: Tensor, grad: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return `layer_norm`'s gradients by ``x``, ``gamma`` and ``beta``, in plain operations."""
    each, wide, upstream = (1, 2, 3), to_float32(x), to_float32(grad)
    std, mean = torch.std_mean(wide, dim=each, keepdim=True)
    centered, inverse = wide - mean, 1 / (std + eps)
    along = gamma[:, None, None] * upstream * inverse
    smallest = torch.finfo(std.dtype).tiny
    by_std = (along * centered).sum(each, keepdim=True) * inverse
    by_std = by_std / ((x[0].numel() - 1) * std.clamp_min(smallest))
    by_x = along - along.mean(each, keepdim=True) - by_std * centered
    of_channels = (0, 2, 3)
    by_gamma = (upstream * centered * inverse).sum(of_channels)
    return by_x.to(x.dtype), by_gamma.to(gamma.dtype), upstream.sum(of_channels).to(gamma.dtype)


def _folded(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.reshape(1, n * c, h, w)


def _affine(x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return ``(x - mean) * scale + shift``; means ``(N, 1)``, the others ``(N, C)``."""
    n, c, h, w = x.shape
    means, ones = mean.expand(n, c).reshape(-1), torch.ones(n * c, dtype=mean.dtype)
    scale, shift = scale.reshape(-1), shift.reshape(-1).to(mean.dtype)
    # Not a view, which what follows could not change in place.
    # Not by torch.nn.functional, which in torch 2.10 refuses an eps of 0.
    y = torch.batch_norm(_folded(x), scale, shift, means, ones, False, 0.0, 0.0, False)
    return y.resize_(n, c, h, w)


class LayerNorm(nn.Module):
    """`layer_norm` with a learnt scale, drawn from U[0, 1), and a learnt shift, zero at first.

    Args:
        dim: Number of channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``x``, ``(N, dim, H, W)``."""
        return layer_norm(x, self.gamma, self.beta)
