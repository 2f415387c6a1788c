from dataclasses import replace

import pytest
import torch
from torch import nn

from munit_pl.data.drawn.dataset import draw
from munit_pl.evaluation.comparison import drawn_subject
from munit_pl.evaluation.comparison.drawn_subject import DrawnSubject
from munit_pl.evaluation.comparison.measure import measure, measure_losses, measure_real
from munit_pl.evaluation.comparison.rows import Extent
from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.inference.translator import Translator
from munit_pl.metrics.lpips import FeatureDistance
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.models.unit.networks import UNITGenerator

EXTENT = Extent(inputs=4, styles=2, varied=2, pairs=2, compared=8, subset=8)


class Eye(nn.Module):
    """Sees an image as its mean color."""

    name = "eye"

    def features_and_logits(self, x):
        return x.mean((2, 3)), x.mean((2, 3))


class Pixels(nn.Module):
    """Sees an image as its pixels."""

    def forward(self, x):
        return [x]


@pytest.fixture(scope="module")
def shoes():
    return DrawnSubject([16, 16], EXTENT)


@pytest.fixture
def extractors():
    return FeatureExtractors(
        Eye(), FeatureDistance(Pixels(), None, "pixels"), {}, torch.device("cpu")
    )


@pytest.fixture
def unit():
    return Translator(*(UNITGenerator(dim=4, num_res_blocks=1) for _ in "ab"), device="cpu")


@pytest.fixture
def munit():
    return Translator(
        *(AdaINGenerator(dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"), device="cpu"
    )


def unbiased_mmd(x, y):
    """KID's estimate (Binkowski et al., 2018), with its cubic kernel, pair by pair."""

    def kernel(a, b):
        return (float(a.double() @ b.double()) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
    between = sum(kernel(a, b) for a in x for b in y)
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


def test_the_kernel_distance_is_that_of_translations_and_other_real_shoes(unit, shoes, extractors):
    metrics, _ = measure(unit, shoes, extractors)
    drawings = torch.stack([shoes.datamodule.domains["test"][0].load(i) for i in range(8)])
    real = torch.stack([shoes.datamodule.domains["test"][1].load(i) for i in range(8)]).mean((2, 3))
    outputs = unit.translate(drawings, torch.empty(1, 0), "b")[:, 0].mean((2, 3))
    # Subsets of all eight images are the same set each time.
    assert metrics["kernel_distance"] == pytest.approx(unbiased_mmd(outputs, real), abs=1e-6)


def test_a_method_without_styles_has_no_diversity_and_follows_no_example(unit, shoes, extractors):
    metrics, _ = measure(unit, shoes, extractors)
    assert metrics["pair_distance"] == 0
    assert metrics["color_spread"] == pytest.approx(0, abs=1e-6)
    assert "guided_error" not in metrics
    assert metrics["transfer_error"] > 0


def test_a_method_with_styles_has_all_metrics(munit, shoes, extractors):
    metrics, _ = measure(munit, shoes, extractors)
    assert metrics["pair_distance"] > 0
    assert metrics["guided_error"] > 0


def test_the_parameters_are_those_of_one_direction(unit, shoes, extractors):
    metrics, _ = measure(unit, shoes, extractors)
    # Half of both auto-encoders: an encoder of one, the decoder of the other.
    both = sum(p.numel() for gen in unit.generators for p in gen.parameters())
    assert metrics["parameters"] == both / 2


def test_following_by_statistics_is_measured_as_following_by_styles_is(
    munit, shoes, extractors, monkeypatch
):
    """What the drawings' maker paints in the example's colors gets the maker's own error."""
    drawings, examples = shoes.datamodule.domains["test"]
    at = iter(range(EXTENT.inputs))

    def paint(translator, x, example, to):
        i = next(at)
        drawing, other = drawings.truth(i).shoe, examples.truth(i)
        assert torch.equal(example[0], other.x_b)
        colored = replace(drawing, body=other.shoe.body, sole=other.shoe.sole)
        return draw(colored, (16, 16)).x_b[None]

    monkeypatch.setattr(drawn_subject, "transfer_statistics", paint)
    metrics, real = measure(munit, shoes, extractors)
    assert metrics["transfer_error"] == pytest.approx(real["guided_error"])


def test_real_shoes_are_compared_with_other_real_shoes(shoes, extractors):
    metrics = measure_real(shoes, extractors)
    train, test = (
        torch.stack([shoes.datamodule.domains[split][1].load(i) for i in range(8)])
        for split in ("train", "test")
    )
    expected = unbiased_mmd(train.mean((2, 3)), test.mean((2, 3)))
    assert metrics["kernel_distance"] == pytest.approx(expected, abs=1e-6)
    distances = extractors.distance(train, test)
    assert metrics["pair_distance"] == pytest.approx(distances.mean().item(), rel=1e-5)


def test_losses_are_means_over_images_and_sums_over_domains(shoes):
    """The second batch is smaller, and counts as much less."""

    class Stub:
        device = torch.device("cpu")

        def eval(self):
            pass

        def draw_all(self, batch, *where):
            return {}

        def validation_terms(self, part):
            x_a, x_b = part.images
            return {"x": torch.stack([x_a.mean(), 10 * x_b.mean()])}

    many = DrawnSubject([16, 16], replace(EXTENT, inputs=10))
    a, b = (
        sum(domain.load(i).mean().item() for i in range(10)) / 10
        for domain in many.datamodule.domains["test"]
    )
    assert measure_losses(Stub(), many) == {"x": pytest.approx(a + 10 * b, rel=1e-5)}


def test_all_runs_are_measured_on_the_same_shoes_paired_or_not():
    ours, paired = DrawnSubject([16, 16], EXTENT), DrawnSubject([16, 16], EXTENT, paired=True)
    for one, other in zip(
        ours.datamodule.domains["test"], paired.datamodule.domains["test"], strict=True
    ):
        assert torch.equal(one.load(3), other.load(3))
    drawing, colored = paired.datamodule.batch_domains("test")
    assert torch.equal(drawing.truth(3).x_b, colored.load(3))
