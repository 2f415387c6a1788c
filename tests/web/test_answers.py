import math

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.images import read_image, to_picture, to_tensor
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.layers.initialization import initialise
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.web import answers

RED = (200, 40, 60)


@pytest.fixture
def translator():
    gens = [AdaINGenerator(3, dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    for gen in gens:
        initialise(gen, "kaiming")
    return Translator(*gens, device="cpu")


@pytest.mark.parametrize("name", ["red.png", "red.jpg", "red.gif", "without_ending"])
def test_an_upload_is_brought_to_the_size_of_training(name, tmp_path):
    path = tmp_path / name
    kind = {".jpg": "JPEG", ".gif": "GIF"}.get(path.suffix, "PNG")
    Image.new("RGB", (160, 80), RED).save(path, kind)
    x = answers.read_upload(path, 3, 32)
    assert x.shape == (1, 3, 32, 64)
    colour = torch.tensor(RED)[:, None, None] / 127.5 - 1
    torch.testing.assert_close(x[0], colour.expand(3, 32, 64), atol=4 / 127.5, rtol=0)
    assert answers.read_upload(path, 1, 100).shape == (1, 1, 100, 200)  # and made larger


def told(path):
    """What the sender is told, which must give away nothing of this machine."""
    with pytest.raises(ValueError, match=r"^[A-Z][^/]*\.$") as refused:
        answers.read_upload(path, 3, 32)
    assert path.name not in str(refused.value)
    return str(refused.value)


def test_an_upload_that_cannot_be_used_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "upload.png"
    for content in (b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>"):
        path.write_bytes(content)
        assert "no image that can be read here: choose a file of JPEG" in told(path)
    assert "no image that can be read here" in told(tmp_path)
    assert "no image that can be read here" in told(tmp_path / "gone")
    # The header alone tells the size: no pixel of these is there to be decoded.
    path.write_bytes(b"P5 6000 5000 255\n")
    assert told(path) == (
        "It is 5000x6000 pixels and has too many pixels: 24 million are taken. Make it smaller."
    )
    path.write_bytes(b"P5 100000 100000 255\n")
    assert told(path).startswith("It has too many pixels: 24 million are taken.")
    path.write_bytes(b"P5 90 10 255\n")
    assert told(path).startswith("It is 10x90 pixels: one side may be 8 times the other")
    path.write_bytes(b"P5 90 20 255\n12345")
    assert "damaged or of an unusual kind" in told(path)
    Image.fromarray(np.zeros((20, 20), np.float32)).save(path, "TIFF")
    assert "damaged or of an unusual kind" in told(path)


@pytest.mark.parametrize("to", ["a", "b"])
def test_each_style_is_shown_as_it_is_shown_alone(translator, to):
    x, styles = torch.rand(1, 3, 16, 24) * 2 - 1, random_styles(11, 8, 0)
    pictures = answers.show(translator, x, styles, to)
    assert [picture.size for picture in pictures] == [(24, 16)] * 11
    for picture, style in zip(pictures, styles, strict=True):
        alone = to_picture(translator.translate(x, style[None], to)[0, 0])
        difference = np.subtract(picture, alone, dtype=int)
        assert np.abs(difference).max() <= 1  # of 255, by rounding
    assert np.asarray(pictures[0]).std() > 1


def test_sliders_hold_a_style_to_hundredths_and_within_their_range():
    style = torch.tensor([0.123, -1.5, 9.0, -9.0])
    values = answers.to_values(style, 6)
    assert values == [0.12, -1.5, 4.0, -4.0, 0.0, 0.0]
    assert answers.from_values(values, 4).tolist() == [pytest.approx(values[:4])]


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
    torch.testing.assert_close(answers.tour(styles, 2), torch.tensor(expected))


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_holds_its_pictures_and_repeats(kind, tmp_path):
    colours = [RED, (0, 90, 180), (250, 250, 250)]
    path = tmp_path / f"styles.{kind}"
    answers.write_animation([Image.new("RGB", (20, 12), c) for c in colours], path, 10)
    with Image.open(path) as animation:
        assert (animation.n_frames, animation.info["loop"]) == (3, 0)
        for i, colour in enumerate(colours):
            animation.seek(i)
            assert animation.convert("RGB").getcolors() == [(20 * 12, colour)]
            assert animation.info["duration"] == 100


@pytest.mark.parametrize("domain", ["a", "b"])
def test_examples_are_shoes_of_the_test_split(domain, tmp_path):
    files = answers.draw_examples(tmp_path, domain, 2, 48)
    shoes = DrawnShoes(domain, "test", 2, (48, 48))
    assert len(set(files)) == 2
    for i, file in enumerate(files):
        x = to_tensor(read_image(file, 3))
        torch.testing.assert_close(x, shoes.load(i), atol=0.5 / 127.5 + 1e-6, rtol=0)
