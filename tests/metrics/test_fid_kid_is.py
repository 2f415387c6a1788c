import pytest
import torch
from torch import nn
from torchmetrics.image.kid import KernelInceptionDistance

from munit_pl.metrics.fid_kid_is import DistributionMetrics


class Given(nn.Module):
    """Features as they are, for torchmetrics."""

    num_features = 3

    def forward(self, features):
        return features


def compared(real, outputs, logits, subset=20, seed=0):
    metric = DistributionMetrics(subset, seed)
    for x in real.split(7):
        metric.update(x, x, True)
    for x, of_x in zip(outputs.split(9), logits.split(9), strict=True):
        metric.update(x, of_x, False)
    return {key: value.item() for key, value in metric.compute()._asdict().items()}


@pytest.fixture
def features():
    real = torch.randn(20, 3)
    return real, torch.randn(20, 3) * 1.5 + 1


def test_kernel_distance_of_whole_sets_is_torchmetrics_kid(features):
    real, outputs = features
    kid = KernelInceptionDistance(feature=Given(), subsets=1, subset_size=20)
    kid.update(real, real=True)
    kid.update(outputs, real=False)
    found = compared(real, outputs, outputs)["kd"]
    assert found == pytest.approx(kid.compute()[0].item(), rel=1e-5)


def test_kernel_distance_of_subsets_estimates_that_of_the_sets(features):
    real, outputs = features
    whole, part = (compared(real, outputs, outputs, subset)["kd"] for subset in (20, 8))
    assert part != whole
    assert part == pytest.approx(whole, rel=0.3)


def test_subsets_depend_on_the_seed_alone(features):
    real, outputs = (x.relu() for x in features)  # many have the same first feature
    kd = compared(real, outputs, outputs, subset=8)["kd"]
    torch.rand(5)
    state = torch.get_rng_state()
    shuffled = compared(real[torch.randperm(20)], outputs.flip(0), outputs, subset=8)["kd"]
    assert shuffled == pytest.approx(kd, rel=1e-9)  # so in any number of processes
    assert compared(real, outputs, outputs, subset=8, seed=1)["kd"] != kd
    torch.set_rng_state(state)
    compared(real, outputs, outputs, subset=8)
    assert torch.equal(torch.get_rng_state(), state)


def test_frechet_distance_of_a_shifted_set_is_the_shift_squared(features):
    real, _ = features
    found = compared(real, real + torch.tensor([3.0, 0.0, 4.0]), real)
    assert found["fd"] == pytest.approx(25, rel=1e-5)
    assert (found["precision"], found["recall"], found["coverage"]) == (0, 0, 0)


def test_inception_score_is_the_number_of_classes_if_each_has_its_share(features):
    real, _ = features
    logits = 1000 * torch.eye(5).repeat(4, 1)
    found = compared(real, real, logits)
    assert found["inception"] == pytest.approx(5)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
