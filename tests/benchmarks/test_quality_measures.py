"""The metrics of ``benchmarks/quality``: truth is perfect, and what is wrong is found to be so."""

from dataclasses import replace

import pytest
import torch

from benchmarks.quality.drawn_sets import COLORS, SHARES, SIZE, SOLE
from benchmarks.quality.emoji_sets import read_shape
from benchmarks.quality.layout import KnownImage, Truth, read_truth, write_images, write_truth
from benchmarks.quality.measures import Translations, expected_modes, measure, perfect
from munit_pl.data.drawn.dataset import DrawnShoes, draw

N = 6


@pytest.fixture(scope="module")
def shoes():
    """Six drawings, in five colors each."""
    drawings = [DrawnShoes("a", "test", N, SIZE).truth(i) for i in range(N)]
    versions = torch.stack(
        [
            torch.stack([draw(replace(d.shoe, body=c, sole=SOLE), SIZE).x_b for c in COLORS])
            for d in drawings
        ]
    )
    return Truth(
        x=torch.stack([d.x_a for d in drawings]),
        versions=versions,
        regions=torch.stack([d.upper for d in drawings]),
        shapes=torch.stack([d.silhouette for d in drawings]),
        real=versions[0],
        examples=torch.arange(5).expand(N, -1),
        shares=torch.tensor(SHARES),
    )


@pytest.fixture(scope="module")
def faces():
    """Black squares, full of one of five tones."""
    x = torch.ones(N, 3, 64, 64)
    region = torch.zeros(N, 64, 64, dtype=torch.bool)
    for i in range(N):
        x[i, :, 10 : 40 + i, 10:50] = -1
        region[i, 12 : 38 + i, 12:48] = True
    tones = torch.tensor([[0.95, 0.7, 0.5], [0.7, 0.5, 0.1], [0.5, 0.2, -0.2], [0.3, -0.1, -0.5]])
    tones = torch.cat([tones, torch.tensor([[-0.2, -0.45, -0.6]])])
    versions = torch.where(region[:, None, None], tones[None, :, :, None, None], x[:, None])
    drawn = torch.where(region[:, None], 1.0, x)
    return Truth(drawn, versions, region, region, versions[0], None, torch.full((5,), 0.2))


def test_the_truth_itself_is_perfect(shoes, faces):
    for name, truth in (("shoes", shoes), ("five", shoes), ("tones", faces)):
        metrics = measure(name, truth, perfect(truth))
        assert metrics["shape"] > 0.98, name
        assert metrics.get("nearest_error", 0) == 0, name
        assert metrics.get("example_error", 0) == 0, name
        assert metrics["share_distance"] < 0.2, name
        assert metrics["spread"] == pytest.approx(1, abs=0.15), name  # of ten draws of five
    assert measure("five", shoes, perfect(shoes))["chance_error"] > 60
    of_any_color = shoes._replace(shares=None)
    assert measure("shoes", of_any_color, perfect(of_any_color))["spread"] == 1


def test_the_other_design_is_perfect_and_the_input_is_not(faces):
    y = faces.versions[:, :1]
    truth = faces._replace(versions=y, shapes=read_shape(y[:, 0]), shares=None)
    assert measure("designs", truth, perfect(truth)) == {"shape": 1, "nearest_error": 0}
    copied = measure("designs", truth, Translations(truth.x[:, None], None))
    assert copied["shape"] < 0.3
    assert copied["nearest_error"] > 30


def test_gray_reaches_one_mode_follows_no_example_and_has_no_shape(shoes, faces):
    for name, truth in (("five", shoes), ("tones", faces)):
        gray = torch.zeros_like(truth.versions)
        metrics = measure(name, truth, Translations(gray, gray))
        assert (metrics["modes"], metrics["spread"]) == (1, 0), name
        assert metrics["share_distance"] >= 0.6, name
        assert metrics["nearest_error"] > 15, name
        assert metrics["example_error"] == pytest.approx(metrics["chance_error"], rel=1e-4), name
        assert metrics["shape"] < 0.5, name


def test_examples_mixed_up_are_followed_no_better_than_by_chance(shoes):
    mixed = shoes.versions.roll(1, 1)
    metrics = measure("five", shoes, Translations(shoes.versions, mixed))
    assert metrics["example_error"] > metrics["chance_error"]
    assert metrics["modes"] == 5
    assert metrics["share_distance"] == pytest.approx(0.25)  # .4 and .25 instead of .2, .2


def test_the_shapes_of_other_images_are_not_the_images_own(shoes, faces):
    for name, truth in (("shoes", shoes), ("tones", faces)):
        others = truth.versions.roll(1, 0)
        own = measure(name, truth, perfect(truth))["shape"]
        assert measure(name, truth, Translations(others, None))["shape"] < own - 0.02, name


def test_fewer_draws_than_it_takes_do_not_meet_all_modes():
    assert expected_modes(torch.tensor([0.5, 0.5])) == pytest.approx(2 - 2 * 0.5**10)


def test_a_set_is_read_as_it_was_written(tmp_path, shoes):
    images = {
        f"{i}": KnownImage(x, y, region, shape, ["p"] * 5)
        for i, (x, y, region, shape) in enumerate(
            zip(shoes.x, shoes.versions, shoes.regions, shoes.shapes, strict=True)
        )
    }
    with pytest.raises(SystemExit, match="holds no set"):
        read_truth(tmp_path)
    write_images(tmp_path / "testB", {"o": shoes.real[0], "p": shoes.real[1]})
    write_truth(tmp_path, images, SHARES)
    read = read_truth(tmp_path)
    assert torch.allclose(read.versions, shoes.versions, atol=1 / 250)
    assert torch.equal(read.regions, shoes.regions)
    assert torch.equal(read.shapes, shoes.shapes)
    assert read.examples.eq(1).all()
    assert read.examples.shape == (N, 5)
