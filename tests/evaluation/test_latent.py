import math

import numpy as np
import pytest
import torch

from munit_pl.evaluation.latent import (
    correlations,
    ks_bound,
    ks_statistics,
    largest_correlation,
    linear_probe,
    linear_probe_accuracy,
    principal_components,
    squared_wasserstein,
    traversal_change,
)


def test_linear_targets_are_read_whole():
    codes = 5 + 3 * torch.randn(60, 4)
    test_codes = 5 + 3 * torch.randn(30, 4)
    weights, shift = torch.randn(4, 2), torch.tensor([100.0, -7])
    found = linear_probe(codes, codes @ weights + shift, test_codes, test_codes @ weights + shift)
    assert found.shape == (2,)
    assert found.tolist() == pytest.approx([1, 1], abs=1e-6)


def test_targets_without_any_linear_part_are_read_as_their_mean():
    """A square is orthogonal to a line around its middle: every penalty reads the mean, 2."""
    codes = torch.tensor([[-2.0], [-1], [0], [1], [2]])
    test_targets = torch.tensor([[0.0], [2], [7]])
    found = linear_probe(codes, codes.square(), torch.tensor([[3.0], [4], [9]]), test_targets)
    assert found.item() == pytest.approx(1 - (4 + 0 + 25) / (9 + 1 + 16))


def test_noise_is_read_no_better_or_worse_than_by_its_mean():
    """Least squares on 60 numbers of 100 samples would come to about -60 / 39."""
    codes, targets = torch.randn(100, 60), torch.randn(100, 1)
    test_codes, test_targets = torch.randn(400, 60), torch.randn(400, 1)
    ones = np.ones((400, 1))
    weights, *_ = np.linalg.lstsq(np.hstack([ones[:100], codes]), targets.numpy(), rcond=None)
    missed = np.square(test_targets.numpy() - np.hstack([ones, test_codes]) @ weights).sum()
    assert 1 - missed / np.square(test_targets.numpy() - test_targets.mean().item()).sum() < -1
    # Four deviations of a correlation by chance, 1 / sqrt(400), and of the mean, 1 / sqrt(100).
    found = linear_probe(codes, targets, test_codes, test_targets).item()
    assert -((4 / 10) ** 2) < found < (4 / 20) ** 2


def test_the_penalty_has_the_least_error_when_samples_are_left_out():
    codes, test_codes = torch.randn(12, 5).double(), torch.randn(9, 5).double()
    targets, test_targets = codes[:, :1] + torch.randn(12, 1) / 2, test_codes[:, :1] + 1

    def fit(x, y, penalty):
        weights = np.linalg.solve(x.T @ x + penalty * np.eye(5), x.T @ (y - y.mean()))
        return y.mean() - x.mean(0) @ weights, weights

    mean, deviation = codes.mean(0).numpy(), codes.std(0, correction=0).numpy()
    x, x_test = ((part.numpy() - mean) / deviation for part in (codes, test_codes))
    y = targets[:, 0].double().numpy()
    errors = {}
    for penalty in (12 * 10.0**power for power in range(-6, 5)):
        errors[penalty] = 0
        for i in range(12):
            kept = np.arange(12) != i
            centered = x[kept] - x[kept].mean(0)
            _, weights = fit(centered, y[kept], penalty)
            read = y[kept].mean() + (x[i] - x[kept].mean(0)) @ weights
            errors[penalty] += (y[i] - read) ** 2
    shift, weights = fit(x, y, min(errors, key=errors.get))
    truth = test_targets[:, 0].numpy()
    expected = (
        1
        - np.square(truth - shift - x_test @ weights).sum() / np.square(truth - truth.mean()).sum()
    )
    assert 12e-6 < min(errors, key=errors.get) < 12e4
    found = linear_probe(codes, targets, test_codes, test_targets)
    assert found.item() == pytest.approx(expected, abs=1e-9)


def test_each_target_has_a_penalty_of_its_own():
    codes, test_codes = torch.randn(40, 30), torch.randn(40, 30)
    noise, test_noise = 100 * torch.randn(40, 1), 100 * torch.randn(40, 1)
    linear, test_linear = codes[:, :1], test_codes[:, :1]
    both = torch.cat([linear, noise], 1), test_codes, torch.cat([test_linear, test_noise], 1)
    found = linear_probe(codes, *both)
    alone = linear_probe(codes, linear, test_codes, test_linear)
    assert found[0] == pytest.approx(alone.item(), abs=1e-12)
    assert found[0] > 0.999


def test_a_code_that_is_always_the_same_tells_nothing():
    """Rounding of float32 is no news, however far standardizing would blow it up."""
    targets, test_targets = torch.randn(50, 1), torch.randn(50, 1)
    codes = 3 + 1e-7 * torch.sign(targets)
    found = linear_probe(codes, targets, 3 + 1e-7 * torch.sign(test_targets), test_targets)
    mean = targets.double().mean()
    missed = (test_targets.double() - mean).square().sum()
    varied = (test_targets.double() - test_targets.double().mean()).square().sum()
    assert found.item() == pytest.approx(1 - (missed / varied).item())


def test_targets_that_do_not_vary_have_no_r2():
    codes = torch.randn(5, 2)
    assert linear_probe(codes, codes[:, :1], codes, torch.ones(5, 1)).isnan().all()


def test_classes_at_the_corners_of_a_triangle_are_told_apart():
    corners = torch.tensor([[0.0, 0], [4, 0], [0, 4]])
    labels = torch.arange(3).repeat(10)
    codes = corners[labels] + 0.1 * torch.randn(30, 2)
    test_labels = torch.tensor([2, 0, 1, 1])
    assert linear_probe_accuracy(codes, labels, corners[test_labels], test_labels) == 1
    wrong = torch.tensor([2, 0, 1, 0])
    assert linear_probe_accuracy(codes, labels, corners[test_labels], wrong) == 0.75


def test_codes_that_tell_no_class_give_the_most_frequent_one():
    labels = torch.tensor([0, 1, 1, 0, 1])
    test_labels = torch.tensor([1, 0, 0, 1, 0])
    assert linear_probe_accuracy(torch.ones(5, 2), labels, torch.ones(5, 2), test_labels) == 0.4


def test_probes_refuse_what_does_not_fit():
    codes = torch.zeros(3, 2)
    message = r"got \(3, 2\), \(4, 1\), \(3, 2\), \(3, 1\)"
    with pytest.raises(ValueError, match=message):
        linear_probe(codes, torch.zeros(4, 1), codes, torch.zeros(3, 1))
    with pytest.raises(ValueError, match=r"got \(1, 2\), \(1, 1\)"):
        linear_probe_accuracy(codes[:1], torch.zeros(1).long(), codes, torch.zeros(3).long())


def test_components_follow_the_training_codes_alone():
    codes = torch.tensor([[1.0, 2, 0], [1, -2, 0], [1, 0, 1], [1, 0, -1]])
    test_codes = torch.tensor([[9.0, 3, 5]])
    here, there = principal_components(codes, test_codes, 2)
    torch.testing.assert_close(here.abs(), codes[:, 1:].abs().double())
    torch.testing.assert_close(there.abs(), torch.tensor([[3.0, 5]]).double())
    # Four samples span three directions, and two numbers two.
    assert principal_components(torch.randn(4, 9), torch.randn(1, 9), 64)[1].shape == (1, 3)
    assert principal_components(torch.randn(4, 2), torch.randn(5, 2), 64)[0].shape == (4, 2)


def test_components_keep_the_distances_when_all_are_kept():
    codes, test_codes = torch.randn(10, 4).double(), torch.randn(6, 4).double()
    here, there = principal_components(codes, test_codes, 4)
    torch.testing.assert_close(torch.cdist(here, there), torch.cdist(codes, test_codes))


QUARTILE = 0.6744897501960817  # of N(0, 1), the upper


def test_the_statistic_of_kolmogorov_and_smirnov_by_hand():
    """At the quartiles the normal shares are 1/4 and 3/4, the samples' 0, 1/2 and 1."""
    columns = [[-QUARTILE, QUARTILE], [QUARTILE, QUARTILE], [50.0, -50], [50, 50]]
    found = ks_statistics(torch.tensor(columns).T)
    assert found.tolist() == pytest.approx([0.25, 0.75, 0.5, 1])
    assert ks_statistics(torch.zeros(1, 1)).item() == 0.5


def test_quantiles_in_the_middle_of_their_shares_are_as_near_as_can_be():
    n = 20
    quantiles = torch.special.ndtri((torch.arange(n) + 0.5).double() / n)
    found = ks_statistics(quantiles[torch.randperm(n), None])
    assert found.item() == pytest.approx(1 / (2 * n))


def test_95_of_100_normal_sets_stay_below_the_bound():
    """400 sets: a share of 0.95 with a deviation of 0.011."""
    below = (ks_statistics(torch.randn(200, 400)) < ks_bound(200)).double().mean()
    assert below.item() == pytest.approx(0.95, abs=4 * 0.011)


def test_the_largest_correlation_counts_either_sign_and_no_dimension_with_itself():
    x = torch.tensor([1.0, -1, 1, -1])
    y = torch.tensor([1.0, 1, -1, -1])
    assert largest_correlation(torch.stack([x, y], 1)) == pytest.approx(0, abs=1e-12)
    # (x, -(3x + 4y)/5): a correlation of -3/5.
    assert largest_correlation(torch.stack([x, y, -(3 * x + 4 * y)], 1)) == pytest.approx(0.8)
    assert largest_correlation(torch.stack([x, -(3 * x + 4 * y)], 1)) == pytest.approx(0.6)
    assert largest_correlation(torch.stack([x, torch.full((4,), 0.1)], 1)) == 0
    assert largest_correlation(x[:, None]) == 0


def gaussian_like(mean, deviations):
    """Styles that have a mean and deviations along the axes exactly."""
    corners = torch.cat([torch.eye(len(mean)), -torch.eye(len(mean))]).double()
    scale = math.sqrt((len(corners) - 1) / 2)
    return torch.tensor(mean).double() + corners * scale * torch.tensor(deviations).double()


def test_the_wasserstein_distance_of_a_shifted_and_scaled_gaussian_by_hand():
    assert squared_wasserstein(gaussian_like([0.0, 0, 0], [1.0, 1, 1])) == pytest.approx(0)
    # |m|^2 + S (s - 1)^2
    found = squared_wasserstein(gaussian_like([1.0, 2, -2], [3.0, 3, 3]))
    assert found == pytest.approx(9 + 3 * 4)
    found = squared_wasserstein(gaussian_like([0.0, 0, 0.5], [0.0, 1, 3]))
    assert found == pytest.approx(0.25 + 1 + 0 + 4)
    assert squared_wasserstein(torch.tensor([[2.0], [2.0]])) == pytest.approx(4 + 1)


def test_the_wasserstein_distance_does_not_depend_on_the_axes():
    turn, _ = torch.linalg.qr(torch.randn(3, 3).double())
    styles = gaussian_like([1.0, 2, -2], [0.5, 1, 3])
    assert squared_wasserstein(styles @ turn) == pytest.approx(squared_wasserstein(styles))


def test_columns_are_correlated_each_with_its_own():
    x = torch.tensor([[1.0, 1, 1], [-1, -1, 2], [1, 1, 3], [-1, -1, 4]])
    y = torch.tensor([[7.0, -1, 5], [-3, 1, 5], [7, -1, 5], [-3, 1, 5]])
    assert correlations(x, y).tolist() == pytest.approx([1, -1, 0])
    assert correlations(x[:, :1], torch.tensor([[1.0], [1], [-1], [-1]])).item() == 0


def test_change_is_the_mean_over_pairs_of_frames():
    """Gray levels -1, 0 and 1 differ by 1, 1 and 2, halves of the range of 255."""
    frames = torch.tensor([-1.0, 0, 1])[:, None, None, None].expand(3, 3, 4, 5)
    assert traversal_change(frames) == pytest.approx(4 / 3 * 127.5)
    half = frames.clone()
    half[..., :2, :] = 0
    assert traversal_change(half) == pytest.approx(2 / 3 * 127.5)
    assert traversal_change(frames[:1].expand(7, -1, -1, -1)) == 0
