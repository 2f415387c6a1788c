import io

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.evaluation.plots import plot_distributions, plot_metrics, plot_style_map
from munit_pl.evaluation.report import MetricValue
from munit_pl.evaluation.style_space import Layer, Moments, StyleMap
from munit_pl.evaluation.task import Direction

DPI = 110


def opened(png):
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB")).astype(int)


def inches(png):
    height, width, _ = opened(png).shape
    return width / DPI, height / DPI


def test_every_distribution_has_a_panel_two_in_a_row():
    values = [0.1, 0.2, 0.4]
    for n, size in ((1, (4.6, 2.3)), (3, (9.2, 4.6))):
        png = plot_distributions({f"label {i}": values for i in range(n)})
        assert inches(png) == pytest.approx(size, abs=1 / DPI)


def test_histograms_show_the_values_and_are_the_same_each_time():
    png = plot_distributions({"diversity": [0.1, 0.2, 0.4]})
    assert png == plot_distributions({"diversity": [0.1, 0.2, 0.4]})
    assert (opened(png) != opened(plot_distributions({"diversity": [0.1, 0.3, 0.4]}))).any()


def test_values_that_are_not_finite_are_said_to_be_left_out():
    without = opened(plot_distributions({"x": [0.1, 0.2]}))
    left_out = opened(plot_distributions({"x": [0.1, float("nan"), 0.2, float("inf")]}))
    rows = np.flatnonzero((without != left_out).any((1, 2)))
    assert len(rows)
    assert rows.max() < len(without) // 4  # the title alone differs
    opened(plot_distributions({"x": [float("nan")]}))


def test_no_distribution_is_refused():
    with pytest.raises(ValueError, match="no values"):
        plot_distributions({})


def metric(value, real, better="lower", label="measure"):
    return MetricValue("a2b/measure", label, value, better, real)


def test_every_metric_with_a_real_value_has_a_row():
    rows = [metric(1.0, 0.5), metric(2.0, 0.0), metric(0.3, 0.9)]
    assert inches(plot_metrics(rows[:1])) == pytest.approx((9.5, 0.7 + 0.34), abs=1 / DPI)
    assert inches(plot_metrics(rows)) == pytest.approx((9.5, 0.7 + 3 * 0.34), abs=1 / DPI)
    assert plot_metrics([metric(7.0, None), *rows]) == plot_metrics(rows)


MODEL, REAL = (0x25, 0x63, 0xA8), (0xD9, 0x77, 0x06)


def left(value, real, color):
    """The first column of a color: where the mark begins, since its number is on the right."""
    picture = opened(plot_metrics([metric(value, real)]))
    return np.flatnonzero((np.abs(picture - color).max(2) < 8).any(0)).min()


def test_a_row_is_scaled_by_its_greater_value():
    scale = 100.0
    zero, one = left(0.0, scale, MODEL), left(scale, scale / 2, MODEL)
    for share in (0.25, 0.75):
        at = left(share * scale, scale, MODEL)
        assert (at - zero) / (one - zero) == pytest.approx(share, abs=0.005)
    zero, one = left(scale, 0.0, REAL), left(scale / 2, scale, REAL)
    at = left(scale, 0.3 * scale, REAL)
    assert (at - zero) / (one - zero) == pytest.approx(0.3, abs=0.005)


def test_the_scale_of_a_negative_metric_starts_there():
    zero, one = left(0.0, 1.0, MODEL), left(1.0, 0.5, MODEL)
    assert left(-0.1, 0.3, MODEL) == zero
    assert left(0.0, -0.3, MODEL) == left(0.1, -0.3, MODEL) == one


def test_long_numbers_stand_apart():
    picture = opened(plot_metrics([metric(-1.234e-05, -1.882e-05), metric(144.4, -1.882e-05)]))
    beside = picture[:, 2 * picture.shape[1] // 3 :]
    redder = beside[:, :, 0] - beside[:, :, 2]  # thin strokes are pale: a minus, an e
    model, real = (np.flatnonzero((hue > 30).any(0)) for hue in (-redder, redder))
    assert real.min() - model.max() > 8


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_odd_values_can_be_drawn(value):
    opened(plot_metrics([metric(value, 0.0), metric(1.0, 2.0)]))


def test_metrics_without_any_real_value_give_a_picture_that_says_so():
    png = plot_metrics([metric(1.0, None)])
    assert (opened(png) < 128).any()
    assert png == plot_metrics([])


def style_map(color="red", mean=0.0, points=((0.0, 0.0), (1.0, 2.0), (2.0, 0.0))):
    places = torch.tensor(points).double()
    layer = Layer(places, {1: Image.new("RGB", (8, 4), color)})
    found = Moments(torch.full((3,), mean).double(), torch.ones(3).double())
    return StyleMap(Direction("a", "b"), layer, layer, 0.2, (0.6, 0.2), found)


def test_a_map_shows_pictures_in_true_colors_and_proportion():
    picture = opened(plot_style_map(style_map()))
    assert picture.shape == (round(7.6 * DPI), 11 * DPI, 3)
    half = (picture[:, : 11 * DPI // 2] == (255, 0, 0)).all(2)
    height, width = (np.ptp(np.flatnonzero(half.any(axis))) + 1 for axis in (1, 0))
    assert width / height == pytest.approx(2, abs=0.1)
    assert half.sum() == pytest.approx(width * height, rel=0.05)  # a dot and edges apart


def test_maps_show_their_data_and_are_the_same_each_time():
    png = plot_style_map(style_map())
    assert png == plot_style_map(style_map())
    for other in (style_map(mean=0.5), style_map(points=((0.0, 0.5), (1.0, 2.0), (2.0, 0.0)))):
        assert (opened(png) != opened(plot_style_map(other))).any()
