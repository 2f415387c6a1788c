import pytest
import torch
from training import images


@pytest.fixture
def module(method):
    return method.make(input_channels_a=1, input_channels_b=3)


@torch.no_grad()
def test_translations_show_the_other_domains_content_in_the_given_style(module):
    x_a, x_b, style = images(channels=1), images(channels=3), torch.randn(2, module.style_dim)
    content = module.gen_a.content_encoder(x_a)
    assert torch.equal(module(x_a, style), module.gen_b.decoder(content, style))
    content = module.gen_b.content_encoder(x_b)
    assert torch.equal(module.translate(x_b, style, to="a"), module.gen_a.decoder(content, style))


@torch.no_grad()
def test_translations_without_a_given_style_differ_from_call_to_call_where_there_are_styles(
    method, module
):
    x = images(channels=1)
    assert torch.equal(module(x), module(x)) == ("styles" not in method.has)


@torch.no_grad()
def test_codes_are_those_of_the_domains_own_encoders(method, module):
    for x, domain, gen in (
        (images(channels=1), "a", module.gen_a),
        (images(channels=3), "b", module.gen_b),
    ):
        content, style = module.encode(x, domain)
        assert torch.equal(content, gen.content_encoder(x))
        own = gen.style_encoder(x) if "examples" in method.has else torch.empty(2, 0)
        assert torch.equal(style, own)


def test_an_unknown_domain_is_refused(module):
    x = images(channels=3)
    with pytest.raises(ValueError, match="the domain is 'c', but must be a or b"):
        module.encode(x, "c")
    with pytest.raises(ValueError, match="the domain is 'c', but must be a or b"):
        module.decode(x, torch.zeros(2, module.style_dim), "c")


def test_sizes_are_those_that_generator_and_discriminator_both_take(method):
    module = method.make()
    module.check_size(16, 24)
    with pytest.raises(ValueError, match="generator: both sides must be multiples of 4"):
        module.check_size(16, 18)
    deep = method.make(discriminator={"num_layers": 5})
    deep.gen_a.check_size(16, 16)
    with pytest.raises(ValueError, match="too small for the discriminator"):
        deep.check_size(16, 16)
