from dataclasses import replace

import pytest
import torch
from torch import nn
from torchmetrics.aggregation import MeanMetric

from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.evaluation import evaluate as evaluate_file
from munit_pl.evaluation.evaluate import evaluate
from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.evaluation.measuring import Measured
from munit_pl.evaluation.protocols.base import MetricEntry, Row
from munit_pl.evaluation.protocols.registry import PROTOCOLS, find_protocol
from munit_pl.evaluation.report import MetricValue
from munit_pl.evaluation.task import DIRECTIONS, EvaluationTask
from munit_pl.metrics.lpips import FeatureDistance


class White:
    device = torch.device("cpu")
    reads_styles = True

    def style_dim(self, domain):
        return 8

    def encode_style(self, x, domain):
        return torch.zeros(len(x), 8)

    def translate(self, x, styles, to):
        return torch.ones(len(x), len(styles), *x.shape[1:])


@pytest.fixture
def task():
    train, test = (
        tuple(DrawnShoes(domain, split, n, (16, 16)) for domain, n in zip("ab", ns, strict=True))
        for split, ns in (("train", (8, 8)), ("test", (3, 4)))
    )
    return EvaluationTask(White(), train, test, seed=5)


class Colors(nn.Module):
    name = "colors"

    def features_and_logits(self, x):
        return x.mean((2, 3)), x.mean((2, 3))


def report(protocol, task, *own):
    return evaluate(protocol, task, None, {"checkpoint": "x.ckpt"}, {"data": "shoes"}, own)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("drawn", {"inputs": 64, "styles": 8}),
        ("munit2018", {"inputs": 100, "pairs": 19, "samples": 100}),
        ("starganv2", {"inputs": None, "outputs": 10, "kernel_subset": 100}),
    ],
)
def test_protocols_have_the_published_settings(name, settings):
    protocol = find_protocol(name)
    assert (protocol.name, protocol.version) == (name, 1)
    assert vars(protocol) == settings


def test_an_unknown_protocol_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="no protocol fid: there are drawn, munit2018, starganv2"):
        find_protocol("fid")


@pytest.mark.parametrize("limit", [-1, 0, 1])
def test_no_spread_comes_of_less_than_two_inputs(limit):
    for name in PROTOCOLS:
        with pytest.raises(ValueError, match=f"limit is {limit}, but must be at least 2"):
            find_protocol(name, limit)


@pytest.mark.parametrize(("name", "inputs"), [("drawn", 64), ("munit2018", 100)])
def test_a_limit_of_no_less_than_the_protocols_number_changes_nothing(name, inputs):
    for limit in (None, inputs, inputs + 1):
        assert find_protocol(name, limit) == PROTOCOLS[name]
    assert find_protocol(name, inputs - 1) == replace(PROTOCOLS[name], inputs=inputs - 1)


def test_a_report_says_what_was_measured_on_what(task):
    made = report(find_protocol("drawn", 2), task)
    assert made.protocol == "drawn v1"
    assert made.settings == {"inputs": 2, "styles": 8}
    assert made.checkpoint == {"checkpoint": "x.ckpt"}
    assert made.data == {"data": "shoes"}
    assert (made.seed, made.networks) == (5, {})
    assert made.seconds > 0
    assert [metric.key for metric in made.metrics] == find_protocol("drawn").keys()


def test_a_limit_is_a_deviation_in_words_and_without_one_there_is_none(monkeypatch, task):
    assert report(find_protocol("drawn", 3), task).deviations == ["inputs 3 instead of 64"]
    measured = Measured([MetricValue("a2b/x", "x", 1.0, "")], {}, [])
    monkeypatch.setattr(
        evaluate_file, "measure", lambda *_: measured
    )  # of 64 it would take seconds
    assert report(find_protocol("drawn"), task).deviations == []


@pytest.mark.parametrize(
    ("limit", "inputs", "deviations"),
    [
        (None, None, ["for want of images"]),
        (2, 2, ["inputs 2 instead of all", "for want of images"]),
        (3, 3, ["inputs 3 instead of all", "for want of images"]),  # of b there are 4
        (4, None, ["for want of images"]),
        (9, None, ["for want of images"]),
    ],
)
def test_a_limit_that_leaves_nothing_out_of_all_changes_nothing(
    monkeypatch, task, limit, inputs, deviations
):
    def measure(protocol, *_):
        assert protocol.inputs == inputs
        return Measured([MetricValue("a2b/x", "x", 1.0, "")], {}, ["for want of images"])

    monkeypatch.setattr(evaluate_file, "measure", measure)
    made = report(find_protocol("starganv2", limit), task)
    assert made.deviations == deviations
    assert made.settings["inputs"] == inputs


def test_a_protocol_that_needs_feature_extractors_asks_for_them(task):
    for protocol in PROTOCOLS.values():
        if protocol.needs_extractors:
            with pytest.raises(ValueError, match="needs feature extractors"):
                report(replace(protocol, inputs=2), task)
            with pytest.raises(ValueError, match="needs feature extractors"):
                protocol.keys()


class Channels(MeanMetric):
    """A metric of a user's own: the mean of all translations."""

    def update(self, outputs):
        super().update(outputs)


def test_a_metric_of_ones_own_takes_part_by_one_entry(task):
    own = MetricEntry(
        lambda _: Channels(),
        {"random": ["outputs"]},
        [Row("mean", "mean value", "")],
        None,
        "means",
    )
    plain, with_own = (
        report(find_protocol("drawn", 2), task),
        report(find_protocol("drawn", 2), task, own),
    )
    added = {f.key: f.value for f in with_own.metrics if f not in plain.metrics}
    assert added == {"a2b/mean": 1.0, "b2a/mean": 1.0}  # white
    assert with_own.distributions == {"a2b, means": [1.0, 1.0], "b2a, means": [1.0, 1.0]}


def test_a_metric_of_ones_own_is_refused_what_the_protocol_has_not(task):
    for inputs, told in [
        ({"test": ["x"]}, "protocol drawn has no samples 'test': there are random"),
        ({"random": ["x"]}, "samples 'random' of protocol drawn have no 'x', but inputs, outputs"),
    ]:
        own = MetricEntry(lambda _: Channels(), inputs, [Row("mean", "mean", "")])
        with pytest.raises(ValueError, match=told):
            report(find_protocol("drawn", 2), task, own)


def test_samples_have_what_their_protocol_says_that_it_provides(task):
    shoes = [DrawnShoes(domain, "test", 6, (16, 16)) for domain in "ab"]
    task = replace(task, train=(*shoes,), test=(*shoes,), paired=True)
    distance = FeatureDistance(lambda x: [x], None, "pixels")
    extractors = FeatureExtractors(Colors(), distance, {}, torch.device("cpu"))
    for protocol in PROTOCOLS.values():
        for direction in DIRECTIONS:
            found = {}
            for sample in replace(protocol, inputs=2).draw_samples(direction, task, extractors):
                found.setdefault(sample.kind, sample.values.keys())
            for kind, names in protocol.provides.items():
                assert {*names} <= found[kind], (protocol.name, direction, kind)
