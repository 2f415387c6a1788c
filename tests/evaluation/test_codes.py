import math

import pytest
import torch

from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.drawn.shoes import KINDS
from munit_pl.evaluation.codes import (
    drawn_independence,
    encoded_styles,
    recovered_styles,
    style_augmented_cycle,
)
from munit_pl.evaluation.task import EvaluationTask

SIZE = (16, 16)


class Stub:
    """A translator whose codes and pictures are given as functions of pictures."""

    def __init__(self, style=None, content=None, show=None):
        self.style, self.content, self.show = style, content, show

    def encode_style(self, x, domain):
        return torch.stack([self.style(image) for image in x])

    def encode_content(self, x, domain):
        return torch.stack([self.content(image) for image in x])

    def translate(self, x, styles, to):
        styles = styles.expand(len(x), -1, -1)
        pairs = zip(x, styles, strict=True)
        return torch.stack([torch.stack([self.show(y, s) for s in each]) for y, each in pairs])


def make_subject(translator, train=60, test=40):
    splits = {"train": train, "test": test}
    domains = [
        tuple(DrawnShoes(domain, split, n, SIZE) for domain in ("a", "b"))
        for split, n in splits.items()
    ]
    return EvaluationTask(translator, *domains)


def known(task, domain, what):
    """A code that is made from the truth: it finds a picture's shoe by its pixels."""
    codes = {}
    for images in (task.train_images(domain), task.test_images(domain)):
        for i in range(len(images)):
            truth = images.truth(i)
            picture = truth.x_a if domain == "a" else truth.x_b
            codes[picture.numpy().tobytes()] = what(truth)
    return lambda image: codes[image.numpy().tobytes()]


def colors(truth):
    return torch.tensor([*truth.shoe.body, *truth.shoe.sole])


def shape(truth):
    """A content map of 16 channels at 8 by 8 whose places tell nothing."""
    shoe, mask = truth.shoe, truth.silhouette.float()
    numbers = [shoe.height, shoe.toe, shoe.sole_height, shoe.opening, shoe.faces_left]
    kind = [float(shoe.kind == kind) for kind in KINDS]
    seen = [mask.mean().item(), mask.amax(1).mean().item()]
    return torch.tensor([*numbers, *kind, *seen])[:, None, None].expand(-1, 8, 8)


@pytest.fixture(scope="module")
def ideal():
    """Readings of codes that are the truth: colors in the style, shape in the content."""
    task = make_subject(Stub())
    task.translator.style = known(task, "b", colors)
    task.translator.content = known(task, "b", shape)
    return drawn_independence(task, "b")


def test_codes_made_of_the_truth_tell_all_of_their_own_part(ideal):
    assert {(reading.part, reading.measure) for reading in ideal} == {
        ("style", "R²"),
        ("content", "R²"),
        ("content", "accuracy"),
    }
    assert [reading.part for reading in ideal].count("style") == 6
    for reading in ideal:
        assert getattr(reading, reading.part) == pytest.approx(1, abs=1e-3), reading.truth


def test_codes_made_of_the_truth_tell_nothing_of_the_other_part(ideal):
    """Colors are drawn apart from shapes: with 40 test shoes four deviations of R are 0.63."""
    for reading in ideal:
        other = reading.content if reading.part == "style" else reading.style
        assert other < reading.chance + 0.63**2, reading.truth


def test_chance_is_the_most_frequent_class_of_the_test_images(ideal):
    images = DrawnShoes("b", "test", 40, SIZE)
    kinds = [images.truth(i).shoe.kind for i in range(40)]
    left = sum(images.truth(i).shoe.faces_left for i in range(40))
    by_name = {reading.truth: reading.chance for reading in ideal}
    assert by_name["kind of shoe"] == pytest.approx(max(map(kinds.count, KINDS)) / 40)
    assert by_name["way it faces"] == pytest.approx(max(left, 40 - left) / 40)
    assert by_name["body, red"] == 0


def test_parts_that_are_exchanged_are_told_so():
    task = make_subject(Stub())
    task.translator.style = known(task, "b", lambda truth: shape(truth)[:, 0, 0])
    task.translator.content = known(
        task, "b", lambda truth: colors(truth)[:, None, None].expand(-1, 4, 4)
    )
    for reading in drawn_independence(task, "b"):
        told, other = reading.style, reading.content
        told, other = (told, other) if reading.part == "content" else (other, told)
        assert told == pytest.approx(1, abs=1e-3), reading.truth
        assert other < reading.chance + 0.63**2, reading.truth


def test_line_drawings_are_read_from_their_own_pictures():
    task = make_subject(Stub())
    task.translator.style = lambda image: torch.ones(2)
    task.translator.content = known(task, "a", shape)
    for reading in drawn_independence(task, "a"):
        if reading.part == "content":
            assert reading.content == pytest.approx(1, abs=1e-3), reading.truth
        assert reading.style < 0.01 or reading.measure == "accuracy"


def test_only_the_truth_about_drawn_shoes_is_known():
    images = [torch.zeros(3, 16, 16)]
    with pytest.raises(ValueError, match="drawn shoes only"):
        drawn_independence(EvaluationTask(Stub(), (images, images), (images, images)), "a")


def identity():
    """Shows a picture as it is, whatever the style."""
    return Stub(lambda image: torch.zeros(1), show=lambda x, style: x)


def test_what_changes_nothing_brings_images_back():
    x = torch.rand(3, 3, 4, 4) * 2 - 1
    assert style_augmented_cycle(identity(), x, torch.randn(2, 1), "a").tolist() == [0, 0, 0]


def carried():
    """Adds the style to the picture's values, less its own, which the first pixel tells."""
    return Stub(lambda image: image[0, 0, :1], show=lambda x, s: x - x[0, 0, 0] + s)


def test_a_style_that_can_be_read_off_is_undone():
    x = torch.rand(4, 3, 4, 4) * 2 - 1
    styles = torch.randn(4, 3, 1)
    cycled = style_augmented_cycle(carried(), x, styles, "b")
    assert cycled.tolist() == pytest.approx([0] * 4, abs=1e-4)
    read = recovered_styles(carried(), x, styles, "b")
    assert read.error.item() == pytest.approx(0, abs=1e-6)
    assert read.correlation.item() == pytest.approx(1)


def test_the_way_back_is_averaged_over_an_images_styles():
    """Each way adds the style's size: the own one is 0, the others 0.25 and 0.75."""
    added = Stub(lambda image: torch.zeros(1), show=lambda x, style: x + style)
    styles = torch.tensor([[[0.25], [0.75]], [[0.0], [1.0]], [[0.25], [0.25]]])
    cycled = style_augmented_cycle(added, torch.zeros(3, 1, 2, 2), styles, "a")
    assert cycled.tolist() == pytest.approx([0.5 * 127.5, 0.5 * 127.5, 0.25 * 127.5])


def test_the_way_back_takes_each_images_own_style():
    """The own style replaces all: an image of one value comes back, one of two does not."""
    painted = Stub(lambda image: image[0, 0, :1], show=lambda x, s: torch.zeros_like(x) + s)
    x = torch.tensor([[0.5, 0.5], [-0.25, -0.25], [0.0, 1.0]])[:, None, None]
    cycled = style_augmented_cycle(painted, x, torch.randn(3, 2, 1), "a")
    assert cycled.tolist() == pytest.approx([0, 0, 0.5 * 127.5])


def test_a_style_that_is_not_read_is_off_by_its_own_size():
    """The mean of |z| is sqrt(2 / pi), its deviation over 3000 draws 0.011."""
    read = recovered_styles(identity(), torch.zeros(1000, 1, 2, 2), torch.randn(1000, 3, 1), "a")
    assert read.error.item() == pytest.approx(math.sqrt(2 / math.pi), abs=4 * 0.011)
    assert read.correlation.item() == 0


def test_styles_of_each_dimension_are_compared_by_themselves():
    """The first dimension is read with the wrong sign, the second not at all."""
    mirror = Stub(
        lambda image: torch.stack([-image[0, 0, 0], torch.tensor(2.0)]),
        show=lambda x, style: torch.zeros_like(x) + style[0],
    )
    styles = torch.tensor([[[0.5, 1.0], [-1.5, 3.0]]])
    read = recovered_styles(mirror, torch.zeros(1, 1, 2, 2), styles, "a")
    assert read.error.tolist() == pytest.approx([2, 1])
    assert read.correlation.tolist() == pytest.approx([-1, 0])


def test_styles_of_at_most_200_images_are_encoded_none_twice():
    task = make_subject(Stub(lambda image: image.flatten()), test=230)
    styles = encoded_styles(task, "a")
    assert styles.shape == (200, 3 * 16 * 16)
    assert len(styles.unique(dim=0)) == 200
    assert encoded_styles(make_subject(task.translator, test=5), "a").shape[0] == 5
