import pytest
import torch
from torch import nn

from munit_pl.metrics.diversity import Diversity, PairDistance, output_distances
from munit_pl.metrics.lpips import FeatureDistance

APART = 2 / 3  # of two colors, by the mean square of three channels


class Eye(nn.Module):
    """Sees pixels as they are, through a weight that is 1, and counts the images."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.seen = 0

    def forward(self, x):
        self.seen += len(x)
        return [x * self.weight]


@pytest.fixture
def distance():
    return FeatureDistance(Eye(), None, "colors")


def colors(*names):
    """Pictures of one pixel, red, green or blue: any two different ones are 2/3 apart."""
    return torch.stack([torch.eye(3)["rgb".index(name)] for name in names])[:, :, None, None]


@pytest.mark.parametrize(("pairs", "mean"), [("all", 2 / 3), ("consecutive", 1 / 2)])
def test_diversity_of_three_outputs(distance, pairs, mean):
    """Red and red are alike, red and green differ; all pairs have red and green twice of thrice."""
    metric = Diversity(distance, pairs)
    metric.update(colors("r", "r", "g")[None])
    assert metric.compute().item() == pytest.approx(mean * APART)


def test_pairs_are_all_or_each_with_the_next(distance):
    outputs = colors("r", "r", "g", "g")
    consecutive = output_distances(outputs, distance, "consecutive")
    assert consecutive.tolist() == pytest.approx([0, APART, 0])
    assert len(output_distances(outputs, distance, "all")) == 4 * 3 / 2
    assert output_distances(outputs, distance, "all").sum().item() == pytest.approx(4 * APART)


@pytest.mark.parametrize("pairs", ["all", "consecutive"])
def test_every_output_passes_the_network_once(distance, pairs):
    Diversity(distance, pairs).update(torch.randn(2, 5, 3, 4, 4))
    assert distance.backbone.seen == 2 * 5


def test_all_pairs_are_those_of_two_loops(distance):
    x = torch.randn(2, 4, 3, 5, 6)
    metric = Diversity(distance, "all")
    metric.update(x)
    pairs = [distance(a[i, None], a[j, None]) for a in x for i in range(4) for j in range(i)]
    assert metric.compute().item() == pytest.approx(torch.cat(pairs).mean().item())


def test_other_inputs_do_not_count_as_diversity(distance):
    metric = Diversity(distance, "all")
    metric.update(torch.stack([colors("r", "r"), colors("g", "g")]))
    assert metric.compute().item() == 0


def test_every_input_counts_the_same_however_many_outputs_it_has(distance):
    metric = Diversity(distance, "all")
    metric.update(colors("r", "g")[None])
    metric.update(colors("b", "b", "b", "b")[None])
    assert metric.compute().item() == pytest.approx(APART / 2)


def test_distance_of_given_pairs(distance):
    metric = PairDistance(distance)
    metric.update(colors("r", "r", "b"), colors("r", "g", "g"))
    metric.update(colors("g"), colors("g"))
    assert metric.compute().item() == pytest.approx(2 * APART / 4)


class Model(nn.Module):
    def __init__(self, metric):
        super().__init__()
        self.metric = metric


def test_the_network_follows_the_metric_to_its_device_and_keeps_its_precision(distance):
    model = Model(Diversity(distance, "all"))
    model.half()
    model.to(torch.bfloat16)
    assert distance.backbone.weight.dtype == torch.float32
    model.to("meta")
    assert distance.backbone.weight.is_meta
    assert model.metric.total.is_meta


def test_states_hold_float64_also_in_a_model_of_low_precision(distance):
    model = Model(PairDistance(distance)).to(torch.bfloat16)
    for _ in range(1000):  # in bfloat16 1 + 1 + ... ends at 256
        model.metric.update(colors("r").bfloat16(), colors("g").bfloat16())
    assert model.metric.compute().item() == pytest.approx(APART)


def test_wrong_arguments_are_refused(distance):
    with pytest.raises(ValueError, match="pairs is 'some', but must be all or consecutive"):
        Diversity(distance, "some")
    with pytest.raises(ValueError, match=r"outputs must be \(N, K, C, H, W\), but are"):
        Diversity(distance, "all").update(torch.zeros(4, 3, 8, 8))
    with pytest.raises(ValueError, match="at least 2 outputs of each input, but got 1"):
        Diversity(distance, "all").update(torch.zeros(4, 1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"pairs must be two of \(N, C, H, W\)"):
        PairDistance(distance).update(torch.zeros(4, 3, 8, 8), torch.zeros(1, 3, 8, 8))
