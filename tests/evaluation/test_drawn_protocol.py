from dataclasses import replace

import pytest
import torch

from munit_pl.data.drawn.dataset import DrawnShoes, draw
from munit_pl.evaluation.measuring import measure
from munit_pl.evaluation.protocols.drawn_ground_truth import Drawn
from munit_pl.evaluation.task import EvaluationTask
from munit_pl.inference.translator import Translator
from munit_pl.layers.initialization import initialize
from munit_pl.models.munit.networks import AdaINGenerator

PROTOCOL = Drawn(inputs=10, styles=4)


def domains(size=(64, 64)):
    return tuple(
        tuple(DrawnShoes(domain, split, n, size) for domain in "ab")
        for split, n in (("train", 40), ("test", 10))
    )


class Perfect:
    """Knows every shoe by its picture; a style is the number of a shoe whose colors it stands for.

    Random styles, which are no such numbers, stand for one training shoe after the other.
    """

    device = torch.device("cpu")
    reads_styles = True

    def __init__(self, train, test):
        self.painted = [train[1].truth(i) for i in range(len(train[1]))]
        self.examples = [test[1].truth(i) for i in range(len(test[1]))]
        self.drawings = [test[0].truth(i) for i in range(len(test[0]))]
        self.drawing_of = {self.key(truth.x_b): truth.x_a for truth in self.examples}
        self.painted_so_far = 0

    def key(self, x):
        return x.numpy().tobytes()

    def style_dim(self, domain):
        return 2

    def encode_style(self, x, domain):
        if domain == "a":
            return torch.zeros(len(x), 2)
        pictures = [truth.x_b for truth in self.examples]
        found = [next(i for i, y in enumerate(pictures) if torch.equal(y, one)) for one in x]
        return torch.tensor([[1000.0, i] for i in found])

    def translate(self, x, styles, to):
        if to == "a":
            return torch.stack([self.drawing_of[self.key(one)][None] for one in x])
        return torch.stack([torch.stack([self.paint(one, style) for style in styles]) for one in x])

    def paint(self, x, style):
        drawing = next(truth for truth in self.drawings if torch.equal(truth.x_a, x))
        like = self.painted[self.painted_so_far % len(self.painted)]
        if style[0] == 1000:
            like = self.examples[int(style[1])]
        else:
            self.painted_so_far += 1
        colors = {"body": like.shoe.body, "sole": like.shoe.sole}
        picture = draw(replace(drawing.shoe, **colors), (64, 64)).x_b
        self.drawing_of[self.key(picture)] = drawing.x_a
        return picture


class Same:
    """Makes one thing of each image, whatever the style."""

    device = torch.device("cpu")
    reads_styles = True

    def __init__(self, make):
        self.make = make

    def style_dim(self, domain):
        return 8

    def encode_style(self, x, domain):
        return torch.zeros(len(x), 8)

    def translate(self, x, styles, to):
        return self.make(x)[:, None].expand(-1, len(styles), -1, -1, -1)


def metrics_of(translator, protocol=PROTOCOL, **settings):
    measured = measure(protocol, EvaluationTask(translator, *domains(), **settings))
    assert (measured.distributions, measured.deviations) == ({}, [])
    return {metric.key: metric for metric in measured.metrics}


@pytest.fixture(scope="module")
def perfect():
    return metrics_of(Perfect(*domains()))


def test_keys_are_those_of_the_metrics(perfect):
    assert list(perfect) == PROTOCOL.keys()


def test_a_perfect_model_has_the_metrics_of_real_images(perfect):
    assert perfect["a2b/silhouette_iou"].value > 0.985
    assert perfect["b2a/edge_f1"].value == perfect["b2a/edge_f1"].real == 1
    assert perfect["b2a/paired_error"].value == perfect["b2a/paired_error"].real == 0
    assert perfect["a2b/cycle_error"].value == perfect["a2b/cycle_error"].real == 0
    # Both color drawing i as shoe i, and under random styles as training shoes 4i to 4i + 3.
    for key, metric in perfect.items():
        assert metric.value == metric.real, key


def test_examples_are_other_shoes_than_the_drawings(perfect):
    """So an error of the example's color is far from that of the drawing's own."""
    assert perfect["a2b/guided_error"].value < 2
    assert perfect["a2b/chance_error"].value > 40
    assert perfect["a2b/chance_error"].better == ""
    assert 0.5 < perfect["a2b/color_spread"].value < 1.5


def test_white_pictures_have_the_worst_metrics(perfect):
    metrics = metrics_of(Same(torch.ones_like))
    assert metrics["a2b/silhouette_iou"].value == 0
    assert metrics["b2a/edge_f1"].value == 0
    assert metrics["a2b/color_spread"].value == 0
    assert metrics["a2b/color_energy"].value > 100
    white, chance = metrics["a2b/guided_error"].value, metrics["a2b/chance_error"].value
    assert white == pytest.approx(chance, rel=1e-5)  # white is as far from any other example
    _, (drawings, shoes) = domains()
    for key, images in (("a2b/cycle_error", drawings), ("b2a/paired_error", shoes)):
        x_a = torch.stack([images.truth(i).x_a for i in range(10)])
        assert metrics[key].value == pytest.approx((1 - x_a).mean().item() * 127.5, rel=1e-5)
    assert {key: metric.real for key, metric in metrics.items()} == {
        key: metric.real for key, metric in perfect.items()
    }


def test_copied_images_are_no_translations():
    metrics = metrics_of(Same(lambda x: x))
    assert metrics["a2b/cycle_error"].value == 0  # which alone says nothing
    assert metrics["a2b/silhouette_iou"].value < 0.5
    assert metrics["a2b/guided_error"].value > 60
    assert metrics["a2b/color_spread"].value == 0
    assert metrics["b2a/edge_f1"].value < 0.6
    truths = [domains()[1][1].truth(i) for i in range(10)]
    error = torch.stack([(t.x_a - t.x_b).abs().mean() * 127.5 for t in truths]).mean().item()
    assert metrics["b2a/paired_error"].value == pytest.approx(error, rel=1e-5)


def test_metrics_depend_on_seed_and_not_on_batch_size():
    gens = [AdaINGenerator(dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    for gen in gens:
        initialize(gen, "kaiming")

    def values(seed, batch_size):
        translator = Translator(*gens, device="cpu", batch_size=batch_size)
        metrics = metrics_of(translator, Drawn(inputs=3, styles=5), seed=seed)
        return [metric.value for metric in metrics.values()]

    one = values(0, 1)
    assert values(0, 1) == one
    assert values(0, 4) == pytest.approx(one, rel=1e-5)
    assert values(1, 1) != one


class Photos:
    def __len__(self):
        return 10


def test_other_data_is_refused_however_many_images_there_are():
    train, (drawings, _) = domains()
    task = EvaluationTask(Same(torch.ones_like), train, (drawings, Photos()))
    for protocol in (PROTOCOL, Drawn(inputs=20)):
        with pytest.raises(ValueError, match=r"models of the drawn shoes \(data=drawn\)$"):
            protocol.check(replace(task, test=(Photos(), drawings)))
    with pytest.raises(ValueError, match=r"models of the drawn shoes \(data=drawn\)$"):
        PROTOCOL.check(task)


def test_too_few_drawings_are_refused():
    with pytest.raises(ValueError, match=r"takes 64 test images of domain a, .* 10: .*--limit 10"):
        Drawn().check(EvaluationTask(Same(torch.ones_like), *domains()))
