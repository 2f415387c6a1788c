import xml.etree.ElementTree as ElementTree

import pytest

from munit_pl.reports.curves import draw_panel, draw_sections, smoothed, thin, ticks


def lines(figure):
    """The points of a panel's lines, by class."""
    return {
        line.get("class"): [
            tuple(float(x) for x in pair.split(",")) for pair in line.get("points").split()
        ]
        for line in ElementTree.fromstring(figure).iter("polyline")
    }


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 4.0, [0, 1, 2, 3, 4]),
        (0.0, 1.0, [0, 0.5, 1.0]),
        (-0.3, 0.9, [0, 0.5]),
        (1e-5, 5e-5, [1e-5, 2e-5, 3e-5, 4e-5, 5e-5]),
        (980.0, 1030.0, [980, 1000, 1020]),
    ],
)
def test_ticks_are_two_to_five_round_numbers(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_a_line_goes_from_the_left_margin_to_the_right_and_up_with_the_values():
    drawn = lines(draw_panel("x", {"": {0: 1.0, 10: 3.0, 20: 2.0}}))["raw line0"]
    assert [x for x, _ in drawn] == [56, 214, 372]
    heights = [y for _, y in drawn]
    assert heights[1] < heights[2] < heights[0]  # downwards in SVG
    assert heights[2] == pytest.approx((heights[0] + heights[1]) / 2, abs=0.1)


def test_the_legend_has_each_curves_last_value():
    figure = draw_panel("gen/image", {"a": {0: 5.0, 1: 0.25}, "b": {0: 1.0}})
    text = "".join(ElementTree.fromstring(figure).itertext())
    assert "gen/image" in text
    assert "a 0.25" in text
    assert "b 1" in text
    assert set(lines(figure)) == {"raw line0", "raw line1", "smooth line0", "smooth line1"}


@pytest.mark.parametrize("points", [{0: 1.0}, {0: 0.0, 1: 0.0}, {3: -2.0, 4: -2.0}])
def test_a_constant_and_a_single_value_are_drawn_in_the_middle(points):
    drawn = lines(draw_panel("x", {"": points}))["raw line0"]
    assert {y for _, y in drawn} == {83.0}  # between the margins of 8 and 22, of 180


def test_one_outlier_in_a_hundred_does_not_flatten_the_rest():
    points = {i: float(i % 2) for i in range(200)} | {100: 1e6}
    drawn = lines(draw_panel("x", {"": points}))["raw line0"]
    heights = sorted(y for _, y in drawn)
    assert heights[-1] - heights[0] > 100
    assert heights[0] >= 8


def test_long_lines_are_thinned_to_means():
    line = [(float(i), float(i % 2)) for i in range(2400)]
    thinned = thin(line)
    assert len(thinned) == 240
    assert thinned[0] == (4.5, 0.5)
    assert thin(line[:3]) == line[:3]


def test_smoothing_takes_less_at_the_ends():
    line = [(float(i), float(i)) for i in range(40)]  # reaches one to each side
    values = [y for _, y in smoothed(line)]
    assert values[:2] == [0.5, 1]
    assert values[-1] == 38.5


def test_titles_cannot_be_markup():
    assert "<script>" not in draw_panel("<script>", {"<b": {0: 1.0}})
    sections = draw_sections({"gen/<script>_a": {0: 1.0}, "<script>/x": {0: 1.0}})
    assert sections.count("<svg") == 2
    assert "<script>" not in sections
