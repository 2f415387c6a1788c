from dataclasses import replace

import numpy as np
import pytest
import torch

from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.evaluation.style_space import map_styles, moments, project, thin_out
from munit_pl.evaluation.task import Direction, EvaluationTask
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.layers.initialization import initialize
from munit_pl.models.munit.networks import AdaINGenerator


def test_styles_on_a_line_lie_on_the_first_axis_at_their_distances():
    way = torch.tensor([3.0, 0, -4]) / 5
    along = torch.tensor([-2.0, -1, 0, 3])  # its mean is 0
    encoded, sampled, explained = project(1 + along[:2, None] * way, 1 + along[2:, None] * way)
    # The largest coefficient, -4/5, decides where the axis points: against the line.
    torch.testing.assert_close(encoded, torch.tensor([[2.0, 0], [1, 0]]).double())
    torch.testing.assert_close(sampled, torch.tensor([[0.0, 0], [-3, 0]]).double())
    assert explained == (pytest.approx(1), pytest.approx(0, abs=1e-12))


def test_axes_follow_the_variance_of_both_sets_together():
    encoded = torch.tensor([[0.0, 1, 0], [0, -1, 0]])
    sampled = torch.tensor([[0.0, 0, 3], [0, 0, -3]])
    at_encoded, at_sampled, explained = project(encoded, sampled)
    torch.testing.assert_close(at_encoded, torch.tensor([[0.0, 1], [0, -1]]).double())
    torch.testing.assert_close(at_sampled, torch.tensor([[3.0, 0], [-3, 0]]).double())
    assert explained == (pytest.approx(18 / 20), pytest.approx(2 / 20))


def test_a_turn_of_the_order_turns_no_axis():
    styles = torch.randn(9, 4)
    encoded, sampled, _ = project(styles[:4], styles[4:])
    there = torch.cat([encoded, sampled])
    for order in (torch.arange(8, -1, -1), torch.tensor([3, 1, 4, 0, 5, 8, 2, 6, 7])):
        back = torch.cat(project(styles[order][:4], styles[order][4:])[:2])
        torch.testing.assert_close(back, there[order])


def test_the_plane_is_that_of_the_covariances_eigenvectors():
    styles = torch.randn(50, 5) @ torch.diag(torch.tensor([1.0, 5, 2, 1, 3]))
    covariance = np.cov(styles.numpy().astype(np.float64).T)
    values = np.linalg.eigvalsh(covariance)
    encoded, sampled, explained = project(styles[:20], styles[20:])
    found = np.cov(torch.cat([encoded, sampled]).numpy().T)
    np.testing.assert_allclose(found, np.diag(values[:-3:-1]), atol=1e-9)
    assert explained == pytest.approx(tuple(values[:-3:-1] / values.sum()))


@pytest.mark.parametrize("length", [1, 3])
def test_an_axis_along_which_nothing_varies_is_zero(length):
    encoded, sampled, explained = project(torch.ones(2, length), torch.ones(3, length))
    assert encoded.shape == (2, 2)
    assert sampled.shape == (3, 2)
    assert not torch.cat([encoded, sampled]).any()
    assert explained == (0, 0)


def test_styles_of_one_dimension_have_a_first_axis_only():
    encoded, sampled, explained = project(torch.tensor([[1.0]]), torch.tensor([[3.0]]))
    assert (encoded.tolist(), sampled.tolist()) == ([[-1, 0]], [[1, 0]])
    assert explained == (pytest.approx(1), 0)


def test_styles_of_different_lengths_or_none_are_refused():
    with pytest.raises(ValueError, match=r"\(N, S\) and \(M, S\), but are \(2, 3\) and \(2, 4\)"):
        project(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="no styles"):
        project(torch.zeros(0, 3), torch.zeros(0, 3))


def test_moments_are_taken_per_dimension():
    mean, variance = moments(torch.tensor([[1.0, 5], [3, 5]]))
    assert mean.tolist() == [2, 5]
    assert variance.tolist() == [2, 0]


def test_thinning_leaves_no_two_pictures_that_overlap():
    row = torch.tensor([[0.0, 0], [0.5, 0], [1, 0], [1.5, 0.9], [1.5, 1]])
    # Squares of side 1: the second covers the first, the fourth the third; the last only touches.
    assert thin_out(row, 1) == [0, 2, 4]


def test_thinning_leaves_out_only_what_has_no_room():
    points = torch.rand(200, 2)
    chosen = thin_out(points, 0.2)
    gaps = (points[:, None] - points[chosen]).abs().amax(2)
    assert (gaps[chosen] + torch.eye(len(chosen)) >= 0.2).all()
    assert (gaps.amin(1) < 0.2).all()


def make_subject(channels=3, length=12):
    gens = [AdaINGenerator(channels, dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    for gen in gens:
        initialize(gen, "kaiming")
    domains = tuple(DrawnShoes(domain, "test", length, (16, 16)) for domain in ("a", "b"))
    return EvaluationTask(Translator(*gens, device="cpu"), domains, domains)


def test_pictures_lie_where_their_styles_do():
    task = make_subject()
    translator, (drawings, shoes) = task.translator, task.test
    found = map_styles(task, Direction("a", "b"))

    images = torch.stack([shoes.load(i, None) for i in range(12)])
    sampled = random_styles(12, 8, task.seed, "style map", "b")
    encoded_at, sampled_at, _ = project(translator.encode_style(images, "b"), sampled)
    seen = {to_pil_image(image).tobytes(): i for i, image in enumerate(images)}
    assert found.encoded.pictures
    for i, picture in found.encoded.pictures.items():
        place = encoded_at[seen[picture.tobytes()]]
        torch.testing.assert_close(found.encoded.points[i], place, rtol=0, atol=1e-5)

    assert found.sampled.pictures
    torch.testing.assert_close(found.sampled.points, sampled_at, rtol=0, atol=1e-5)
    for i, picture in found.sampled.pictures.items():
        output = translator.translate(drawings.load(0, None)[None], sampled[i, None], "b")[0, 0]
        difference = np.asarray(picture).astype(int) - np.asarray(to_pil_image(output))
        assert np.abs(difference).max() <= 1


def test_a_map_of_one_style_only_shows_it():
    """A model that encodes all images alike, as one of line drawings does."""
    task = make_subject()
    task.translator._generator("b").style_encoder.head.weight.data.zero_()
    found = map_styles(task, Direction("a", "b"))
    assert list(found.encoded.pictures) == [0]
    assert not found.found.variance.any()


class Transparent:
    """Images whose pixels are black and cannot be seen."""

    def __len__(self):
        return 2

    def load(self, index, rng):
        return torch.full((4, 16, 16), -1.0)


def test_transparent_pixels_are_white_on_a_map():
    domains = Transparent(), Transparent()
    task = replace(make_subject(channels=4), train=domains, test=domains)
    found = map_styles(task, Direction("b", "a"))
    assert found.encoded.pictures[0].mode == "RGB"
    assert np.asarray(found.encoded.pictures[0]).min() == 255
