import pytest
import torch

from munit_pl.models.unit.networks import UNITGenerator


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_published_sizes():
    with torch.device("meta"):
        generator = UNITGenerator()
    # MUNIT's content encoder and its decoder without the perceptron.
    assert parameters(generator.content_encoder) == 5_385_856
    assert parameters(generator.decoder) == 5_754_627
    assert parameters(generator) == 11_140_483


def test_an_image_becomes_a_code_of_a_quarter_of_its_side_and_an_image_again():
    generator = UNITGenerator(1, dim=4, num_res_blocks=1)
    code, style = generator.encode(torch.randn(2, 1, 16, 24))
    assert code.shape == (2, 16, 4, 6)
    assert style.shape == (2, 0)
    image = generator.decode(code, style)
    assert image.shape == (2, 1, 16, 24)
    assert image.abs().max() <= 1


def test_a_generator_is_made_again_from_its_arguments():
    first = UNITGenerator(2, 4, 1, 2, "lrelu", "zeros")
    second = UNITGenerator(**first.arguments)
    shapes = [{k: v.shape for k, v in gen.state_dict().items()} for gen in (first, second)]
    assert shapes[0] == shapes[1]
    assert second.size_divisor == 2


@pytest.mark.parametrize("side", [8, 12])
def test_the_shortest_side_passes_and_a_shorter_one_is_refused(side):
    generator = UNITGenerator(dim=2, num_res_blocks=1, num_downsample=2)
    assert generator.min_size == 8
    generator.check_size(side, 8)
    generator.decode(*generator.encode(torch.randn(1, 3, side, 8)))
    with pytest.raises(ValueError, match="images of 4x8 are too small"):
        generator.check_size(4, 8)
    with pytest.raises((RuntimeError, ValueError)):  # the code would be one pixel
        generator.content_encoder(torch.randn(1, 3, 4, 4))


@pytest.mark.parametrize(
    ("argument", "message"),
    [({"dim": 0}, "dim is 0"), ({"num_downsample": -1}, "num_downsample is -1")],
)
def test_sizes_out_of_range_are_refused(argument, message):
    with pytest.raises(ValueError, match=message):
        UNITGenerator(**argument)
