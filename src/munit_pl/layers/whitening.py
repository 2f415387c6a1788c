"""Whitening by running statistics: codes to mean 0 and covariance I, and back."""

import torch
from torch import Tensor, nn

from munit_pl.layers.autocast import to_float32, without_autocast

MOMENTUM = 0.01  # the share of each batch in the statistics, once there have been hundreds
EPSILON = 1e-5  # added to variances, and this share of their mean


class RunningWhitening(nn.Module):
    """Codes' mean and covariance over training, and the affine maps that they give.

    What an auto-encoder learnt without a prior encodes to is described afterwards by a normal
    distribution, from which new codes are drawn: ex-post density estimation (Ghosh et al., "From
    Variational to Deterministic Autoencoders", ICLR 2020). `color` makes draws from N(0, I) such
    codes, and `whiten` is its inverse. Before the first `update` both are the identity, which
    counts for nothing afterwards: the moving averages are corrected for their beginning as Adam's
    are (Kingma & Ba, ICLR 2015).

    Args:
        dim: Length of a code.

    Attributes:
        mean: The running mean, ``(dim,)``.
        scale: The Cholesky factor of the running covariance, ``(dim, dim)``.
        inverse: Its inverse.
        weight: That of all batches taken in, scalar in [0, 1): ``1 - (1 - MOMENTUM)**t`` after
            ``t`` of them.
    """

    mean: Tensor
    scale: Tensor
    inverse: Tensor
    weight: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        for name in ("scale", "inverse"):
            self.register_buffer(name, torch.eye(dim))
        self.register_buffer("weight", torch.zeros(()))

    @torch.no_grad()
    def update(self, codes: Tensor) -> None:
        """Take a batch in, ``(N, dim)``; one with NaN/Inf changes nothing."""
        with without_autocast(codes):
            mean, scale = to_float32(self.mean), to_float32(self.scale)
            weight = torch.lerp(to_float32(self.weight), torch.ones_like(mean[0]), MOMENTUM)
            share = MOMENTUM / weight
            eye = torch.eye(len(mean), dtype=scale.dtype, device=scale.device)
            difference = to_float32(codes) - mean
            step = share * difference.mean(0)
            # About the new mean, of which `step` is the way from the old one.
            covariance = difference.T @ difference / len(codes) - torch.outer(step, step) / share
            covariance += EPSILON * (1 + covariance.diagonal().mean()) * eye
            # Whether it failed is told on the device, for nobody to wait.
            scale, failed = torch.linalg.cholesky_ex(torch.lerp(scale @ scale.T, covariance, share))
            inverse = torch.linalg.solve_triangular(scale, eye, upper=False)
        values = mean + step, scale, inverse, weight
        finite = torch.cat([value.flatten() for value in values]).isfinite().all()
        buffers = self.mean, self.scale, self.inverse, self.weight
        for buffer, value in zip(buffers, values, strict=True):
            buffer.copy_(torch.where((failed == 0) & finite, value, buffer))

    def whiten(self, codes: Tensor) -> Tensor:
        """Return codes like those taken in, ``(N, dim)``, with mean 0 and covariance I."""
        with without_autocast(codes):
            wide = to_float32(codes)
            return ((wide - self.mean.to(wide)) @ self.inverse.T.to(wide)).to(codes)

    def color(self, codes: Tensor) -> Tensor:
        """Return codes drawn from N(0, I), ``(N, dim)``, with the mean and covariance taken in."""
        with without_autocast(codes):
            wide = to_float32(codes)
            return (self.mean.to(wide) + wide @ self.scale.T.to(wide)).to(codes)
