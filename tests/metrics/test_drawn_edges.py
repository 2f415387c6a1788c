import pytest
import torch

from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.metrics.drawn_edges import edge_f1, ink


def inked(*pixels, size=8):
    """A white picture with black pixels, each (row, column)."""
    x = torch.ones(1, 3, size, size)
    for row, column in pixels:
        x[:, :, row, column] = -1
    return x


@pytest.fixture
def ring():
    """The outline of a square of five by five: 16 pixels."""
    return inked(*[(i, j) for i in range(1, 6) for j in range(1, 6) if {i, j} & {1, 5}])


@pytest.fixture
def drawings():
    shoes = DrawnShoes("a", "test", 64)
    return torch.stack([shoes.load(i) for i in range(64)])


def within(mask, other, distance):
    """By brute force: which pixels of one mask have one of the other within a distance."""
    near = torch.zeros_like(mask)
    here, there = mask.nonzero(), other.nonzero()
    close = torch.cdist(here.float(), there.float(), p=torch.inf).amin(1) <= distance
    near[here[:, 0], here[:, 1]] = close
    return near


def test_ink_is_what_is_dark_on_the_mean_of_the_channels():
    values = [[-1.0, -1.0, -1.0], [-1.0, 0.5, 0.5], [1.0, 1.0, -1.0]]
    x = torch.tensor(values).T.view(1, 3, 1, 3)
    assert ink(x).flatten().tolist() == [True, True, False]


def test_ink_starts_at_7_sixteenths_of_a_pixel():
    x = torch.tensor([1 - 2 * 7 / 16, 1 - 2 * 6 / 16]).view(1, 1, 1, 2)
    assert ink(x).tolist() == [[[True, False]]]


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (48, 96)])
def test_no_pixel_that_a_line_touches_is_far_from_ink(size):
    shoes = DrawnShoes("a", "test", 8, size)
    for i in range(8):
        x = shoes.load(i)
        touched = x[0] < 1
        read = ink(x[None])[0]
        assert not (read & ~touched).any()
        assert torch.equal(within(touched, read, 1), touched)


def test_small_errors_do_not_change_the_ink_of_true_drawings(drawings):
    error = 0.1 * torch.rand(64, 1, 64, 64) - 0.05
    assert torch.equal(ink(drawings + error), ink(drawings))


@pytest.mark.parametrize("tolerance", [0, 1])
def test_true_drawings_score_one_against_themselves(drawings, tolerance):
    assert edge_f1(drawings, drawings, tolerance).tolist() == [1.0] * 64


# Without tolerance only the top and the bottom row meet, in 4 pixels each: 8 of 16.
@pytest.mark.parametrize(("tolerance", "f1"), [(0, 0.5), (1, 1.0)])
def test_a_ring_shifted_by_one_pixel(ring, tolerance, f1):
    assert edge_f1(ring.roll(1, -1), ring, tolerance).tolist() == [f1]


# Precision 4/6, recall 1, and their harmonic mean 2 * (4/6) / (10/6).
def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    line, longer = inked(*[(1, j) for j in range(4)]), inked(*[(1, j) for j in range(6)])
    assert edge_f1(longer, line, 0).tolist() == pytest.approx([0.8])
    assert edge_f1(line, longer, 0).tolist() == pytest.approx([0.8])
    assert edge_f1(longer, line, 1).tolist() == pytest.approx([2 * (5 / 6) / (11 / 6)])


@pytest.mark.parametrize(("tolerance", "f1"), [(1, 0.0), (2, 1.0)])
def test_a_diagonal_step_is_one_step(tolerance, f1):
    assert edge_f1(inked((3, 3)), inked((5, 5)), tolerance).tolist() == [f1]


def test_what_leaves_a_picture_does_not_come_back_on_the_other_side():
    assert edge_f1(inked((0, 0)), inked((0, 7)), 1).tolist() == [0.0]


def test_a_picture_without_ink_scores_nothing(ring):
    blank = torch.ones_like(ring)
    assert edge_f1(blank, ring, 1).tolist() == [0.0]
    assert edge_f1(ring, blank).tolist() == [0.0]
    assert edge_f1(blank, blank).tolist() == [0.0]


def test_each_picture_has_a_score_of_its_own(ring):
    x, truth = torch.cat([ring, torch.ones_like(ring)]), torch.cat([ring, ring])
    assert edge_f1(x, truth).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("tolerance", [0, 1, 3])
def test_scores_are_those_of_a_search_through_all_pairs_of_pixels(tolerance):
    x, truth = torch.where(torch.rand(2, 4, 1, 12, 20) < 0.05, -1.0, 1.0)
    for i, score in enumerate(edge_f1(x, truth, tolerance).tolist()):
        drawn, true = x[i, 0] < 0, truth[i, 0] < 0
        precision = within(drawn, true, tolerance).sum() / drawn.sum()
        recall = within(true, drawn, tolerance).sum() / true.sum()
        hoped = 2 / (1 / precision + 1 / recall)
        assert score == pytest.approx(hoped.item())


def test_a_negative_tolerance_is_refused(ring):
    with pytest.raises(ValueError, match="tolerance is -1, but must be at least 0"):
        edge_f1(ring, ring, -1)
