import pytest
import torch

from munit_pl.layers import padding
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.recipes.base import DiscriminatorPass
from munit_pl.recipes.r1 import R1, gradient_penalty

A, B = torch.tensor(3.0), torch.tensor(5.0)


def linear(x):
    """Two scales: `A` times each pixel, and `B` times the mean of four."""
    return [A * x, B * x.mean((2, 3), keepdim=True)]


def test_the_penalty_of_a_linear_score_is_half_its_squared_slope_whatever_the_image():
    """Each scale's mean has the slope A / 4 and B / 4 at each of four pixels."""
    x = torch.randn(3, 1, 2, 2)
    expected = torch.full((3,), 0.5 * 4 * ((3 + 5) / 4) ** 2)
    torch.testing.assert_close(gradient_penalty(linear, x), expected)


def test_the_penalty_has_the_gradient_of_its_formula():
    """Of the score a * mean(x ** 2) it is 2 * a ** 2 * sum(x ** 2) / n ** 2."""
    a, x = torch.tensor(3.0, requires_grad=True), torch.randn(1, 2, 3, 3)
    penalty = gradient_penalty(lambda images: [a * images.square()], x)
    torch.testing.assert_close(penalty, 2 * a**2 * x.square().sum().view(1) / 18**2)
    (slope,) = torch.autograd.grad(penalty.sum(), a)
    torch.testing.assert_close(slope, 4 * a.detach() * x.square().sum() / 18**2)


def test_each_images_penalty_is_its_own():
    dis = MultiScaleDiscriminator(3, 2, 2, 2)
    x = torch.randn(3, 3, 16, 16)
    is_whole_batch = torch.cat([gradient_penalty(dis, image[None]) for image in x])
    torch.testing.assert_close(gradient_penalty(dis, x), is_whole_batch)


def test_a_term_weighs_each_domain_by_how_often_it_counts():
    x_a, x_b = torch.randn(2, 2, 1, 2, 2)
    one, two = (lambda x: [x]), (lambda x: [2 * x])  # penalties 1/8 and 4/8
    draws = {"r1": torch.tensor([16.0, 16.0])}
    done = DiscriminatorPass((one, two), x_a, x_b, x_a, x_b, (), (), 0.0, draws, {})
    torch.testing.assert_close(R1().discriminator_term(done), torch.tensor([2.0, 8.0]))
    assert R1().discriminator_term(done._replace(draws={})) is None


def test_under_autocast_nothing_is_computed_in_a_half_type():
    dis, x = MultiScaleDiscriminator(3, 2, 2, 2), torch.randn(2, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = gradient_penalty(dis, x)
    assert torch.equal(penalty, gradient_penalty(dis, x))
    assert penalty.dtype == torch.float32


@pytest.mark.parametrize("large", [0, padding.LARGE])
@pytest.mark.parametrize("norm", ["none", "instance", "layer", "spectral"])
def test_its_gradient_is_what_finite_differences_say(norm, large, monkeypatch):
    monkeypatch.setattr(padding, "LARGE", large)  # 0: by this package's own kernels
    dis = MultiScaleDiscriminator(1, 2, 2, 1, norm).double().eval()
    x = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    weight = next(p for p in dis.parameters() if p.ndim == 4)
    (slope,) = torch.autograd.grad(gradient_penalty(dis, x).sum(), weight)
    step, way = 1e-5, torch.randn_like(weight)
    with torch.no_grad():
        weight += step * way
        above = gradient_penalty(dis, x).sum()
        weight -= 2 * step * way
        below = gradient_penalty(dis, x).sum()
    expected = (above - below).detach() / (2 * step)
    torch.testing.assert_close((slope * way).sum(), expected, rtol=1e-4, atol=1e-12)
