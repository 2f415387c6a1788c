import pytest
import torch

from munit_pl.data.drawn import DrawnShoes
from munit_pl.metrics.drawn import (
    body_colour,
    colour_error,
    colour_spread,
    silhouette,
    silhouette_iou,
)


def painted(mask, rgb):
    """White pictures with one colour, given in [0, 255], where the mask is."""
    colour = torch.tensor(rgb)[:, None, None] / 127.5 - 1
    return torch.where(mask[:, None], colour, 1.0)


@pytest.fixture
def square():
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[:, 2:6, 2:6] = True
    return mask


@pytest.mark.parametrize("size", [(64, 64), (48, 96)])
def test_silhouette_can_be_read_off_real_pictures(size):
    shoes = DrawnShoes("b", "test", 100, size)
    truths = [shoes.truth(i) for i in range(100)]
    x, mask = (torch.stack([getattr(t, f) for t in truths]) for f in ("x_b", "silhouette"))
    iou = silhouette_iou(x, mask)
    assert iou.mean() >= 0.985
    assert iou.min() >= 0.94


@pytest.mark.parametrize("rgb", [(255.0, 255.0, 0.0), (0.0, 0.0, 0.0), (130.0, 255.0, 255.0)])
def test_silhouette_takes_any_colour_with_a_dark_channel(square, rgb):
    assert torch.equal(silhouette(painted(square, rgb)), square)


def test_silhouette_leaves_out_a_ground_that_is_not_quite_white(square):
    assert not silhouette(painted(square, (180.0, 180.0, 180.0))).any()


@pytest.mark.parametrize(("shift", "iou"), [(0, 1.0), (1, 12 / 20), (2, 8 / 24), (4, 0.0)])
def test_iou_of_a_shifted_square(square, shift, iou):
    x = painted(square, (200.0, 0.0, 0.0)).roll(shift, -1)
    assert silhouette_iou(x, square).tolist() == pytest.approx([iou])


def test_body_colour_is_the_mean_over_the_mask_only(square):
    x = painted(square, (200.0, 40.0, 0.0))
    x[:, :, 2:4] = -1  # half of the square, and ground beside it
    torch.testing.assert_close(body_colour(x, square), torch.tensor([[100.0, 20.0, 0.0]]))


def test_real_body_colour_is_the_true_one_times_the_light():
    truth = DrawnShoes("b", "test", 1).truth(0)
    light = body_colour(truth.x_b[None], truth.upper[None])[0] / torch.tensor(truth.shoe.body) / 255
    torch.testing.assert_close(light, light[:1].expand(3), atol=1e-3, rtol=0)
    assert 0.75 < light[0] < 1.05


def test_colour_error_averages_over_channels():
    colour = torch.tensor([[0.0, 10.0, 20.0], [5.0, 5.0, 5.0]])
    target = torch.tensor([[3.0, 4.0, 20.0], [5.0, 5.0, 5.0]])
    assert colour_error(colour, target).tolist() == [3.0, 0.0]


def test_spread_of_two_colours():
    colours = torch.tensor([[0.0, 0.0, 0.0], [2.0, 4.0, 4.0]])  # variances 2, 8, 8
    assert colour_spread(colours).item() == pytest.approx(18**0.5)


def test_spread_per_shape_does_not_see_how_shapes_differ():
    colours = torch.tensor([[0.0, 0.0, 0.0], [2.0, 4.0, 4.0]])
    shapes = torch.stack([colours, colours + 100])
    assert colour_spread(shapes).item() == pytest.approx(18**0.5)


def test_spread_averages_variances_over_shapes():
    still = torch.zeros(2, 3)
    moving = torch.tensor([[0.0, 0.0, 0.0], [2.0, 4.0, 4.0]])
    assert colour_spread(torch.stack([still, moving])).item() == pytest.approx(3.0)
