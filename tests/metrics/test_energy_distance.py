import pytest
import torch

from munit_pl.metrics.energy_distance import energy_distance


def test_two_point_masses_are_twice_their_distance_apart():
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[4.0, 6.0]])  # 5 apart
    assert energy_distance(x, y).item() == 10.0
    assert energy_distance(x.expand(3, 2), y.expand(7, 2)).item() == pytest.approx(10.0)


def test_pairs_of_a_point_with_itself_count():
    """E|X - Y| = 1 and E|X - X'| = (0 + 2 + 2 + 0) / 4; a U-statistic would give 2 - 2 = 0."""
    x, y = torch.tensor([[-1.0], [1.0]]), torch.zeros(1, 1)
    assert energy_distance(x, y).item() == pytest.approx(1.0)


def test_a_set_is_at_no_distance_from_itself():
    x = torch.randn(20, 3)
    assert energy_distance(x, x).item() == 0.0


def test_it_does_not_matter_how_far_from_the_origin_the_points_are():
    x, y = torch.randn(30, 3, dtype=torch.float64), torch.randn(40, 3, dtype=torch.float64)
    expected = energy_distance(x, y).item()
    assert energy_distance(x + 1e6, y + 1e6).item() == pytest.approx(expected, abs=1e-8)


def test_it_is_the_integral_of_the_squared_difference_of_distribution_functions():
    """In one dimension the energy distance is 2 times the integral of (F - G)^2."""
    x, y = torch.randn(30, dtype=torch.float64), 2 * torch.randn(50, dtype=torch.float64) + 1
    points = torch.cat([x, y]).sort().values
    below = [(s[:, None] <= points).double().mean(0) for s in (x, y)]
    integral = ((below[0] - below[1]).square()[:-1] * points.diff()).sum()
    assert energy_distance(x[:, None], y[:, None]).item() == pytest.approx(2 * integral.item())


@pytest.mark.parametrize("shape", [(4,), (4, 3), (0, 2)])
def test_points_that_cannot_be_compared_are_refused(shape):
    with pytest.raises(ValueError, match=r"points \(N, d\) and \(M, d\), but got"):
        energy_distance(torch.zeros(5, 2), torch.zeros(shape))
