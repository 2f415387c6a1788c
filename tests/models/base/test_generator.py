import pytest
import torch
from torch import nn

from munit_pl.models.base.generator import DomainGenerator


class Halver(DomainGenerator):
    """Halves a side twice, and takes images from 8 pixels on."""

    def __init__(self, content_encoder=None, style_encoder=None):
        super().__init__()
        self.size_divisor, self.min_size = 4, 8
        self.content_encoder = content_encoder or nn.AvgPool2d(4)
        self.style_encoder = style_encoder


def test_a_subclass_is_known_by_its_name(monkeypatch):
    monkeypatch.setattr(DomainGenerator, "kinds", {})

    class Painter(DomainGenerator):
        pass

    assert DomainGenerator.kinds == {"Painter": Painter}


def test_every_methods_generators_can_be_made_again_by_name_and_arguments(method):
    module = method.make(input_channels_a=1)
    for gen in (module.gen_a, module.gen_b):
        assert DomainGenerator.kinds[type(gen).__name__] is type(gen)
        with torch.device("meta"):
            again = type(gen)(**gen.arguments)
        shapes = {name: weight.shape for name, weight in gen.state_dict().items()}
        assert {name: weight.shape for name, weight in again.state_dict().items()} == shapes


@pytest.mark.parametrize("sides", [(8, 8), (8, 12), (16, 8)])
def test_sizes_that_come_back_are_taken(sides):
    Halver().check_size(*sides)


@pytest.mark.parametrize(
    ("height", "width", "message"),
    [
        (10, 8, "images of 10x8 cannot pass the generator: .* multiples of 4"),
        (8, 9, "images of 8x9 cannot pass the generator: .* multiples of 4"),
        (4, 8, "images of 4x8 are too small for the generator: .* at least 8"),
        (12, 4, "images of 12x4 are too small for the generator: .* at least 8"),
    ],
)
def test_other_sizes_are_refused(height, width, message):
    with pytest.raises(ValueError, match=message):
        Halver().check_size(height, width)


def test_the_style_is_empty_where_none_can_be_read():
    x = torch.randn(2, 3, 8, 8)
    content, style = Halver().encode(x)
    assert torch.equal(content, nn.AvgPool2d(4)(x))
    assert style.shape == (2, 0)
    assert torch.equal(Halver(style_encoder=nn.Flatten()).encode(x)[1], x.flatten(1))


def test_an_image_that_is_its_own_content_has_no_content_code():
    assert Halver().has_content_code
    assert not Halver(content_encoder=nn.Identity()).has_content_code
