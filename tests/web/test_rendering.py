import math

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.images.reading import read_image
from munit_pl.data.images.tensors import to_pil_image, to_tensor
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.layers.initialization import initialize
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.web import rendering

RED = (200, 40, 60)


@pytest.fixture
def translator():
    gens = [AdaINGenerator(3, dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    for gen in gens:
        initialize(gen, "kaiming")
    return Translator(*gens, device="cpu")


@pytest.mark.parametrize("to", ["a", "b"])
def test_each_style_is_shown_as_it_is_shown_alone(translator, to):
    x, styles = torch.rand(1, 3, 16, 24) * 2 - 1, random_styles(11, 8, 0)
    pictures = rendering.show(translator, x, styles, to)
    assert [picture.size for picture in pictures] == [(24, 16)] * 11
    for picture, style in zip(pictures, styles, strict=True):
        alone = to_pil_image(translator.translate(x, style[None], to)[0, 0])
        difference = np.subtract(picture, alone, dtype=int)
        assert np.abs(difference).max() <= 1  # of 255, by rounding
    assert np.asarray(pictures[0]).std() > 1


def test_sliders_hold_a_style_to_hundredths_and_within_their_range():
    style = torch.tensor([0.123, -1.5, 9.0, -9.0])
    values = rendering.to_values(style, 6)
    assert values == [0.12, -1.5, 4.0, -4.0, 0.0, 0.0]
    assert rendering.from_values(values, 4).tolist() == [pytest.approx(values[:4])]


def test_a_tour_passes_its_styles_on_arcs_and_ends_before_its_start():
    styles = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    half = 2 / math.sqrt(2)
    expected = [
        [2, 0, 0],
        [half, half, 0],
        [0, 2, 0],
        [0, half, half],
        [0, 0, 2],
        [half, 0, half],
    ]
    torch.testing.assert_close(rendering.closed_path(styles, 2), torch.tensor(expected))


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_holds_its_pictures_and_repeats(kind, tmp_path):
    colors = [RED, (0, 90, 180), (250, 250, 250)]
    path = tmp_path / f"styles.{kind}"
    rendering.write_animation([Image.new("RGB", (20, 12), c) for c in colors], path, 10)
    with Image.open(path) as animation:
        assert (animation.n_frames, animation.info["loop"]) == (3, 0)
        for i, color in enumerate(colors):
            animation.seek(i)
            assert animation.convert("RGB").getcolors() == [(20 * 12, color)]
            assert animation.info["duration"] == 100


@pytest.mark.parametrize("domain", ["a", "b"])
def test_examples_are_shoes_of_the_test_split(domain, tmp_path):
    files = rendering.draw_examples(tmp_path, domain, 2, 48)
    shoes = DrawnShoes(domain, "test", 2, (48, 48))
    assert len(set(files)) == 2
    for i, file in enumerate(files):
        x = to_tensor(read_image(file, 3))
        torch.testing.assert_close(x, shoes.load(i), atol=0.5 / 127.5 + 1e-6, rtol=0)
