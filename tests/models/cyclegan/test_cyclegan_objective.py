"""The objective against the paper, written out once more."""

import pytest
import torch

from munit_pl.losses.adversarial import ADVERSARIAL_LOSSES
from munit_pl.losses.terms import total
from munit_pl.models.base.objective import Images, Styles, Translations
from munit_pl.models.components.patch_discriminator import PatchDiscriminator
from munit_pl.models.cyclegan.networks import CycleGANGenerator
from munit_pl.models.cyclegan.objective import (
    LossWeights,
    Networks,
    discriminator_terms,
    generator_terms,
    translate,
)

LSGAN, NSGAN = ADVERSARIAL_LOSSES["lsgan"], ADVERSARIAL_LOSSES["nsgan"]


def make_networks(channels_a, channels_b):
    gens = [
        CycleGANGenerator(own, other, 2, 1, noise_dim=2)
        for own, other in ((channels_a, channels_b), (channels_b, channels_a))
    ]
    dises = [PatchDiscriminator(channels, 2, 2) for channels in (channels_a, channels_b)]
    return Networks(*gens, *dises)


@pytest.fixture
def networks():
    return make_networks(3, 3)


@pytest.fixture
def batch():
    """Images and noise of both domains."""
    return Images(*torch.rand(2, 2, 3, 16, 24) * 2 - 1), Styles(*torch.randn(2, 2, 2))


def terms_of(networks, batch, gan=LSGAN, **options):
    images, noise = batch
    made = translate(networks, images, noise)
    return generator_terms(networks, images, made, noise, gan, **options)


def distance(x, y):
    return (x - y).abs().sum() / x.numel()


def squares(scales, target):
    return ((scales[0] - target) ** 2).sum() / scales[0].numel()


def entropies(scales, target):
    return (1 + ((-1 if target else 1) * scales[0]).exp()).log().mean()


@pytest.mark.parametrize(("gan", "score"), [(LSGAN, squares), (NSGAN, entropies)])
def test_generator_terms_are_the_equations(networks, batch, gan, score):
    F, G, D_X, D_Y = networks  # the paper's letters: G from X to Y, F back
    (x, y), (z_F, z_G) = batch
    fake_y, fake_x = G.decoder(x, z_G), F.decoder(y, z_F)
    expected = {
        "gan": (score(D_X(fake_x), 1), score(D_Y(fake_y), 1)),
        "cycle": (distance(F.decoder(fake_y, z_F), x), distance(G.decoder(fake_x, z_G), y)),
        "identity": (distance(F.decoder(x, z_F), x), distance(G.decoder(y, z_G), y)),
    }
    terms = terms_of(networks, batch, gan, identity=True)
    assert terms.keys() == expected.keys()
    for term, pair in expected.items():
        torch.testing.assert_close(terms[term], torch.stack(pair), msg=term)


@pytest.mark.parametrize(("gan", "score"), [(LSGAN, squares), (NSGAN, entropies)])
def test_discriminator_terms_are_half_of_the_equation(networks, batch, gan, score):
    _, _, D_X, D_Y = networks
    (x, y), noise = batch
    fakes = fake_y, fake_x = translate(networks, Images(x, y), noise)
    terms = discriminator_terms((D_X, D_Y), Images(x, y), Translations(*fakes), gan)
    expected = (
        (score(D_X(x), 1) + score(D_X(fake_x), 0)) / 2,
        (score(D_Y(y), 1) + score(D_Y(fake_y), 0)) / 2,
    )
    assert terms.keys() == {"gan"}
    torch.testing.assert_close(terms["gan"], torch.stack(expected))


class Shift:
    """A generator that adds a number and its noise."""

    def __init__(self, by):
        self.by = by

    def decode(self, content, style):
        return content + self.by + style[:, :1, None, None]


class Constant:
    """A discriminator of one opinion."""

    def __init__(self, score):
        self.score = score

    def __call__(self, x):
        return [torch.full((len(x), 1, 2, 2), self.score)]

    def score_batches(self, *batches):
        return [self(batch) for batch in batches]


def shifted_terms(by_a, by_b, noise_a=0.0, noise_b=0.0, scores=(1.0, 1.0)):
    networks = Networks(Shift(by_a), Shift(by_b), *(Constant(score) for score in scores))
    noise = Styles(torch.full((2, 1), noise_a), torch.full((2, 1), noise_b))
    return terms_of(networks, (Images(*torch.randn(2, 2, 3, 4, 4)), noise))


def test_every_generator_term_is_zero_where_its_promise_holds():
    terms = shifted_terms(0.0, 0.0)
    assert terms.keys() == set(LossWeights._fields)
    assert all(pair.tolist() == [0.0, 0.0] for pair in terms.values())


def test_generators_that_undo_each_other_have_no_cycle_term():
    terms = shifted_terms(0.75, -0.75)
    torch.testing.assert_close(terms["cycle"], torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(terms["identity"], torch.tensor([0.75, 0.75]))


def test_way_back_sees_the_other_directions_own_noise():
    terms = shifted_terms(0.0, 0.0, noise_a=0.5, noise_b=0.25)
    torch.testing.assert_close(terms["cycle"], torch.tensor([0.75, 0.75]))
    torch.testing.assert_close(terms["identity"], torch.tensor([0.5, 0.25]))


def test_adversarial_term_of_generators_is_the_squared_distance_from_one():
    terms = shifted_terms(0.0, 0.0, scores=(0.25, -1.0))
    assert terms["gan"].tolist() == [0.75**2, 4.0]


def test_adversarial_term_of_discriminators_is_halved():
    x = torch.randn(4, 2, 3, 4, 4)
    images, fakes = Images(*x[:2]), Translations(*x[2:])
    terms = discriminator_terms((Constant(0.5), Constant(2.0)), images, fakes, LSGAN)
    assert terms["gan"].tolist() == [(0.25 + 0.25) / 2, (1 + 4) / 2]


def test_identity_is_not_computed_unless_asked_for():
    """Domains of different channels cannot even be put in."""
    images = Images(torch.randn(2, 1, 16, 16), torch.randn(2, 3, 16, 16))
    batch = images, Styles(*torch.randn(2, 2, 2))
    terms = terms_of(make_networks(1, 3), batch, identity=False)
    assert terms.keys() == {"gan", "cycle"}


def has_gradient(network):
    return any(p.grad is not None and p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("term", ["gan", "cycle", "identity"])
@pytest.mark.parametrize("domain", [0, 1])
def test_each_term_reaches_the_generators_that_it_is_about(networks, batch, term, domain):
    terms = terms_of(networks, batch)
    terms[term][domain].backward()
    both = term == "cycle"
    assert [has_gradient(gen) for gen in networks[:2]] == [both or domain == i for i in (0, 1)]


def test_discriminator_terms_have_no_gradient_to_the_generators(networks, batch):
    fakes = translate(networks, *batch)
    assert all(fake.requires_grad for fake in fakes)
    discriminator_terms(networks[2:], batch[0], fakes, LSGAN)["gan"].sum().backward()
    assert [has_gradient(network) for network in networks] == [False, False, True, True]


def test_weights_are_the_published_ones_unless_given():
    assert LossWeights() == LossWeights(gan=1, cycle=10, identity=5)
    terms = {term: torch.tensor([1.0, 2.0]) for term in ("gan", "cycle", "identity")}
    assert total(terms, LossWeights()).item() == 3 * (1 + 10 + 5)


def test_letters_follow_the_path():
    x_a, x_b, z = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4), torch.zeros(1, 1)
    networks = Networks(Shift(10), Shift(20), None, None)
    x_ab, x_ba = translate(networks, Images(x_a, x_b), Styles(z, z))
    assert x_ab.unique().tolist() == [20]
    assert x_ba.unique().tolist() == [11]
