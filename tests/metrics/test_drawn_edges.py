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


def test_true_drawings_score_one_against_themselves(drawings):
    assert edge_f1(drawings, drawings).tolist() == [1.0] * 64


# Only the top and the bottom row meet, in 4 pixels each: 8 of 16.
def test_a_ring_shifted_by_one_pixel(ring):
    assert edge_f1(ring.roll(1, -1), ring).tolist() == [0.5]


# Precision 4/6, recall 1, and their harmonic mean 2 * (4/6) / (10/6).
def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    line, longer = inked(*[(1, j) for j in range(4)]), inked(*[(1, j) for j in range(6)])
    assert edge_f1(longer, line).tolist() == pytest.approx([0.8])
    assert edge_f1(line, longer).tolist() == pytest.approx([0.8])


def test_a_picture_without_ink_scores_nothing(ring):
    blank = torch.ones_like(ring)
    assert edge_f1(blank, ring).tolist() == [0.0]
    assert edge_f1(ring, blank).tolist() == [0.0]
    assert edge_f1(blank, blank).tolist() == [0.0]


def test_each_picture_has_a_score_of_its_own(ring):
    x, truth = torch.cat([ring, torch.ones_like(ring)]), torch.cat([ring, ring])
    assert edge_f1(x, truth).tolist() == [1.0, 0.0]


def test_scores_are_those_of_a_count_of_pixels():
    x, truth = torch.where(torch.rand(2, 4, 1, 12, 20) < 0.3, -1.0, 1.0)
    for i, score in enumerate(edge_f1(x, truth).tolist()):
        drawn, true = x[i, 0] < 0, truth[i, 0] < 0
        both = sum(a and b for a, b in zip(drawn.flatten(), true.flatten(), strict=True))
        precision, recall = both / drawn.sum(), both / true.sum()
        assert score == pytest.approx((2 / (1 / precision + 1 / recall)).item())
