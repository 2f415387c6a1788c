from importlib import import_module
from pkgutil import iter_modules

import pytest
import torch
from metric_tester import MetricCase, values_of, values_of_share
from ranks import in_two_processes
from torch import distributed, nn
from torchmetrics import Metric

from munit_pl import metrics
from munit_pl.metrics.diversity import Diversity, MeanDistance, PairDistance
from munit_pl.metrics.drawn import DrawnMetric, drawn_a2b, drawn_b2a
from munit_pl.metrics.fid_kid_is import DistributionMetrics
from munit_pl.metrics.inception_score import ConditionalInceptionScore
from munit_pl.metrics.lpips import FeatureDistance
from munit_pl.metrics.network_metric import NetworkMetric

N = 10  # samples


class Pixels(nn.Module):
    """Sees pixels as they are, through a weight that is 1."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return [x * self.weight]


def diversity():
    return Diversity(FeatureDistance(Pixels(), None, "pixels"), "all")


def pair_distance():
    return PairDistance(FeatureDistance(Pixels(), None, "pixels"))


def inception_score():
    return ConditionalInceptionScore(nn.Flatten(), num_classes=48)


def distances():
    return DistributionMetrics(kernel_subset=6)


def to_shoes():
    return DrawnMetric(drawn_a2b)


def to_drawings():
    return DrawnMetric(drawn_b2a)


def images(*more, generator):
    return torch.randn(N, *more, generator=generator).clamp(-1, 1)


def cases():
    rng = torch.Generator().manual_seed(0)
    styled = images(4, 3, 4, 4, generator=rng)
    x, y = images(3, 4, 4, generator=rng), images(3, 4, 4, generator=rng)
    real, fake = torch.randn(2, N, 3, generator=rng)
    masks = torch.rand(3, N, 4, 4, generator=rng) < 0.7
    return {
        Diversity: MetricCase(diversity, [(styled,)]),
        PairDistance: MetricCase(pair_distance, [(x, y)]),
        ConditionalInceptionScore: MetricCase(inception_score, [(styled,)]),
        DistributionMetrics: MetricCase(
            distances, [(real, real, True), (fake, 3 * fake, False)], half=0.2
        ),
        DrawnMetric: MetricCase(
            to_shoes, [(styled, x, y, x + 0.1, masks[0], masks[1], y, masks[2])]
        ),
        drawn_b2a: MetricCase(to_drawings, [(x, y)]),
    }


@pytest.mark.parametrize("kind", cases())
def test_a_metric_keeps_what_all_metrics_promise(kind):
    cases()[kind].check()


def test_no_metric_is_left_out():
    modules = [import_module(f"munit_pl.metrics.{m.name}") for m in iter_modules(metrics.__path__)]
    found = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Metric) and "munit_pl" in value.__module__
    }
    assert found - {NetworkMetric, MeanDistance} == {k for k in cases() if isinstance(k, type)}


def work(rank):
    distributed.init_process_group("gloo")
    found = [values_of_share(case, rank) for case in cases().values()]
    distributed.destroy_process_group()
    return found


@pytest.mark.process
def test_two_processes_with_unequal_shares_compute_what_one_does(tmp_path):
    expected = [values_of(case.updated(case.updates)) for case in cases().values()]
    for found in in_two_processes(work, tmp_path):
        for there, here in zip(found, expected, strict=True):
            assert there == pytest.approx(here, rel=1e-5, abs=1e-5)
