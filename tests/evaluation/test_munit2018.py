from dataclasses import replace
from math import cos, exp, log, pi

import pytest
import torch
from torch import nn

from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.evaluation.measuring import measure
from munit_pl.evaluation.protocols.munit2018_lpips_cis import Munit2018
from munit_pl.evaluation.task import EvaluationTask
from munit_pl.metrics.lpips import FeatureDistance

CPU = torch.device("cpu")
MODES = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])


def plain(red, green, blue=0.0):
    """An image of one color."""
    return torch.tensor([red, green, blue])[:, None, None].expand(3, 4, 4)


def at(angle):
    """A color of length 1. Two of them are ``distance_of`` their angle apart."""
    x = torch.tensor(angle, dtype=torch.float64)
    return plain(x.cos().item(), x.sin().item())


def distance_of(angle):
    """|u - v|^2 of unit vectors, over three channels that weigh a third each."""
    return (2 - 2 * cos(angle)) / 3


class Plain:
    """Images of one color, each another; counts which are loaded."""

    def __init__(self, images):
        self.images = images
        self.loaded = []

    def __len__(self):
        return len(self.images)

    def load(self, index, rng):
        assert rng is None  # no augmentation
        self.loaded.append(index)
        return self.images[index]


class Coloring:
    """Answers input ``i``, told by its blue, with ``colors(i, K)``."""

    device = CPU
    reads_styles = True

    def __init__(self, colors):
        self.colors = colors
        self.asked = []

    def style_dim(self, domain):
        return {"a": 3, "b": 2}[domain]

    def translate(self, x, styles, to):
        assert styles.shape[1] == self.style_dim(to)
        i = round(x[0, 2, 0, 0].item() * 100)
        self.asked.append((to, i, styles))
        return torch.stack(self.colors(i, len(styles)))[None]


class FourModes(nn.Module):
    name, classes = "four modes", ("1", "2", "3", "4")

    def forward(self, x):
        return 200 * x.mean((2, 3))[:, :2] @ MODES.T


@pytest.fixture
def extractors():
    features = nn.Identity()
    features.name = "none"
    distance = FeatureDistance(lambda x: [x], None, "pixels")
    return FeatureExtractors(features, distance, {}, CPU)


def task_of(colors, n=4, **settings):
    inputs = [plain(0.0, 0.0, i / 100) for i in range(n)]
    train = Plain(inputs), Plain(inputs)
    return EvaluationTask(Coloring(colors), train, (Plain(inputs), Plain(inputs)), **settings)


def metrics_of(measured):
    return {metric.key: metric for metric in measured.metrics}


def growing(i, k):
    """Colors whose angle grows by more and more, and by more for a later input."""
    return [at((i + 1) * 0.002 * j * j) for j in range(k)]


def test_diversity_is_the_mean_of_nineteen_neighbors_of_each_input(extractors):
    measured = measure(Munit2018(inputs=4), task_of(growing), extractors)
    steps = [[(i + 1) * 0.002 * (2 * j + 1) for j in range(19)] for i in range(4)]
    expected = [sum(map(distance_of, row)) / 19 for row in steps]
    assert list(metrics_of(measured)) == ["a2b/diversity", "b2a/diversity"]
    assert list(measured.distributions) == ["a2b, diversity, pixels", "b2a, diversity, pixels"]
    for metric, per_input in zip(measured.metrics, measured.distributions.values(), strict=True):
        assert metric.value == pytest.approx(sum(expected) / 4, rel=1e-4)
        assert per_input == pytest.approx(expected, rel=1e-4)
        assert (metric.label, metric.better) == ("diversity, pixels", "higher")
    assert measured.deviations == []


def test_a_single_input_has_a_distribution_too(extractors):
    measured = measure(Munit2018(inputs=1), task_of(growing), extractors)
    assert [len(values) for values in measured.distributions.values()] == [1, 1]


@pytest.mark.parametrize("n", [2, 3])
def test_a_real_image_is_never_compared_with_itself(extractors, n):
    """All pairs of two or three colors evenly around the circle are the same distance apart."""
    real = [at(2 * pi * j / n) for j in range(n)]
    task = task_of(growing, n)
    task = replace(task, test=(task.test[0], Plain(real)))
    measured = measure(Munit2018(inputs=2), task, extractors)
    expected = distance_of(2 * pi / n)
    assert metrics_of(measured)["a2b/diversity"].real == pytest.approx(expected, rel=1e-5)
    assert len(task.test[1].loaded) == 2 + 2 * 2 * 19  # as inputs of b2a, and in pairs


def test_real_pairs_are_of_the_target_domain(extractors):
    task = task_of(growing, 4)
    test = tuple(Plain([at(angle * i) for i in range(4)]) for angle in (0.1, 0.8))
    measured = measure(Munit2018(inputs=4), replace(task, test=test), extractors)
    far, near = (metrics_of(measured)[f"{there}/diversity"].real for there in ("a2b", "b2a"))
    assert near < distance_of(0.4) < far


def test_no_more_outputs_are_made_than_are_measured(extractors):
    task = task_of(growing)
    measure(Munit2018(inputs=3), task, extractors)
    asked = task.translator.asked
    assert [(to, i, len(styles)) for to, i, styles in asked] == [
        (to, i, 20) for to in "ba" for i in range(3)
    ]
    drawn = torch.cat([styles.flatten() for *_, styles in asked])
    assert len(drawn.unique()) == len(drawn)  # each input has styles of its own
    again = task_of(growing)
    measure(Munit2018(inputs=2), again, extractors)
    assert torch.equal(again.translator.asked[1][2], asked[1][2])


def test_scores_take_their_samples_from_the_domain_that_has_a_classifier(extractors):
    task = task_of(lambda i, k: [plain(*MODES[j % 4].tolist()) for j in range(k)])
    with_one = replace(extractors, classifiers={"b": FourModes()})
    measured = measure(Munit2018(inputs=2), task, with_one)
    assert [(to, len(styles)) for to, _, styles in task.translator.asked] == [
        ("b", 100),
        ("b", 100),
        ("a", 20),
        ("a", 20),
    ]
    metrics = metrics_of(measured)
    assert list(metrics) == Munit2018().keys(with_one)
    assert [key for key in metrics if key.startswith("b2a")] == ["b2a/diversity"]
    assert metrics["a2b/cis"].label.endswith("(four modes)")
    # Of the first 20, neighbors are at right angles and opposite in turn: ten and nine pairs.
    expected = (10 * distance_of(pi / 2) + 9 * distance_of(pi)) / 19
    assert metrics["a2b/diversity"].value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("mode", "cis", "inception"),
    [
        (lambda i, j: j % 4, log(4), log(4)),  # each input has all modes
        (lambda i, j: 2, 0.0, 0.0),  # collapsed
        (lambda i, j: i % 4, 0.0, log(4)),  # each input has one of its own
        (lambda i, j: j % 2, log(2), log(2)),
    ],
)
def test_scores_tell_modes_within_an_input_from_modes_among_inputs(
    extractors, mode, cis, inception
):
    task = task_of(lambda i, k: [plain(*MODES[mode(i, j)].tolist()) for j in range(k)])
    both = replace(extractors, classifiers={"a": FourModes(), "b": FourModes()})
    metrics = metrics_of(measure(Munit2018(inputs=4), task, both))
    assert list(metrics) == Munit2018().keys(both)
    for there in ("a2b", "b2a"):
        expected = {
            "cis": cis,
            "cis_exp": exp(cis),
            "inception": inception,
            "inception_exp": exp(inception),
        }
        found = {key: metrics[f"{there}/{key}"].value for key in expected}
        assert found == pytest.approx(expected, abs=1e-9)


def test_paired_images_are_compared_with_their_translations(extractors):
    """Truth i lies at -0.1 i, all translations of input i at 0.2 i."""
    task = task_of(lambda i, k: [at(0.2 * i)] * k, paired=True)
    truths = [at(-0.1 * i) for i in range(4)]
    task = replace(task, test=(task.test[0], Plain(truths)))
    metrics = metrics_of(measure(Munit2018(inputs=4), task, extractors))
    expected = sum(distance_of(0.3 * i) for i in range(4)) / 4
    assert metrics["a2b/paired"].value == pytest.approx(expected, rel=1e-5)
    assert metrics["a2b/paired"].label == "distance from the truth, pixels"
    assert metrics["a2b/paired"].better == "lower"
    assert "a2b/paired" not in metrics_of(
        measure(Munit2018(inputs=4), task_of(growing), extractors)
    )


def test_too_few_test_images_are_told_with_the_limit_that_would_do(extractors):
    with pytest.raises(
        ValueError, match=r"100 test images of domain a, .* 7: .*\(--limit 7; .*limit=7\)"
    ):
        Munit2018().check(task_of(growing, 7))
    Munit2018(inputs=7).check(task_of(growing, 7))
