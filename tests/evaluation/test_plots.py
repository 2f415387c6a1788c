import csv
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.evaluation.plots import (
    moving_average,
    plot_curves,
    plot_distributions,
    plot_figures,
    plot_style_map,
)
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


def figure(value, real, better="lower", label="measure"):
    return MetricValue("a2b/measure", label, value, better, real)


def test_every_figure_with_a_real_value_has_a_row():
    rows = [figure(1.0, 0.5), figure(2.0, 0.0), figure(0.3, 0.9)]
    assert inches(plot_figures(rows[:1])) == pytest.approx((9.5, 0.7 + 0.34), abs=1 / DPI)
    assert inches(plot_figures(rows)) == pytest.approx((9.5, 0.7 + 3 * 0.34), abs=1 / DPI)
    assert plot_figures([figure(7.0, None), *rows]) == plot_figures(rows)


MODEL, REAL = (0x25, 0x63, 0xA8), (0xD9, 0x77, 0x06)


def left(value, real, color):
    """The first column of a color: where the mark begins, since its number is on the right."""
    picture = opened(plot_figures([figure(value, real)]))
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


def test_the_scale_of_a_negative_figure_starts_there():
    zero, one = left(0.0, 1.0, MODEL), left(1.0, 0.5, MODEL)
    assert left(-0.1, 0.3, MODEL) == zero
    assert left(0.0, -0.3, MODEL) == left(0.1, -0.3, MODEL) == one


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_odd_values_can_be_drawn(value):
    opened(plot_figures([figure(value, 0.0), figure(1.0, 2.0)]))


def test_figures_without_any_real_value_give_a_picture_that_says_so():
    png = plot_figures([figure(1.0, None)])
    assert (opened(png) < 128).any()
    assert png == plot_figures([])


def write_log(path, rows):
    columns = sorted({column for row in rows for column in row})
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(steps, by=1.0):
    return [
        {
            "step": i,
            "gen/total": by / (1 + i),
            "gen/image_a": 0.1 * i,
            "gen/image_b": 0.2,
            "epoch": 0,
        }
        for i in steps
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The plot of a log without gaps."""
    path = tmp_path_factory.mktemp("whole") / "metrics.csv"
    return plot_curves([write_log(path, rows_of(range(30)))], [])


def write_evaluation(folder, iteration, value):
    path = folder / f"{iteration:08d}" / "metrics.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"figures": {"a2b/f": {"value": value, "real": 0.5}}}))
    return path


def test_there_is_no_plot_without_anything_to_draw(tmp_path):
    assert plot_curves([], []) is None
    assert plot_curves([tmp_path / "metrics.csv"], [tmp_path / "00001000" / "metrics.json"]) is None
    nothing = write_log(tmp_path / "rates.csv", [{"step": 1, "gen/lr": 0.1, "epoch": 0}])
    assert plot_curves([nothing], []) is None


def test_every_loss_has_a_panel_and_domains_share_one(tmp_path, whole):
    log = write_log(tmp_path / "metrics.csv", rows_of(range(30)))
    assert inches(whole) == pytest.approx((2 * 3.2, 1.9), abs=1 / DPI)
    evaluations = [write_evaluation(tmp_path, i, 1 / i) for i in (1000, 2000)]
    assert inches(plot_curves([log], evaluations)) == pytest.approx((3 * 3.2, 1.9), abs=1 / DPI)
    assert inches(plot_curves([], evaluations)) == pytest.approx((3.2, 1.9), abs=1 / DPI)


def test_curves_show_the_numbers(tmp_path, whole):
    other = write_log(tmp_path / "other.csv", rows_of(range(30), by=2.0))
    assert (opened(plot_curves([other], [])) != opened(whole)).any()


def test_rows_with_gaps_give_the_curves_of_full_rows(tmp_path, whole):
    rows = [
        {"step": row["step"], column: row[column]}
        for row in rows_of(range(30))
        for column in ("gen/total", "gen/image_a", "gen/image_b")
    ]
    assert plot_curves([write_log(tmp_path / "metrics.csv", rows)], []) == whole


def test_a_resumed_run_gives_one_curve(tmp_path, whole):
    """The second log starts at 15: what the first has from there on was trained again."""
    first = rows_of(range(15)) + rows_of(range(15, 40), by=9.0)
    logs = [
        write_log(tmp_path / "0.csv", first),
        write_log(tmp_path / "1.csv", rows_of(range(15, 30))),
    ]
    assert plot_curves(logs, []) == whole


def test_a_log_that_was_cut_off_is_drawn_as_far_as_it_goes(tmp_path, whole):
    log = write_log(tmp_path / "metrics.csv", rows_of(range(30)))
    with log.open("a", newline="") as file:
        file.write("0,0.")  # the epoch, half of the next, and no step
    assert plot_curves([log], []) == whole


def test_evaluations_are_ordered_by_their_iteration(tmp_path):
    paths = [write_evaluation(tmp_path, i, 1 / i) for i in (2000, 1000, 10000)]
    assert plot_curves([], paths) == plot_curves([], paths[::-1])


def test_a_moving_average_takes_fewer_values_at_the_ends():
    values = np.array([3.0, 0, 0, 6, 0])
    assert moving_average(values, 3).tolist() == pytest.approx([1.5, 1, 2, 2, 3])
    assert moving_average(values, 1).tolist() == values.tolist()


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
