import pytest
import torch

from munit_pl.layers.whitening import EPSILON, RunningWhitening

MEAN = torch.tensor([3.0, -1.0, 0.5])
FACTOR = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-1.0, 0.2, 0.05]])


def draw(n, seed=0, dtype=torch.float32):
    z = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return (MEAN + z @ FACTOR.T).to(dtype)


def trained(dtype=torch.float32, batch=8, updates=2000):
    whitening = RunningWhitening(3).to(dtype)
    for seed in range(updates):
        whitening.update(draw(batch, seed, dtype))
    return whitening


def moments(codes):
    return codes.mean(0), torch.cov(codes.T)


def test_before_the_first_update_it_is_the_identity():
    codes = draw(5)
    whitening = RunningWhitening(3)
    assert torch.equal(whitening.whiten(codes), codes)
    assert torch.equal(whitening.color(codes), codes)


def test_codes_like_those_taken_in_get_mean_0_and_covariance_1():
    mean, covariance = moments(trained().whiten(draw(20_000, 7)))
    torch.testing.assert_close(mean, torch.zeros(3), atol=0.1, rtol=0)
    torch.testing.assert_close(covariance, torch.eye(3), atol=0.15, rtol=0)


def test_draws_from_the_prior_get_the_mean_and_covariance_taken_in():
    whitening = trained()
    z = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(1))
    mean, covariance = moments(whitening.color(z))
    torch.testing.assert_close(mean, MEAN, atol=0.15, rtol=0)
    torch.testing.assert_close(covariance, FACTOR @ FACTOR.T, atol=0.5, rtol=0.1)


@pytest.mark.parametrize(
    ("dtype", "near"), [(torch.float64, 1e-9), (torch.float32, 1e-4), (torch.bfloat16, 0.2)]
)
def test_one_undoes_the_other(dtype, near):
    whitening = trained(dtype, updates=300)
    codes = draw(50, 3, dtype)
    again = whitening.color(whitening.whiten(codes))
    assert again.dtype == dtype
    torch.testing.assert_close(again, codes, atol=near, rtol=near)


def test_the_running_moments_are_those_of_batches_whose_weights_fall_by_a_hundredth():
    whitening = RunningWhitening(3).double()
    batches = [draw(4, seed, torch.float64) for seed in range(5)]
    for codes in batches:
        whitening.update(codes)
    weights = torch.tensor([0.99 ** (4 - k) for k in range(5)], dtype=torch.float64)
    weights = weights / weights.sum()
    mean = sum(w * x.mean(0) for w, x in zip(weights, batches, strict=True))
    differences = [x - mean for x in batches]
    covariance = sum(w * d.T @ d / 4 for w, d in zip(weights, differences, strict=True))
    torch.testing.assert_close(whitening.mean, mean)
    found = whitening.scale @ whitening.scale.T
    torch.testing.assert_close(found, covariance, rtol=0, atol=4 * EPSILON * covariance.trace())
    assert not torch.allclose(found, covariance, rtol=0, atol=EPSILON / 10)  # which is added
    torch.testing.assert_close(whitening.inverse @ whitening.scale, torch.eye(3).double())


def test_few_batches_are_enough():
    """The identity that it begins with counts for nothing, however small the codes' variance."""
    whitening = RunningWhitening(3)
    for seed in range(40):
        whitening.update(0.1 * draw(4, seed))
    mean, covariance = moments(whitening.whiten(0.1 * draw(20_000, 99)))
    torch.testing.assert_close(mean, torch.zeros(3), atol=0.3, rtol=0)
    torch.testing.assert_close(covariance, torch.eye(3), atol=0.4, rtol=0)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 3e19])
def test_a_batch_with_nan_or_inf_or_squares_that_overflow_changes_nothing(value):
    whitening = trained(updates=3)
    before = {key: buffer.clone() for key, buffer in whitening.state_dict().items()}
    codes = draw(4)
    codes[1, 2] = value
    whitening.update(codes)
    assert all(torch.equal(before[key], buffer) for key, buffer in whitening.state_dict().items())


def test_codes_that_are_all_the_same_leave_it_invertible():
    whitening = RunningWhitening(3)
    for _ in range(5000):
        whitening.update(MEAN.expand(2, -1))
    assert whitening.inverse.isfinite().all()
    torch.testing.assert_close(whitening.color(torch.zeros(1, 3))[0], MEAN)
    assert whitening.inverse.abs().max() == pytest.approx(EPSILON**-0.5, rel=0.05)


def test_codes_of_one_wide_direction_are_taken_in():
    whitening = RunningWhitening(3)
    direction = torch.tensor([1.0, 0.5, -0.2])
    for seed in range(1500):
        z = torch.randn(1, 1, generator=torch.Generator().manual_seed(seed))
        whitening.update(1000 * z * direction + MEAN)
    expected = 1000 * direction.norm()
    assert whitening.scale.norm() == pytest.approx(expected.item(), rel=0.2)


def test_it_takes_codes_of_another_precision_than_its_own():
    whitening = trained(torch.float64, updates=50)
    codes = draw(5)
    torch.testing.assert_close(whitening.color(whitening.whiten(codes)), codes)
    assert whitening.whiten(codes).dtype == torch.float32


def test_autocast_leaves_it_in_single_precision():
    whitening = trained(updates=50)
    codes, other = draw(4), draw(4, 9)
    expected = whitening.whiten(codes)
    twin = trained(updates=50)
    twin.update(other)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(whitening.whiten(codes), expected)
        whitening.update(other)
    assert torch.equal(whitening.scale, twin.scale)
