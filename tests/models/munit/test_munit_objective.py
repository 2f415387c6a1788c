"""The objective against the paper, written out once more."""

import pytest
import torch

from munit_pl.losses.adversarial import ADVERSARIAL_LOSSES
from munit_pl.losses.terms import l1, total
from munit_pl.models.base.objective import (
    Decodings,
    Images,
    Styles,
    Translations,
    discriminator_terms,
)
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.models.munit.objective import (
    Codes,
    LossWeights,
    Networks,
    decode,
    encode,
    generator_terms,
    translate,
)

LSGAN, NSGAN = ADVERSARIAL_LOSSES["lsgan"], ADVERSARIAL_LOSSES["nsgan"]


@pytest.fixture
def networks():
    """Of different channels, so that no domain's network fits the other's images."""
    gens = [AdaINGenerator(channels, 2, 3, 4, 1, 1) for channels in (1, 3)]
    dises = [MultiScaleDiscriminator(channels, 2, 2, 2) for channels in (1, 3)]
    return Networks(*gens, *dises)


@pytest.fixture
def batch():
    """Images and styles of both domains."""
    images = Images(torch.rand(2, 1, 16, 24) * 2 - 1, torch.rand(2, 3, 16, 24) * 2 - 1)
    return images, Styles(*torch.randn(2, 2, 3))


def passes(networks, batch):
    images, styles = batch
    codes = encode(networks, images)
    return codes, decode(networks, codes, styles)


def terms_of(networks, batch, gan=LSGAN, **options):
    images, styles = batch
    return generator_terms(networks, images, *passes(networks, batch), styles, gan, **options)


def translations_of(decoded):
    return Translations(decoded.x_ab, decoded.x_ba)


def mean_difference(x, y):
    return (x - y).abs().sum() / x.numel()


def squares(scales, target):
    return sum(((scale - target) ** 2).sum() / scale.numel() for scale in scales)


def entropies(scales, target):
    signs = -1 if target else 1
    return sum((1 + (signs * scale).exp()).log().mean() for scale in scales)


@pytest.mark.parametrize(("gan", "score"), [(LSGAN, squares), (NSGAN, entropies)])
def test_generator_terms_are_the_equations(networks, batch, gan, score):
    E_a, E_b, D_a, D_b = networks
    (x1, x2), (s1, s2) = batch
    content1, style1 = E_a.content_encoder(x1), E_a.style_encoder(x1)
    content2, style2 = E_b.content_encoder(x2), E_b.style_encoder(x2)
    x12 = E_b.decoder(content1, s2)
    x21 = E_a.decoder(content2, s1)
    expected = {
        "image": (
            mean_difference(E_a.decoder(content1, style1), x1),
            mean_difference(E_b.decoder(content2, style2), x2),
        ),
        "content": (
            mean_difference(E_b.content_encoder(x12), content1),
            mean_difference(E_a.content_encoder(x21), content2),
        ),
        "style": (
            mean_difference(E_a.style_encoder(x21), s1),
            mean_difference(E_b.style_encoder(x12), s2),
        ),
        "gan": (score(D_a(x21), 1), score(D_b(x12), 1)),
        "cycle": (
            mean_difference(E_a.decoder(E_b.content_encoder(x12), style1), x1),
            mean_difference(E_b.decoder(E_a.content_encoder(x21), style2), x2),
        ),
    }
    terms = terms_of(networks, batch, gan, cycle=True)
    assert terms.keys() == expected.keys()
    for term, pair in expected.items():
        torch.testing.assert_close(terms[term], torch.stack(pair), msg=term)


@pytest.mark.parametrize(("gan", "score"), [(LSGAN, squares), (NSGAN, entropies)])
def test_discriminator_terms_are_the_equation(networks, batch, gan, score):
    _, _, D_a, D_b = networks
    (x1, x2), _ = batch
    _, decoded = passes(networks, batch)
    terms = discriminator_terms((D_a, D_b), batch[0], translations_of(decoded), gan)
    expected = (
        score(D_a(x1), 1) + score(D_a(decoded.x_ba), 0),
        score(D_b(x2), 1) + score(D_b(decoded.x_ab), 0),
    )
    assert terms.keys() == {"gan"}
    torch.testing.assert_close(terms["gan"], torch.stack(expected))


def test_terms_that_nobody_asked_for_are_not_computed(networks, batch):
    terms = terms_of(networks, batch)
    assert terms.keys() == {"gan", "image", "content", "style"}


class Identity:
    """A generator of images whose last channel is their style, and the others their content."""

    def encode(self, x):
        return x[:, :-1], x[:, -1, :1, 0]

    def decode(self, content, style):
        return torch.cat([content, style[:, :, None, None].expand_as(content[:, :1])], 1)


def ones(x):
    return [torch.ones(len(x), 1, 2, 2)]


def stubs():
    gen = Identity()
    images = Images(*(gen.decode(torch.randn(2, 3, 4, 4), torch.randn(2, 1)) for _ in range(2)))
    styles = Styles(torch.randn(2, 1), torch.randn(2, 1))
    networks = Networks(gen, gen, ones, ones)
    return networks, images, *passes(networks, (images, styles)), styles


def test_every_generator_term_is_zero_when_its_promise_holds():
    terms = generator_terms(*stubs(), LSGAN, cycle=True)
    assert terms.keys() == set(LossWeights._fields)
    assert all(pair.tolist() == [0.0, 0.0] for pair in terms.values())


@pytest.mark.parametrize(
    ("broken", "terms_above_zero"),
    [
        ("image of a", {"image": [True, False], "cycle": [True, False]}),
        ("content of b", {"content": [False, True]}),
        ("drawn style of a", {"style": [True, False]}),
    ],
)
def test_a_broken_promise_raises_just_its_own_terms(broken, terms_above_zero):
    networks, images, codes, decoded, styles = stubs()
    if broken == "image of a":
        images = images._replace(x_a=images.x_a + 1)
    elif broken == "content of b":  # read back differently from x_ba; x_bb and x_bab are decoded
        decoded = decoded._replace(x_ba=decoded.x_ba + torch.tensor([1.0, 1, 1, 0]).view(4, 1, 1))
    else:
        styles = styles._replace(z_a=styles.z_a + 1)
    cycle = broken == "image of a"
    terms = generator_terms(networks, images, codes, decoded, styles, LSGAN, cycle=cycle)
    above = {term: (pair > 1e-6).tolist() for term, pair in terms.items() if (pair > 1e-6).any()}
    assert above == terms_above_zero


class Knows:
    """A discriminator that gives its real images 1 and all others 0."""

    def __init__(self, real):
        self.real = real

    def score_batches(self, *batches):
        return [[torch.full((1, 1, 2, 2), float(batch is self.real))] for batch in batches]


def test_discriminator_term_is_zero_when_it_knows_real_from_fake():
    _, (x_a, x_b), _, decoded, _ = stubs()
    passed = Images(x_a, x_b), translations_of(decoded), LSGAN
    terms = discriminator_terms((Knows(x_a), Knows(x_b)), *passed)
    assert terms["gan"].tolist() == [0.0, 0.0]
    fooled = discriminator_terms((Knows(x_b), Knows(x_b)), *passed)
    assert fooled["gan"].tolist() == [1.0, 0.0]


def test_content_term_has_a_gradient_to_the_first_encoding_too(networks, batch):
    codes, decoded = passes(networks, batch)
    codes = Codes(*(code.detach().requires_grad_() for code in codes))
    decoded = Decodings(*(fake.detach() for fake in decoded))  # no way back but through the target
    images, styles = batch
    terms = generator_terms(networks, images, codes, decoded, styles, LSGAN)
    terms["content"].sum().backward()
    c_ab = networks[1].content_encoder(decoded.x_ab)
    c_ba = networks[0].content_encoder(decoded.x_ba)
    for first, again in ((codes.c_a, c_ab), (codes.c_b, c_ba)):
        torch.testing.assert_close(first.grad, (first - again).sign() / first.numel())
    assert codes.s_a.grad is None


def test_content_term_has_a_gradient_to_both_encoders(networks, batch):
    terms = terms_of(networks, batch)
    terms["content"][0].backward()  # of c_a, read from x_a and again from x_ab
    for gen in networks[:2]:
        assert gen.content_encoder.layers[0].conv.weight.grad.any()


def test_discriminator_terms_have_no_gradient_to_the_generators(networks, batch):
    gen_a, gen_b, dis_a, dis_b = networks
    _, decoded = passes(networks, batch)
    assert decoded.x_ab.requires_grad
    terms = discriminator_terms((dis_a, dis_b), batch[0], translations_of(decoded), LSGAN)
    terms["gan"].sum().backward()
    assert all(p.grad is None for gen in (gen_a, gen_b) for p in gen.parameters())
    assert all(p.grad is not None for dis in (dis_a, dis_b) for p in dis.parameters())


def test_adversarial_term_reaches_the_generators_through_the_discriminators(networks, batch):
    gen_a, gen_b, *dises = networks
    for dis in dises:
        dis.requires_grad_(False)
    terms = terms_of(networks, batch)
    terms["gan"][0].backward()  # of x_ba: domain b's content, domain a's decoder
    assert gen_b.content_encoder.layers[0].conv.weight.grad.any()
    assert gen_a.decoder.to_image.conv.weight.grad.any()
    assert not gen_a.content_encoder.layers[0].conv.weight.grad.any()
    assert not gen_b.decoder.to_image.conv.weight.grad.any()


def test_total_is_the_weighted_sum_over_terms_and_domains():
    terms = {"gan": torch.tensor([1.0, 2.0]), "image": torch.tensor([3.0, 4.0])}
    assert total(terms, LossWeights(gan=0.5, image=10)).item() == pytest.approx(1.5 + 70)
    assert total(terms, LossWeights()).item() == pytest.approx(3 + 70)


def test_weights_are_the_originals_unless_given():
    assert LossWeights()._asdict() == {
        "gan": 1,
        "image": 10,
        "style": 1,
        "content": 1,
        "cycle": 0,
    }


def test_an_unknown_weight_is_refused_by_name():
    with pytest.raises(TypeError, match="identity"):
        LossWeights(identity=1.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_l1_of_half_images_is_summed_in_fp32(dtype):
    x = torch.full((1, 1, 300, 300), 3.0, dtype=dtype)
    difference = l1(x, -x)
    assert difference.dtype == torch.float32
    assert difference.item() == pytest.approx(6)


def test_decoding_at_once_is_decoding_apart(networks, batch):
    gen_a, gen_b, *_ = networks
    codes, decoded = passes(networks, batch)
    apart = translate(networks, codes, batch[1])
    expected = gen_a.decode(codes.c_a, codes.s_a), gen_b.decode(codes.c_b, codes.s_b), *apart
    for x, y in zip(decoded, expected, strict=True):
        torch.testing.assert_close(x, y)
