from collections import Counter
from dataclasses import replace
from itertools import combinations
from math import cos

import pytest
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.evaluation.measuring import measure
from munit_pl.evaluation.protocols.starganv2_fid_lpips import StarGANv2
from munit_pl.evaluation.task import EvaluationTask
from munit_pl.metrics.fid_kid_is import DistributionMetrics
from munit_pl.metrics.inception_v3 import Inception
from munit_pl.metrics.lpips import FeatureDistance

CPU = torch.device("cpu")
MEASURES = ["diversity", "fd", "kd", "is", "precision", "recall", "density", "coverage"]


def distance_of(angle):
    """|u - v|^2 of unit vectors, over three channels that weigh a third each."""
    return (2 - 2 * cos(angle)) / 3


class Images:
    """Images of one color each: red and green at an angle, blue tells the set."""

    def __init__(self, n, blue):
        angles = 0.1 * torch.arange(n)
        colors = torch.stack([angles.cos(), angles.sin(), torch.full((n,), blue)], 1)
        self.images = list(colors[:, :, None, None].expand(n, 3, 2, 2))
        self.loaded = Counter()

    def __len__(self):
        return len(self.images)

    def load(self, index, rng):
        self.loaded[index] += 1
        return self.images[index]


class Turning:
    """Colors at the angle of the style: that of an example, or a random one."""

    device = CPU
    reads_styles = True

    def __init__(self):
        self.asked = []
        self.examples = []

    def style_dim(self, domain):
        return 1

    def encode_style(self, x, domain):
        self.examples.append((domain, x))
        return torch.atan2(x[:, 1, :1, 0], x[:, 0, :1, 0])

    def translate(self, x, styles, to):
        assert len(x) == 1
        self.asked.append((to, x, styles[:, 0]))
        angles = styles[:, :1]
        colors = torch.cat([angles.cos(), angles.sin(), torch.zeros_like(angles)], 1)
        return colors[None, :, :, None, None].expand(1, -1, 3, 2, 2)


class Colors(nn.Module):
    """Sees the color, and three classes."""

    name = "lite0"

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def features_and_logits(self, x):
        for blue in x[:, 2, 0, 0].tolist():
            self.seen[round(blue, 2)] += 1
        return x.mean((2, 3)), 3 * x.mean((2, 3))


class Given(nn.Module):
    num_features = 3  # torchmetrics asks for it

    def forward(self, features):
        return features


class Original(Inception):
    """FID's network by its type, if not by what it sees."""

    def __init__(self):
        super().__init__(nn.Identity())

    def features_and_logits(self, x):
        return x.mean((2, 3)), x.mean((2, 3))


def extractors_of(network):
    distance = FeatureDistance(lambda x: [x[:, :2]], None, "pixels")
    return FeatureExtractors(network, distance, {}, CPU)


@pytest.fixture
def task():
    train, test = ((Images(n, i / 10), Images(n + 1, (i + 1) / 10)) for i, n in ((1, 8), (3, 6)))
    return EvaluationTask(Turning(), train, test)


def metrics_of(measured):
    return {metric.key: metric for metric in measured.metrics}


def test_each_input_has_ten_translations_by_random_styles_and_ten_by_examples(task):
    measured = measure(StarGANv2(), task, extractors_of(Colors()))
    asked = task.translator.asked
    assert [(to, len(styles)) for to, _, styles in asked] == [("b", 10)] * 12 + [("a", 10)] * 14
    for first, domain in ((0, 0), (12, 1)):
        images = task.test[domain]
        for i in range(2 * len(images)):
            assert torch.equal(asked[first + i][1][0], images.images[i % len(images)])
    random = torch.cat([styles for _, _, styles in [*asked[:6], *asked[12:19]]])
    assert len(random.unique()) == len(random) == 130
    assert {label: len(values) for label, values in measured.distributions.items()} == {
        "a2b, random styles: diversity, pixels": 6,
        "a2b, examples: diversity, pixels": 6,
        "b2a, random styles: diversity, pixels": 7,
        "b2a, examples: diversity, pixels": 7,
    }


def test_of_a_second_evaluation_real_images_are_not_seen_again(task):
    network, task = Colors(), replace(task, real_features={})
    first = measure(StarGANv2(), task, extractors_of(network))
    real = {blue: n for blue, n in network.seen.items() if blue > 0}
    again = measure(StarGANv2(), task, extractors_of(network))
    assert {blue: n for blue, n in network.seen.items() if blue > 0} == real
    assert [f.value for f in again.metrics] == [f.value for f in first.metrics]


def test_diversity_is_the_mean_of_all_45_pairs_of_each_input(task):
    measured = measure(StarGANv2(), task, extractors_of(Colors()))
    metrics, asked = metrics_of(measured), iter(task.translator.asked)
    labels = iter(measured.distributions.values())
    for there, n in (("a2b", 6), ("b2a", 7)):
        for how in ("latent", "reference"):
            means = []
            for _ in range(n):
                pairs = list(combinations(next(asked)[2].tolist(), 2))
                assert len(pairs) == 45
                means.append(sum(3 / 2 * distance_of(p - q) for p, q in pairs) / 45)
            assert metrics[f"{there}/{how}/diversity"].value == pytest.approx(sum(means) / n)
            assert next(labels) == pytest.approx(means, rel=1e-4)


def test_examples_are_test_images_of_the_target_domain(task):
    measure(StarGANv2(), task, extractors_of(Colors()))
    examples = task.translator.examples
    assert [domain for domain, _ in examples] == ["b"] * 6 + ["a"] * 7
    for domain, x in examples:
        images = task.test["ab".index(domain)].images
        drawn = Counter(next(i for i, y in enumerate(images) if torch.equal(y, z)) for z in x)
        assert drawn.total() == 10
        assert set(drawn.values()) == {1, 2}  # all once before any twice
    assert len({tuple(x.flatten().tolist()) for _, x in examples}) == 13  # others for each input


def test_each_real_image_enters_a_comparison_once(task, monkeypatch):
    entered = []  # into each comparison, of which some are updated with the same images
    made, update = DistributionMetrics.__init__, DistributionMetrics.update

    def prepare(metric, *arguments):
        made(metric, *arguments)
        entered.append((metric, Counter()))

    def counted(metric, features, logits, real):
        (counts,) = (counts for one, counts in entered if one is metric)
        counts.update((round(blue, 2), real) for blue in features[:, 2].tolist())
        update(metric, features, logits, real)

    monkeypatch.setattr(DistributionMetrics, "__init__", prepare)
    monkeypatch.setattr(DistributionMetrics, "update", counted)
    monkeypatch.setattr(DistributionMetrics, "compute", lambda _: (torch.tensor(0.0),) * 7)
    network = Colors()
    measure(StarGANv2(), task, extractors_of(network))
    # Training images of a and b have blue 0.1 and 0.2, test images 0.3 and 0.4, outputs none.
    expected = []
    for train, n_train, test, n_test, inputs in ((0.2, 9, 0.4, 7, 6), (0.1, 8, 0.3, 6, 7)):
        of_outputs = {(train, True): n_train, (0, False): 10 * inputs}
        of_real = {(train, True): n_train, (test, False): n_test}
        expected += [of_outputs, of_real, of_outputs]
    assert [dict(counts) for _, counts in entered] == expected
    # Seen once for all three comparisons.
    assert network.seen == {0.1: 8, 0.2: 9, 0.3: 6, 0.4: 7, 0: 260}


def test_keys_are_those_of_the_metrics(task):
    extractors = extractors_of(Colors())
    measured = measure(StarGANv2(), task, extractors)
    keys = [
        f"{there}/{how}/{name}"
        for there in ("a2b", "b2a")
        for how in ("latent", "reference")
        for name in MEASURES
    ]
    keys += [f"mean/{how}/{m}" for how in ("latent", "reference") for m in ("diversity", "fd")]
    assert list(metrics_of(measured)) == StarGANv2().keys(extractors, True) == keys


def test_means_are_over_both_directions(task):
    metrics = metrics_of(measure(StarGANv2(), task, extractors_of(Colors())))
    for how in ("latent", "reference"):
        for name in ("diversity", "fd"):
            both = [metrics[f"{there}/{how}/{name}"].value for there in ("a2b", "b2a")]
            assert metrics[f"mean/{how}/{name}"].value == sum(both) / 2


def test_fid_is_called_so_only_if_inception_saw_it(task):
    by_lite0 = measure(StarGANv2(), task, extractors_of(Colors()))
    by_inception = measure(StarGANv2(), task, extractors_of(Original()))
    labels = [[metric.label for metric in m.metrics[:4]] for m in (by_lite0, by_inception)]
    diversity = "random styles: diversity, pixels"
    assert labels == [
        [diversity, *(f"random styles: {name} (lite0)" for name in ("FD", "KD", "IS"))],
        [diversity, *(f"random styles: {name}" for name in ("FID", "KID", "IS"))],
    ]
    assert not [metric for metric in by_lite0.metrics if "ID" in metric.label]


def test_real_values_are_those_of_test_images_of_the_target(task):
    extractors = extractors_of(Colors())
    metrics = metrics_of(measure(StarGANv2(), task, extractors))
    frechet = FrechetInceptionDistance(feature=Given())
    for images, real in ((task.train[1], True), (task.test[1], False)):
        frechet.update(torch.stack(images.images).mean((2, 3)), real=real)
    expected = frechet.compute().item()
    assert metrics["a2b/latent/fd"].real == pytest.approx(expected, rel=1e-4)
    assert metrics["a2b/reference/fd"].real == metrics["a2b/latent/fd"].real
    assert metrics["a2b/latent/diversity"].real is None


def test_smaller_subsets_for_want_of_images_are_a_deviation(task):
    measured = measure(StarGANv2(), task, extractors_of(Colors()))
    assert measured.deviations == [
        "a2b: kernel_subset 7 instead of 100, for want of images",
        "b2a: kernel_subset 6 instead of 100, for want of images",
    ]
    enough = measure(StarGANv2(kernel_subset=6), task, extractors_of(Colors()))
    assert enough.deviations == []


def test_a_limit_is_of_inputs_and_leaves_the_sets_whole(task):
    network = Colors()
    measure(StarGANv2(inputs=2), task, extractors_of(network))
    assert len(task.translator.asked) == 2 * 2 * 2
    assert network.seen == {0.1: 8, 0.2: 9, 0.3: 6, 0.4: 7, 0: 80}


def test_too_few_images_of_either_kind_are_refused(task):
    StarGANv2().check(task)
    StarGANv2(inputs=100).check(task)  # at most
    few = Images(5, 0.5)
    with pytest.raises(ValueError, match=r"at least 6 .* domain b has 9 for training and 5 for"):
        StarGANv2().check(replace(task, test=(task.test[0], few)))
    with pytest.raises(ValueError, match=r"at least 6 .* domain a has 5 for training and 6 for"):
        StarGANv2().check(replace(task, train=(few, task.train[1])))
    with pytest.raises(ValueError, match="3 processes cannot share 2 test images"):
        StarGANv2(inputs=2).check(replace(task, world_size=3))
