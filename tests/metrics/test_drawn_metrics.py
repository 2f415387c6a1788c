from dataclasses import replace

import pytest
import torch

from munit_pl.data.drawn.dataset import DrawnShoes, draw
from munit_pl.metrics.drawn import (
    body_color,
    color_error,
    color_spread,
    drawn_a2b,
    drawn_b2a,
    mean_absolute_error,
    silhouette,
    silhouette_iou,
)


def painted(mask, rgb):
    """White pictures with one color, given in [0, 255], where the mask is."""
    color = torch.tensor(rgb)[:, None, None] / 127.5 - 1
    return torch.where(mask[:, None], color, 1.0)


@pytest.fixture
def square():
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[:, 2:6, 2:6] = True
    return mask


def truths(domain, n):
    shoes = DrawnShoes(domain, "test", n)
    return [shoes.truth(i) for i in range(n)]


def stacked(truths, field):
    return torch.stack([getattr(truth, field) for truth in truths])


def repainted(truth, other):
    """What a perfect translator gives: the one's shape in the other's colors."""
    return draw(replace(truth.shoe, body=other.shoe.body, sole=other.shoe.sole), (64, 64)).x_b


def metrics_of(translate, cycled=None, n=24, k=8):
    """Metrics of a -> b where ``translate(truth, other)`` makes a picture of each pair."""
    drawings, shoes = truths("a", n), truths("b", n)
    styles = [[shoes[(k * i + j) % n] for j in range(k)] for i in range(n)]  # each as often
    pairs = list(zip(drawings, shoes, strict=True))
    rows = [[translate(d, s) for s in row] for d, row in zip(drawings, styles, strict=True)]
    return drawn_a2b(
        translations=torch.stack([torch.stack(row) for row in rows]),
        guided=torch.stack([translate(d, s) for d, s in pairs]),
        cycled=stacked(drawings, "x_a") if cycled is None else cycled,
        drawings=stacked(drawings, "x_a"),
        silhouettes=stacked(drawings, "silhouette"),
        uppers=stacked(drawings, "upper"),
        examples=stacked(shoes, "x_b"),
        example_uppers=stacked(shoes, "upper"),
    )


@pytest.mark.parametrize("size", [(64, 64), (48, 96)])
def test_silhouette_can_be_read_off_real_pictures(size):
    shoes = DrawnShoes("b", "test", 100, size)
    truths = [shoes.truth(i) for i in range(100)]
    x, mask = (torch.stack([getattr(t, f) for t in truths]) for f in ("x_b", "silhouette"))
    iou = silhouette_iou(x, mask)
    assert iou.mean() >= 0.985
    assert iou.min() >= 0.94


@pytest.mark.parametrize("rgb", [(255.0, 255.0, 0.0), (0.0, 0.0, 0.0), (130.0, 255.0, 255.0)])
def test_silhouette_takes_any_color_with_a_dark_channel(square, rgb):
    assert torch.equal(silhouette(painted(square, rgb)), square)


def test_silhouette_leaves_out_a_ground_that_is_not_quite_white(square):
    assert not silhouette(painted(square, (180.0, 180.0, 180.0))).any()


@pytest.mark.parametrize(("shift", "iou"), [(0, 1.0), (1, 12 / 20), (2, 8 / 24), (4, 0.0)])
def test_iou_of_a_shifted_square(square, shift, iou):
    x = painted(square, (200.0, 0.0, 0.0)).roll(shift, -1)
    assert silhouette_iou(x, square).tolist() == pytest.approx([iou])


def test_body_color_is_the_mean_over_the_mask_only(square):
    x = painted(square, (200.0, 40.0, 0.0))
    x[:, :, 2:4] = -1  # half of the square, and ground beside it
    torch.testing.assert_close(body_color(x, square), torch.tensor([[100.0, 20.0, 0.0]]))


def test_real_body_color_is_the_true_one_times_the_light():
    truth = DrawnShoes("b", "test", 1).truth(0)
    light = body_color(truth.x_b[None], truth.upper[None])[0] / torch.tensor(truth.shoe.body) / 255
    torch.testing.assert_close(light, light[:1].expand(3), atol=1e-3, rtol=0)
    assert 0.75 < light[0] < 1.05


def test_color_error_averages_over_channels():
    color = torch.tensor([[0.0, 10.0, 20.0], [5.0, 5.0, 5.0]])
    target = torch.tensor([[3.0, 4.0, 20.0], [5.0, 5.0, 5.0]])
    assert color_error(color, target).tolist() == [3.0, 0.0]


def test_spread_of_two_colors():
    colors = torch.tensor([[0.0, 0.0, 0.0], [2.0, 4.0, 4.0]])  # variances 2, 8, 8
    assert color_spread(colors).item() == pytest.approx(18**0.5)


def test_spread_per_shape_does_not_see_how_shapes_differ():
    colors = torch.tensor([[0.0, 0.0, 0.0], [2.0, 4.0, 4.0]])
    shapes = torch.stack([colors, colors + 100])
    assert color_spread(shapes).item() == pytest.approx(18**0.5)


def test_spread_averages_variances_over_shapes():
    still = torch.zeros(2, 3)
    moving = torch.tensor([[0.0, 0.0, 0.0], [2.0, 4.0, 4.0]])
    assert color_spread(torch.stack([still, moving])).item() == pytest.approx(3.0)


def test_absolute_error_averages_over_each_picture():
    x, truth = torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    x[0, 0, 0, 0], truth[0, 0, 0, 1] = 1.0, 1.0  # two of four values off by half the range
    truth[1] = -1.0
    assert mean_absolute_error(x, truth).tolist() == [63.75, 127.5]


def test_black_is_as_far_from_white_as_can_be():
    white = torch.ones(1, 3, 4, 4)
    assert mean_absolute_error(white, -white).tolist() == [255.0]


def test_perfect_translations_to_b_have_perfect_metrics():
    metrics = metrics_of(repainted)
    assert metrics.silhouette_iou > 0.985
    assert metrics.guided_error < 2  # shading and seams differ a little from shape to shape
    assert metrics.chance_error > 40
    assert metrics.color_spread == pytest.approx(1, abs=0.15)  # by 8 colors of 24
    assert metrics.color_energy < 0.5
    assert metrics.cycle_error == 0


def test_ignoring_the_style_shows_in_all_metrics_of_color():
    metrics = metrics_of(lambda truth, _: truth.x_b)
    assert metrics.guided_error == pytest.approx(metrics.chance_error, rel=0.25)
    assert metrics.guided_error > 40
    assert metrics.color_spread == 0
    assert metrics.color_energy > 2


def test_losing_the_shape_shows_in_the_silhouette():
    assert metrics_of(lambda truth, _: truth.x_b.roll(16, -1)).silhouette_iou < 0.7


# 2 |X - Y| between two point masses, here white and red.
def test_color_energy_is_that_of_the_body_colors(square):
    two = torch.cat([square, square])
    red = painted(two, (200.0, 0.0, 0.0))
    metrics = drawn_a2b(
        translations=torch.ones(2, 3, 3, 8, 8),
        guided=red,
        cycled=red,
        drawings=red,
        silhouettes=two,
        uppers=two,
        examples=red,
        example_uppers=two,
    )
    distance = ((255 - 200) ** 2 + 255**2 + 255**2) ** 0.5
    assert metrics.color_energy == pytest.approx(2 * distance, rel=1e-6)


def test_cycle_error_is_the_mean_difference_from_the_drawings():
    drawings = stacked(truths("a", 24), "x_a")
    metrics = metrics_of(lambda truth, _: truth.x_b, cycled=drawings * 0.8 - 0.2)
    # White falls by 0.4 to 0.6, black stays.
    cover = (drawings + 1).mean().item() / 2
    assert metrics.cycle_error == pytest.approx(0.4 * 127.5 * cover, rel=1e-4)


def test_perfect_translations_to_a_have_perfect_metrics():
    x_a = stacked(truths("b", 4), "x_a")
    assert drawn_b2a(x_a, x_a) == (1.0, 0.0)


def test_metrics_of_b2a_are_means_over_the_pictures():
    x_a = stacked(truths("b", 2), "x_a")
    x_ba = torch.stack([x_a[0], torch.ones_like(x_a[1])])  # one perfect, one white
    ink_share = (1 - x_a[1]).mean().item() / 2
    metrics = drawn_b2a(x_ba, x_a)
    assert metrics.edge_f1 == 0.5
    assert metrics.paired_error == pytest.approx(255 * ink_share / 2)


def test_a_drawing_one_pixel_off_is_not_the_true_one():
    x_a = stacked(truths("b", 4), "x_a")
    metrics = drawn_b2a(x_a.roll(1, -1), x_a)
    assert 0.5 < metrics.edge_f1 < 0.9
    assert metrics.paired_error > 5
