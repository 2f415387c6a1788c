"""Statistics of codes: linear probes, PCA, and distances from the prior N(0, I)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_PENALTIES = tuple(10.0**power for power in range(-6, 5))  # of ridge regression, per sample
_ROUNDING = 1e-6  # of a code's largest value: what varies less is float32's rounding


def linear_probe(
    codes: Tensor, targets: Tensor, test_codes: Tensor, test_targets: Tensor
) -> Tensor:
    """Return how well each target can be read off codes by a linear map (Alain & Bengio, 2016).

    Ridge regression on standardized codes, for each target with the penalty, among
    10^-6 to 10^4 per sample, whose leave-one-out error on the training samples is the least
    (Allen, 1974); the test samples take no part in any choice.

    Args:
        codes: Training samples' codes, ``(N, D)``, N at least 2.
        targets: What is to be read, ``(N, T)``.
        test_codes: Other samples' codes, ``(M, D)``.
        test_targets: What should be read off them, ``(M, T)``.

    Returns:
        R^2 on the test samples, float64 ``(T,)``: 1 is a perfect reading, 0 one that is no better
        than the test targets' mean, which a reading that is worse falls below. NaN where the test
        targets do not vary.

    Raises:
        ValueError: If shapes do not fit.
    """
    _check_fit(codes, targets, test_codes, test_targets)
    truth = test_targets.double()
    each = [_ridge(codes, target[:, None], test_codes) for target in targets.double().T]
    missed = (truth - torch.cat(each, 1)).square().sum(0)
    varied = (truth - truth.mean(0)).square().sum(0)
    return 1 - missed / varied.where(varied > 0, torch.nan)


def linear_probe_accuracy(
    codes: Tensor, labels: Tensor, test_codes: Tensor, test_labels: Tensor
) -> float:
    """Return the accuracy of a least-squares classifier: `linear_probe` for classes.

    A ridge regression, as there, onto one column per class, 1 for its members and 0 for others;
    the largest column decides.

    Args:
        codes: Training samples' codes, ``(N, D)``, N at least 2.
        labels: Their classes, integers from 0 on, ``(N,)``.
        test_codes: Other samples' codes, ``(M, D)``.
        test_labels: Their classes, ``(M,)``.

    Returns:
        The share of test samples that are given their class, in [0, 1].

    Raises:
        ValueError: If shapes do not fit.
    """
    _check_fit(codes, labels[:, None], test_codes, test_labels[:, None])
    read = _ridge(codes, F.one_hot(labels).double(), test_codes).argmax(1)
    return (read == test_labels).double().mean().item()


def principal_components(codes: Tensor, test_codes: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Show codes along the directions in which those of the training samples vary most.

    Args:
        codes: Training samples' codes, ``(N, D)``, which alone decide the directions.
        test_codes: Other samples' codes, ``(M, D)``.
        most: Directions that are kept, or as many as N samples of D numbers can have.

    Returns:
        Both sets along the directions, float64 ``(N, k)`` and ``(M, k)``.
    """
    x = codes.double()
    mean = x.mean(0)
    kept = min(most, len(x) - 1, x.shape[1])
    axes = torch.linalg.svd(x - mean, full_matrices=False).Vh[:kept].T
    return (x - mean) @ axes, (test_codes.double() - mean) @ axes


def ks_statistics(styles: Tensor) -> Tensor:
    """Return each dimension's Kolmogorov-Smirnov statistic against N(0, 1).

    The largest distance between the share of styles up to a value and the normal distribution's
    there (Massey, 1951). N independent draws from N(0, 1) stay below `ks_bound`, mostly.

    Args:
        styles: ``(N, S)``.

    Returns:
        Float64 ``(S,)`` in [1 / (2 N), 1].
    """
    expected = torch.special.ndtr(styles.double().sort(0).values)
    shares = torch.linspace(0, 1, len(styles) + 1, dtype=torch.float64, device=styles.device)
    above, below = shares[1:, None] - expected, expected - shares[:-1, None]
    return torch.maximum(above, below).amax(0)


def ks_bound(n: int) -> float:
    """Return what 95 of 100 sets of ``n`` draws stay below, for ``n`` above 35 (Massey, 1951)."""
    return 1.358 / math.sqrt(n)


def largest_correlation(styles: Tensor) -> float:
    """Return the largest absolute correlation of two dimensions of styles ``(N, S)``.

    A dimension that does not vary counts as uncorrelated.
    """
    standard = _standardize(styles.double(), styles.double())
    correlation = standard.T @ standard / len(styles)
    return correlation.fill_diagonal_(0).abs().max().item()


def squared_wasserstein(styles: Tensor) -> float:
    """Return the squared 2-Wasserstein distance of N(0, I) to the Gaussian fitted to styles.

    With mean m and covariance C of eigenvalues l, it is ``|m|^2 + sum (sqrt(l) - 1)^2`` (Dowson &
    Landau, 1982, where one covariance is I). Draws from N(0, I) have about
    ``S / N + S (S + 1) / (4 N)``, not 0.

    Args:
        styles: ``(N, S)``, N at least 2. The covariance is the unbiased one.
    """
    x = styles.double()
    mean, dimensions = x.mean(0), x.shape[1]
    covariance = torch.cov(x.T).reshape(dimensions, dimensions)
    deviations = torch.linalg.eigvalsh(covariance).clamp_min(0).sqrt()
    return (mean.square().sum() + (deviations - 1).square().sum()).item()


def correlations(x: Tensor, y: Tensor) -> Tensor:
    """Return the correlation of each column of ``x`` with the same of ``y``, both ``(N, S)``.

    Float64 ``(S,)``; 0 where one of them does not vary.
    """
    x, y = x.double(), y.double()
    return (_standardize(x, x) * _standardize(y, y)).mean(0)


def traversal_change(frames: Tensor) -> float:
    """Return how much images change on a traversal of the style space.

    The mean absolute difference of their values over all pairs of frames, so that neither a way
    that ends where it began counts as none, nor one in more steps as more.

    Args:
        frames: ``(F, C, H, W)`` in [-1, 1], F at least 2.

    Returns:
        In [0, 255]; about 0 for a dimension that the decoder ignores.
    """
    values = frames.double().flatten(1)
    return (torch.pdist(values, p=1).mean() / values.shape[1]).item() * 127.5


def _ridge(codes: Tensor, targets: Tensor, test_codes: Tensor) -> Tensor:
    """Return what ridge regression reads off the test codes, ``(M, T)``, float64.

    All columns share one penalty.
    """
    x, x_test = (_standardize(part.double(), codes.double()) for part in (codes, test_codes))
    mean = targets.mean(0)
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    along = u.T @ (targets - mean)
    errors, weights = [], []
    for penalty in _PENALTIES:
        damped = s.square() + penalty * len(x)
        # Each sample's residual, had it been left out, without another fit for each.
        leverage = u.square() @ (s.square() / damped) + 1 / len(x)
        residuals = targets - mean - u @ (along * (s.square() / damped)[:, None])
        errors.append((residuals / (1 - leverage)[:, None]).square().sum())
        weights.append(vh.T @ (along * (s / damped)[:, None]))
    return mean + x_test @ weights[int(torch.stack(errors).argmin())]


def _standardize(x: Tensor, like: Tensor) -> Tensor:
    """Give each column mean 0 and variance 1 as ``like`` has them; 0 where ``like`` is constant."""
    spread = like.std(0, correction=0)
    varies = spread > _ROUNDING * like.abs().amax(0)
    return (x - like.mean(0)) / spread.where(varies, torch.inf)


def _check_fit(codes: Tensor, targets: Tensor, test_codes: Tensor, test_targets: Tensor) -> None:
    shapes = [tuple(part.shape) for part in (codes, targets, test_codes, test_targets)]
    if any(len(shape) != 2 for shape in shapes) or not (
        codes.shape[1:] == test_codes.shape[1:]
        and targets.shape[1:] == test_targets.shape[1:]
        and len(codes) == len(targets) >= 2
        and len(test_codes) == len(test_targets) >= 1
    ):
        raise ValueError(
            "a probe needs codes (N, D), targets (N, T), N at least 2, test codes (M, D) and test "
            f"targets (M, T), but got {', '.join(map(str, shapes))}"
        )
