import pytest
import torch

from munit_pl.metrics import precision_recall as precision_recall_file
from munit_pl.metrics.precision_recall import density_coverage, precision_recall


def line(*points):
    return torch.tensor(points)[:, None]


def metrics(pair):
    return [x.item() for x in pair]


def test_metrics_on_a_line():
    """With k = 1 the real balls are [-1, 1], [0, 2], [1, 3], [-60, 0].

    Of the outputs 0.5 lies in two of them, 3 on the edge of one, 5 and 6 in none. Their own balls
    are [-2, 3], [1, 5], [4, 6], [5, 7], which leave out -30.
    """
    real, fake = line(0.0, 1.0, 2.0, -30.0), line(0.5, 3.0, 5.0, 6.0)
    assert metrics(precision_recall(real, fake, k=1)) == [2 / 4, 3 / 4]
    assert metrics(density_coverage(real, fake, k=1)) == [3 / 4, 3 / 4]


def test_metrics_in_the_plane():
    """Around each corner of a square two others lie at 1, so with k = 2 the balls have radius 1.

    The center lies in all four, (1.9, 0) in that of (1, 0), (9, 9) in none.
    """
    real = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    fake = torch.tensor([[0.5, 0.5], [1.9, 0.0], [9.0, 9.0]])
    assert precision_recall(real, fake, k=2)[0].item() == pytest.approx(2 / 3)
    assert metrics(density_coverage(real, fake, k=2)) == pytest.approx([5 / 6, 1])


def test_one_far_output_lifts_recall_but_not_coverage():
    """The weakness of Kynkäänniemi's recall that Naeem et al. show."""
    real = line(*[float(i) for i in range(10)])
    fake = torch.cat([line(0.0, 0.1, 0.2, 0.3, 0.4), line(100.0)])
    assert precision_recall(real, fake, k=1)[1].item() == 1
    assert density_coverage(real, fake, k=1)[1].item() == 2 / 10


def test_a_set_covers_itself():
    x = torch.randn(50, 8)
    assert metrics(precision_recall(x, x)) == [1, 1]
    # Each image lies in its own ball and, on average, in five more.
    assert metrics(density_coverage(x, x)) == pytest.approx([6 / 5, 1])


def test_sets_far_apart_share_nothing():
    x, y = torch.randn(50, 8), torch.randn(50, 8) + 1e4
    assert metrics(precision_recall(x, y)) + metrics(density_coverage(x, y)) == [0, 0, 0, 0]


def test_balls_without_a_radius_hold_the_copies_of_their_image():
    """Also where rounding leaves copies at other distances than 0."""
    images = 3 * torch.randn(97, 131)
    real = images.repeat(6, 1)
    fake = torch.cat([images[torch.randperm(97)] for _ in range(7)])
    assert metrics(precision_recall(real, fake)) == [1, 1]
    assert metrics(density_coverage(real, fake)) == pytest.approx([6 / 5, 1])


@pytest.mark.parametrize("chunk", [7, 1024])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_metrics_are_those_of_loops_over_points(monkeypatch, chunk, k):
    monkeypatch.setattr(precision_recall_file, "_CHUNK", chunk)
    real, fake = torch.randn(40, 6), 1.2 * torch.randn(30, 6) + 0.3

    def inside(points, centers):
        """Whether point i lies in the ball around center j."""
        radii = [sorted((c - other).norm() for other in centers)[k] for c in centers]
        return torch.tensor(
            [[(p - c).norm() <= r for c, r in zip(centers, radii, strict=True)] for p in points]
        )

    in_real, in_fake = inside(fake, real), inside(real, fake)
    assert metrics(precision_recall(real, fake, k)) == pytest.approx(
        [in_real.any(1).double().mean().item(), in_fake.any(1).double().mean().item()]
    )
    assert metrics(density_coverage(real, fake, k)) == pytest.approx(
        [in_real.sum().item() / (k * 30), in_real.any(0).double().mean().item()]
    )


@pytest.mark.parametrize("function", [precision_recall, density_coverage])
def test_k_points_are_too_few(function):
    x = torch.randn(4, 2)
    function(x, x, k=3)
    with pytest.raises(ValueError, match="4 real images and 3 outputs are too few: with k=3"):
        function(x, x[:3], k=3)
    with pytest.raises(ValueError, match="k is 0, but must be at least 1"):
        function(x, x, k=0)
    with pytest.raises(ValueError, match=r"features must be \(N, d\) and \(M, d\)"):
        function(x, torch.randn(4, 3), k=3)
