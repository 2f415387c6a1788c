import pytest
import torch

from munit_pl.evaluation.style_transfer import transfer_statistics
from munit_pl.inference.translator import Translator
from munit_pl.models.munit.networks import AdaINGenerator


class Scaled:
    """A translator whose contents are images times 2 (a) or 3 (b), and are shown as they are."""

    reconstructs = True

    def __init__(self):
        self.asked = []

    def style_dim(self, domain):
        return {"a": 5, "b": 7}[domain]

    def encode_content(self, x, domain):
        return x * {"a": 2, "b": 3}[domain]

    def decode(self, content, styles, to):
        self.asked.append((styles, to))
        return content[:, None]


def images(seed, *size):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(4, 3, *size, generator=rng) * 2 - 1


@pytest.mark.parametrize(("to", "scale"), [("b", 3), ("a", 2)])
def test_contents_get_the_means_and_deviations_of_their_own_examples_channels(to, scale):
    translator = Scaled()
    x, examples = images(0, 8, 6), images(1, 4, 10)  # of any sizes
    shown = transfer_statistics(translator, x, examples, to)
    # What is left of x is its own shape: each channel less its mean, over its deviation.
    shape = x - x.mean((2, 3), keepdim=True)
    shape /= shape.square().mean((2, 3), keepdim=True).sqrt()
    mean = scale * examples.mean((2, 3), keepdim=True)
    deviation = scale * examples.std((2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(shown, mean + deviation * shape, atol=1e-4, rtol=1e-4)
    ((styles, asked),) = translator.asked
    assert asked == to
    assert torch.equal(styles, torch.zeros(1, translator.style_dim(to)))  # the prior's mean


def test_contents_with_the_examples_statistics_already_stay_as_they_are():
    torch.manual_seed(0)
    gens = [AdaINGenerator(dim=4, style_dim=2, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    translator = Translator(*gens, device="cpu")
    x = images(0, 16, 16)
    translated = translator.decode(translator.encode_content(x, "b"), torch.zeros(1, 2), "b")[:, 0]
    gens[0].content_encoder.load_state_dict(gens[1].content_encoder.state_dict())
    transferred = transfer_statistics(translator, x, x, "b")
    torch.testing.assert_close(transferred, translated, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("method", ["cyclegan", "bicyclegan"], indirect=True)
def test_a_method_without_a_content_code_is_refused(method):
    module = method.make()
    translator = Translator(module.gen_a, module.gen_b, device="cpu")
    with pytest.raises(ValueError, match="no content code whose statistics could be taken"):
        transfer_statistics(translator, images(0, 16, 16), images(1, 16, 16))


@pytest.mark.parametrize("method", ["munit", "unit"], indirect=True)
def test_sides_that_would_be_padded_are_refused(method):
    module = method.make()
    translator = Translator(module.gen_a, module.gen_b, device="cpu")
    with pytest.raises(ValueError, match="multiples of 4"):
        transfer_statistics(translator, images(0, 16, 16), images(1, 16, 18))
