from dataclasses import replace

import pytest
import torch

from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.evaluation import protocols
from munit_pl.evaluation.drawn import Drawn
from munit_pl.evaluation.protocols import PROTOCOLS, evaluate, find_protocol, keys
from munit_pl.evaluation.report import Figure
from munit_pl.evaluation.starganv2 import StarGANv2
from munit_pl.evaluation.task import EvaluationTask, Measured


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


def report(protocol, task):
    return evaluate(protocol, task, None, {"checkpoint": "x.ckpt"}, {"data": "shoes"})


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("drawn", {"inputs": 64, "styles": 8}),
        ("munit2018", {"inputs": 100, "pairs": 19, "samples": 100}),
        ("starganv2", {"inputs": None, "outputs": 10, "kernel_subset": 100}),
    ],
)
def test_protocols_have_the_published_numbers(name, numbers):
    protocol = find_protocol(name)
    assert (protocol.name, protocol.version) == (name, 1)
    assert vars(protocol) == numbers


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
    assert made.numbers == {"inputs": 2, "styles": 8}
    assert made.checkpoint == {"checkpoint": "x.ckpt"}
    assert made.data == {"data": "shoes"}
    assert (made.seed, made.networks) == (5, {})
    assert made.seconds > 0
    assert [figure.key for figure in made.figures] == keys(find_protocol("drawn"), None)


def test_a_limit_is_a_deviation_in_words_and_without_one_there_is_none(monkeypatch, task):
    assert report(find_protocol("drawn", 3), task).deviations == ["inputs 3 instead of 64"]
    measured = Measured([Figure("a2b/x", "x", 1.0, "")], {}, [])
    monkeypatch.setattr(Drawn, "measure", lambda *_: measured)  # of 64 it would take seconds
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
        return Measured([Figure("a2b/x", "x", 1.0, "")], {}, ["for want of images"])

    monkeypatch.setattr(StarGANv2, "measure", measure)
    monkeypatch.setattr(protocols, "_given", lambda extractors: None)
    made = report(find_protocol("starganv2", limit), task)
    assert made.deviations == deviations
    assert made.numbers["inputs"] == inputs


@pytest.mark.parametrize("name", ["munit2018", "starganv2"])
def test_a_protocol_that_sees_with_networks_is_given_some(task, name):
    with pytest.raises(ValueError, match="needs networks to see with"):
        report(find_protocol(name, 2), task)
    with pytest.raises(ValueError, match="needs networks to see with"):
        keys(find_protocol(name), None)
