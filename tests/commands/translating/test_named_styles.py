from math import cos, sin

import pytest
import torch

from munit_pl.commands.errors import InputError
from munit_pl.commands.translating.styles import (
    NamedStyle,
    edited,
    interpolated,
    named_examples,
    named_mean,
    named_random,
    swept,
)
from munit_pl.inference.styles import random_styles


def style(label, *code):
    return NamedStyle(label, {"is": label}, torch.tensor(code))


def stacked(styles):
    return torch.stack([style.code for style in styles])


def test_random_styles_are_the_librarys_and_numbered():
    styles = named_random(3, 8, 5)
    assert [style.label for style in styles] == ["s00", "s01", "s02"]
    assert torch.equal(stacked(styles), random_styles(3, 8, 5))
    assert styles[2].how == {"random": 2, "seed": 5}


def test_an_input_has_styles_of_its_own_that_know_whose_they_are():
    shared, own = named_random(1, 8, 5)[0], named_random(1, 8, 5, "sub/x")[0]
    assert torch.equal(own.code, random_styles(1, 8, 5, "sub/x")[0])
    assert not torch.equal(own.code, shared.code)
    assert own.how == {"random": 0, "seed": 5, "of": "sub/x"}


def test_examples_are_called_after_their_files_without_underscores(tmp_path):
    """What follows the last underscore of an output's name is its style."""
    names = ["u/red_boot.png", "v/red-boot.jpg", "blue.png"]
    files = [tmp_path / name for name in names]
    for path in files:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"abc")
    styles = named_examples(files, torch.eye(3))
    assert [style.label for style in styles] == [
        "like-red-boot.png",
        "like-red-boot.jpg",
        "like-blue",
    ]
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of FIPS 180
    assert styles[0].how == {"like": "red_boot.png", "sha256": sha}
    assert torch.equal(stacked(styles), torch.eye(3))


def test_the_mean_is_that_of_the_styles_and_names_the_examples():
    mean = named_mean([style("x", 1.0, 4.0), style("y", 3.0, 0.0)])
    assert mean.label == "mean"
    assert mean.code.tolist() == [2.0, 2.0]
    assert mean.how == {"mean": [{"is": "x"}, {"is": "y"}]}


def test_an_arc_begins_and_ends_with_the_styles_themselves_and_turns_evenly():
    way = interpolated([style("x", 1.0, 0.0), style("y", 0.0, 1.0)], 4)
    angles = [i * torch.pi / 6 for i in range(4)]
    expected = torch.tensor([[cos(angle), sin(angle)] for angle in angles])
    torch.testing.assert_close(stacked(way), expected)
    assert [style.label for style in way] == [f"arc00-00{i}" for i in range(4)]
    assert way[1].how == {"from": {"is": "x"}, "to": {"is": "y"}, "fraction": [1, 3]}


def test_where_two_arcs_meet_the_style_comes_once():
    corners = [style("x", 1.0, 0.0), style("y", 0.0, 1.0), style("z", 1.0, 1.0)]
    way = interpolated(corners, 3)
    assert len(way) == 5
    for i, corner in zip((0, 2, 4), corners, strict=True):
        torch.testing.assert_close(way[i].code, corner.code)
    assert [style.label for style in way[3:]] == ["arc01-001", "arc01-002"]


def test_one_style_has_no_way_to_another():
    with pytest.raises(InputError, match="there is only like-x: choose two or more"):
        interpolated([style("like-x", 1.0)], 5)


def test_editing_sets_the_dimension_of_every_style_and_says_so():
    styles = edited([style("x", 1.0, 2.0), style("y", 3.0, 4.0)], {1: -0.5})
    assert stacked(styles).tolist() == [[1.0, -0.5], [3.0, -0.5]]
    assert styles[1].label == "y"
    assert styles[1].how == {"is": "y", "set": {"1": -0.5}}


def test_a_sweep_shows_each_style_over_the_range():
    styles = swept([style("x", 1.0, 2.0), style("y", 3.0, 4.0)], 0, -2.0, 2.0, 3)
    assert stacked(styles).tolist() == [[v, s] for s in (2.0, 4.0) for v in (-2.0, 0.0, 2.0)]
    assert [style.label for style in styles][2:4] == ["x-d0-02", "y-d0-00"]
    assert styles[0].how == {"is": "x", "sweep": {"0": -2.0}}
    with pytest.raises(ValueError, match="no style dimension 2"):
        swept(styles, 2, 0, 1, 2)
