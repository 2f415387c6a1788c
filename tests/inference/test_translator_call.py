"""`translator(image)`: what people have in, what they want out."""

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl import random_styles
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.inference.translator import Translator
from munit_pl.layers.initialization import initialize
from munit_pl.models.cyclegan.networks import CycleGANGenerator
from munit_pl.models.munit.networks import AdaINGenerator


@pytest.fixture
def translator():
    gens = [AdaINGenerator(3, dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    for gen in gens:
        initialize(gen, "kaiming")
    return Translator(*gens, device="cpu")


@pytest.fixture
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (18, 24, 3), np.uint8)
    return Image.fromarray(pixels)


def test_pictures_come_of_whatever_is_no_tensor(translator, picture, tmp_path):
    picture.save(tmp_path / "x.png")
    x = translator.read(tmp_path / "x.png", "a")
    for to, source in (("b", "a"), ("a", "b")):
        styles = random_styles(3, 8, 7)
        expected = [to_pil_image(y) for y in translator.translate(x, styles, to)[0]]
        for form in (tmp_path / "x.png", str(tmp_path / "x.png"), picture, np.array(picture)):
            assert translator(form, styles=3, to=to, seed=7) == expected, source
        assert translator(picture, styles, to=to) == expected
    assert [y.size for y in translator(picture)] == [(24, 18)]
    assert translator(picture, 2, seed=1) != translator(picture, 2)


def test_tensors_come_of_tensors(translator):
    x = torch.rand(2, 3, 16, 20) * 2 - 1
    several, one = translator(x, styles=3), translator(x[0], styles=3)
    assert torch.equal(several, translator.translate(x, random_styles(3, 8, 0)))
    assert (several.shape, one.shape) == ((2, 3, 3, 16, 20), (3, 3, 16, 20))
    torch.testing.assert_close(one, several[0], atol=1e-5, rtol=1e-5)


def test_examples_give_their_styles(translator, picture):
    x = torch.rand(2, 3, 16, 20) * 2 - 1
    other = Image.new("L", (16, 16), 90)
    tensor = torch.full((3, 16, 16), 90 / 127.5 - 1)
    style = translator.encode_style(tensor[None], "b")
    expected = translator.translate(x, style)
    for like in (other, [other], tensor, np.array(other)):
        torch.testing.assert_close(translator(x, like=like), expected, atol=1e-5, rtol=1e-5)
    assert len(translator(picture, like=[other, picture, tensor])) == 3


def test_what_cannot_be_is_told(translator, picture):
    for given, says in (
        ({"styles": 0}, "styles is 0, but must be at least 1"),
        ({"styles": 2, "like": picture}, "not both"),
        ({"to": "c"}, "the domain is 'c'"),
        ({"styles": torch.rand(3, 5)}, r"styles for 1 images are \(K, 8\)"),
        ({"like": []}, "no image in the list"),
    ):
        with pytest.raises(ValueError, match=says):
            translator(picture, **given)
    unstyled = Translator(*(CycleGANGenerator(3, dim=4, num_res_blocks=1) for _ in "ab"))
    assert len(unstyled(picture)) == 1
    with pytest.raises(ValueError, match="each image has one translation"):
        unstyled(picture, styles=2)
    with pytest.raises(ValueError, match="reads no style"):
        unstyled(picture, like=picture)
