import pytest
import torch

from munit_pl.inference.styles import edit, random_styles, slerp, sweep


def test_a_style_depends_on_its_number_seed_and_place_alone():
    few, many = random_styles(3, 8, 0, "here"), random_styles(20, 8, 0, "here")
    assert torch.equal(few, many[:3])
    assert not torch.equal(few, random_styles(3, 8, 1, "here"))
    assert not torch.equal(few, random_styles(3, 8, 0, "there"))


def test_styles_are_drawn_from_the_prior():
    z = random_styles(4000, 8, 0)
    assert z.mean(0).abs().max() < 4 / 4000**0.5
    torch.testing.assert_close(z.T.cov(), torch.eye(8), atol=0.1, rtol=0)


def test_slerp_goes_along_the_circle_at_even_speed():
    start, end = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    thirds = slerp(start, end, torch.tensor([0, 1 / 3, 2 / 3, 1]))
    angles = torch.tensor([0, 30, 60, 90]).deg2rad()
    torch.testing.assert_close(thirds, 2 * torch.stack([angles.cos(), angles.sin()], 1))


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0])
def test_slerp_is_straight_where_there_is_no_one_arc(factor):
    start = torch.tensor([1.0, 2.0])
    path = slerp(start, factor * start, torch.tensor([0.0, 0.5, 1.0]))
    straight = [start, (1 + factor) / 2 * start, factor * start]
    torch.testing.assert_close(path, torch.stack(straight))


def test_slerp_ends_at_styles_of_any_length():
    start, end = torch.randn(8), 5 * torch.randn(8)
    path = slerp(start, end, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(path, torch.stack([start, end]))


def test_edit_sets_dimensions_of_a_copy():
    styles = torch.zeros(2, 3)
    edited = edit(styles, {0: 1.5, 2: -2.0})
    assert edited.tolist() == [[1.5, 0, -2]] * 2
    assert not styles.any()


def test_sweep_moves_one_dimension():
    swept = sweep(torch.tensor([1.0, 2.0]), 1, torch.tensor([-3.0, 0.0, 3.0]))
    assert swept.tolist() == [[1, -3], [1, 0], [1, 3]]


@pytest.mark.parametrize("dimension", [-1, 3])
def test_a_dimension_that_is_not_there_is_refused(dimension):
    with pytest.raises(ValueError, match=f"no style dimension {dimension}.*from 0 to 2"):
        edit(torch.zeros(1, 3), {dimension: 0.0})
    with pytest.raises(ValueError, match=f"no style dimension {dimension}"):
        sweep(torch.zeros(3), dimension, torch.zeros(1))
