"""What is relied on in torchmetrics' Fréchet and kernel distances with a network of one's own."""

import warnings

import pytest
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance


class Linear(nn.Module):
    """Features that are a linear map of the pixels; keeps what it was given."""

    def __init__(self, matrix):
        super().__init__()
        self.register_buffer("matrix", torch.tensor(matrix).double())
        self.num_features = len(matrix)
        self.given = []

    def forward(self, x):
        self.given.append(x)
        return x.double().flatten(1) @ self.matrix.T


def gaussian(mean, covariance, n=50):
    """Pictures of two pixels whose sample mean and unbiased covariance are exactly these."""
    z = torch.randn(n, 2, dtype=torch.float64)
    z = z - z.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(z.T.cov()), z.T, upper=False)
    x = torch.linalg.cholesky(torch.tensor(covariance).double()) @ white
    return (x.T + torch.tensor(mean).double())[:, None, None]


def fid(real, fake, network):
    metric = FrechetInceptionDistance(feature=network)
    for x, is_real in ((real, True), (fake, False)):
        for part in x.split(20):
            metric.update(part, real=is_real)
    return metric.compute().item()


def kid(real, fake, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it keeps all features
        metric = KernelInceptionDistance(feature=Linear([[1.0, 0.0], [0.0, 1.0]]), **kwargs)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return [x.item() for x in metric.compute()]


IDENTITY = ((1.0, 0.0), (0.0, 1.0))


def test_fid_of_gaussians_is_the_closed_form():
    """|(3, 4)|^2 + tr(A) + tr(B) - 2 tr (A B)^0.5 with A = [[2, 1], [1, 2]] and B = diag(1, 4).

    Of a 2 by 2 matrix, tr M^0.5 = (tr M + 2 (det M)^0.5)^0.5; tr AB = 10 and det AB = 12.
    """
    real = gaussian((0.0, 0.0), ((2.0, 1.0), (1.0, 2.0)))
    fake = gaussian((3.0, 4.0), ((1.0, 0.0), (0.0, 4.0)))
    expected = 25 + 4 + 5 - 2 * (10 + 2 * 12**0.5) ** 0.5
    assert fid(real, fake, Linear(IDENTITY)) == pytest.approx(expected, rel=1e-6)


def test_fid_measures_features_and_not_pixels():
    """Twice the first pixel: mean and deviation go from (3, 2) to (6, 4), against (0, 1)."""
    real = gaussian((0.0, 0.0), IDENTITY)
    fake = gaussian((3.0, 7.0), ((4.0, 0.0), (0.0, 9.0)))
    assert fid(real, fake, Linear(((1.0, 0.0),))) == pytest.approx(3**2 + (2 - 1) ** 2)
    assert fid(real, fake, Linear(((2.0, 0.0),))) == pytest.approx(6**2 + (4 - 2) ** 2)


def test_fid_of_a_set_and_itself_is_nothing():
    x = gaussian((1.0, 2.0), ((2.0, 1.0), (1.0, 2.0)))
    assert fid(x, x, Linear(IDENTITY)) == pytest.approx(0, abs=1e-6)


def test_kid_of_two_points_is_the_closed_form():
    """k(x, y) = (x.y / 2 + 1)^3: 27 of (2, 0) with itself, 1 of the origin with any."""
    x = torch.tensor([2.0, 0.0]).expand(10, 1, 1, 2)
    mean, std = kid(torch.zeros(10, 1, 1, 2), x, subsets=3, subset_size=6)
    assert mean == pytest.approx(1 + 27 - 2 * 1)
    assert std == pytest.approx(0)


def test_kid_of_a_set_and_itself_is_below_nothing():
    """It has no bias between independent sets; a set's pairs with itself tell against it.

    Of the origin and (2, 0): 1 between them, and (1 + 1 + 1 + 27) / 4 over all pairs.
    """
    x = torch.tensor([[0.0, 0.0], [2.0, 0.0]])[:, None, None]
    assert kid(x, x, subsets=1, subset_size=2)[0] == pytest.approx(1 + 1 - 2 * 7.5)
    same = torch.ones(8, 1, 1, 2)
    assert kid(same, same, subsets=1, subset_size=8)[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", [FrechetInceptionDistance, KernelInceptionDistance])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_network_of_ones_own_is_given_images_as_they_are(metric, normalize):
    network = Linear(IDENTITY)
    x = 2 * torch.rand(4, 1, 1, 2) - 1
    metric(feature=network, normalize=normalize).update(x, real=True)
    assert network.given[-1] is x


@pytest.mark.parametrize("metric", [FrechetInceptionDistance, KernelInceptionDistance])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_torchmetrics_saves_the_network_along_with_the_model(metric):
    """Unlike `NetworkMetric`: such a metric must not be an attribute of a model that is saved."""
    assert list(metric(feature=Linear(IDENTITY)).state_dict()) == ["inception.matrix"]
