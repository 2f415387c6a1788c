import io
from statistics import NormalDist

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.evaluation.codes import Reading
from munit_pl.evaluation.codes_plots import plot_readings, plot_style_histograms

BLUE, ORANGE = (0x25, 0x63, 0xA8), (0xD9, 0x77, 0x06)


def opened(png):
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def width(content, style, color):
    """The columns of the wider mark of a color below the legend: a bar's, or at 0 none."""
    readings = [Reading("truth", "content", "R²", content, style, 0.0)]
    picture = opened(plot_readings(readings))
    marks = (np.abs(picture - color).max(2) < 8)[len(picture) // 3 :]
    return marks.sum(1).max()


def test_bars_are_as_long_as_what_is_read():
    whole = width(1.0, 0.0, BLUE)
    assert whole > 200
    assert width(0.5, 0.0, BLUE) == pytest.approx(whole / 2, abs=2)
    assert width(0.0, 1.0, ORANGE) == pytest.approx(whole, abs=2)
    assert width(0.0, 1.0, BLUE) <= 2


def test_a_reading_below_the_mean_is_drawn_to_the_edge_and_no_number_as_if_it_were():
    whole = width(1.0, 0.0, BLUE)
    for odd in (-0.25, -7.0, float("nan")):
        assert width(odd, 0.0, BLUE) == pytest.approx(whole / 4, abs=3)


def test_plots_of_readings_are_the_same_each_time():
    readings = [Reading("kind", "content", "accuracy", 0.9, 0.4, 0.3)] * 3
    assert plot_readings(readings) == plot_readings(readings)
    other = [*readings[:2], readings[2]._replace(chance=0.5)]
    assert plot_readings(readings) != plot_readings(other)


def test_every_dimension_has_a_panel_four_in_a_row():
    def inches(dimensions):
        height, width, _ = opened(plot_style_histograms(torch.randn(50, dimensions))).shape
        return width / 110, height / 110

    assert inches(1) == pytest.approx((2.4, 1.7), abs=0.01)
    assert inches(6) == pytest.approx((9.6, 3.4), abs=0.01)


def test_normal_styles_fill_the_curve_and_narrow_ones_do_not():
    """Bars under a curve of the same height hide little of it; a narrow set's tower over it."""
    quantiles = [NormalDist().inv_cdf((i + 0.5) / 400) for i in range(400)]

    def filled(values):
        picture = opened(plot_style_histograms(torch.tensor(values)[:, None]))
        return (picture[..., 2] - picture[..., 0] > 60).any(0).sum()  # columns that hold a bar

    assert filled(quantiles) > 5 * filled([0.0 * value for value in quantiles]) > 0
