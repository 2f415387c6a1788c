"""The objective against the paper, written out once more, and in closed form."""

from math import e
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from munit_pl.losses.adversarial import ADVERSARIAL_LOSSES
from munit_pl.losses.terms import total
from munit_pl.models.base.objective import Images
from munit_pl.models.bicyclegan.networks import BicycleGANGenerator, BranchDiscriminators
from munit_pl.models.bicyclegan.objective import (
    BranchTranslations,
    Draws,
    LossWeights,
    Networks,
    Posteriors,
    discriminator_terms,
    generator_terms,
    kl,
    read,
    read_frozen,
    sample,
    translate,
)

LSGAN, NSGAN = ADVERSARIAL_LOSSES["lsgan"], ADVERSARIAL_LOSSES["nsgan"]


@pytest.fixture
def networks():
    """Of different channels, so that no domain's network fits the other's images."""
    sizes = {"dim": 2, "style_dim": 3, "num_downsample": 2}
    sizes |= {"encoder_dim": 2, "encoder_downsample": 2}
    gens = [BicycleGANGenerator(own, other, **sizes) for own, other in ((1, 3), (3, 1))]
    dises = [BranchDiscriminators(channels, 2, 2, 2) for channels in (1, 3)]
    return Networks(*gens, *dises)


@pytest.fixture
def batch():
    """Images of both domains and random numbers."""
    images = Images(torch.rand(2, 1, 24, 32) * 2 - 1, torch.rand(2, 3, 24, 32) * 2 - 1)
    return images, Draws(*torch.randn(4, 2, 3))


def passes(networks, batch):
    images, draws = batch
    posteriors = read(networks, images)
    return posteriors, translate(networks, images, posteriors, draws)


def terms_of(networks, batch, gan=LSGAN):
    images, draws = batch
    return generator_terms(networks, images, *passes(networks, batch), draws, gan)


def mean_difference(x, y):
    return (x - y).abs().sum() / x.numel()


def squares(scales, target):
    return sum(((scale - target) ** 2).sum() / scale.numel() for scale in scales)


def entropies(scales, target):
    signs = -1 if target else 1
    return sum((1 + (signs * scale).exp()).log().mean() for scale in scales)


def direction(A, B, E, G, eps, z):
    """One direction as published: fakes of both branches, and what E and G minimize of each."""
    mu, logvar = E.distribution(B)
    B_encoded = G(A, mu + eps * logvar.mul(0.5).exp())
    B_random = G(A, z)
    latent = mean_difference(E(B_random), z)
    divergence = -0.5 * sum((1 + logvar - mu.pow(2) - logvar.exp()).sum(1)) / len(A)
    return B_encoded, B_random, mean_difference(B_encoded, B), latent, divergence


def both_directions(networks, batch):
    gen_a, gen_b, *_ = networks
    (x_a, x_b), draws = batch
    of_a = direction(x_b, x_a, gen_a.style_encoder, gen_a.decoder, draws.eps_a, draws.z_a)
    of_b = direction(x_a, x_b, gen_b.style_encoder, gen_b.decoder, draws.eps_b, draws.z_b)
    return of_a, of_b


@pytest.mark.parametrize(("gan", "score"), [(LSGAN, squares), (NSGAN, entropies)])
def test_generator_terms_are_the_published_ones(networks, batch, gan, score):
    _, _, D_a, D_b = networks
    of_a, of_b = both_directions(networks, batch)
    expected = {
        "gan": (score(D_a.encoded(of_a[0]), 1), score(D_b.encoded(of_b[0]), 1)),
        "gan_random": (score(D_a.random(of_a[1]), 1), score(D_b.random(of_b[1]), 1)),
        "image": (of_a[2], of_b[2]),
        "latent": (of_a[3], of_b[3]),
        "kl": (of_a[4], of_b[4]),
    }
    terms = terms_of(networks, batch, gan)
    assert terms.keys() == expected.keys()
    for term, pair in expected.items():
        torch.testing.assert_close(terms[term], torch.stack(pair), msg=term)


@pytest.mark.parametrize(("gan", "score"), [(LSGAN, squares), (NSGAN, entropies)])
def test_discriminator_terms_are_the_published_ones(networks, batch, gan, score):
    _, _, D_a, D_b = networks
    (x_a, x_b), _ = batch
    others = Images(*(-x for x in batch[0]))
    (encoded_a, random_a, *_), (encoded_b, random_b, *_) = both_directions(networks, batch)
    expected = {
        "gan": (
            score(D_a.encoded(x_a), 1) + score(D_a.encoded(encoded_a), 0),
            score(D_b.encoded(x_b), 1) + score(D_b.encoded(encoded_b), 0),
        ),
        "gan_random": (
            score(D_a.random(others.x_a), 1) + score(D_a.random(random_a), 0),
            score(D_b.random(others.x_b), 1) + score(D_b.random(random_b), 0),
        ),
    }
    _, translations = passes(networks, batch)
    terms = discriminator_terms((D_a, D_b), batch[0], others, translations, gan)
    assert terms.keys() == expected.keys()
    for term, pair in expected.items():
        torch.testing.assert_close(terms[term], torch.stack(pair), msg=term)


def reached(terms, networks):
    """Which parts of domain b's side have a gradient from the sum of ``terms``, and any of a's."""
    gen_a, gen_b, *_ = networks
    torch.stack([pair[1] for pair in terms]).sum().backward()
    parts = {"G": gen_b.decoder, "E": gen_b.style_encoder, "other": gen_a}
    return {
        name
        for name, part in parts.items()
        if any(p.grad is not None and p.grad.any() for p in part.parameters())
    }


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("gan", {"G", "E"}),
        ("gan_random", {"G"}),
        ("image", {"G", "E"}),
        ("latent", {"G"}),
        ("kl", {"E"}),
    ],
)
def test_each_term_teaches_its_own_networks_of_its_own_direction(networks, batch, term, expected):
    assert reached([terms_of(networks, batch)[term]], networks) == expected


def test_latent_gradient_is_that_of_a_frozen_encoder(networks, batch):
    _, gen_b, *_ = networks
    terms_of(networks, batch)["latent"][1].backward()
    gradients = [p.grad.clone() for p in gen_b.decoder.parameters()]
    gen_b.zero_grad()
    gen_b.style_encoder.requires_grad_(False)
    (x_a, _), draws = batch
    mean_difference(gen_b.style_encoder(gen_b.decoder(x_a, draws.z_b)), draws.z_b).backward()
    for parameter, gradient in zip(gen_b.decoder.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-7, rtol=1e-4)


def test_a_frozen_reading_is_a_reading(networks, batch):
    encoder, ((_, x_b), _) = networks[1].style_encoder, batch
    assert torch.equal(read_frozen(encoder, x_b), encoder(x_b))
    assert all(p.requires_grad for p in encoder.parameters())


def test_discriminator_terms_have_no_gradient_to_the_generators(networks, batch):
    gen_a, gen_b, dis_a, dis_b = networks
    _, translations = passes(networks, batch)
    assert all(fake.requires_grad for fake in translations)
    terms = discriminator_terms((dis_a, dis_b), batch[0], batch[0], translations, LSGAN)
    (terms["gan"] + terms["gan_random"]).sum().backward()
    assert all(p.grad is None for gen in (gen_a, gen_b) for p in gen.parameters())
    weights = [p for dis in (dis_a, dis_b) for p in dis.parameters() if p.ndim > 1]
    assert all(p.grad is not None for p in weights)


def test_kl_is_zero_at_the_prior_and_known_elsewhere():
    zeros = torch.zeros(3, 4)
    assert kl(zeros, zeros).item() == 0
    # Mean 2 at variance 1: 2**2 / 2 for each of 4 components, whatever the batch.
    assert kl(zeros + 2, zeros).item() == pytest.approx(8)
    # Mean 0 at variance e: (e - 1 - 1) / 2 each.
    assert kl(zeros, zeros + 1).item() == pytest.approx(2 * (e - 2))


def test_kl_is_that_of_torch():
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    posterior = torch.distributions.Normal(mean, log_variance.exp().sqrt())
    prior = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    torch.testing.assert_close(kl(mean, log_variance), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_kl_of_half_codes_is_summed_in_fp32(dtype):
    value = kl(torch.full((1, 1000), 100.0, dtype=dtype), torch.zeros(1, 1000, dtype=dtype))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(5e6)


def test_samples_have_the_mean_and_variance_asked_for():
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 4.0]])
    assert sample(mean, log_variance, torch.zeros(1, 2)).tolist() == [[1, -2]]
    eps = torch.tensor([[1.0, -1.0]])
    assert sample(mean, log_variance, eps)[0].tolist() == pytest.approx([2, -2 - e**2])


def test_a_batch_of_equal_pairs_has_the_terms_of_one(networks, batch):
    images, draws = batch
    one = Images(*(x[:1] for x in images)), Draws(*(values[:1] for values in draws))
    five = Images(*(x[:1].expand(5, -1, -1, -1) for x in images))
    many = five, Draws(*(values[:1].expand(5, -1) for values in draws))
    expected = terms_of(networks, one)
    for term, pair in terms_of(networks, many).items():
        torch.testing.assert_close(pair, expected[term], msg=term)


class Brightness(nn.Module):
    """An encoder of images of one color, whose style that color is."""

    def forward(self, x):
        return x.mean((2, 3))


def stubs():
    """Generators that paint the style, and discriminators that believe everything."""
    paint = SimpleNamespace(style_encoder=Brightness())
    believe = SimpleNamespace(
        encoded=lambda x: [torch.ones(len(x), 1, 2, 2)],
        random=lambda x: [torch.ones(len(x), 1, 2, 2)] * 2,
    )
    s, z_a, z_b = torch.randn(3, 2, 1)
    x = s[:, :, None, None].expand(2, 1, 4, 4)
    draws = Draws(torch.zeros(2, 1), torch.zeros(2, 1), z_a, z_b)
    random_ab, random_ba = (z[:, :, None, None].expand(2, 1, 4, 4) for z in (z_b, z_a))
    zeros = Posteriors(*torch.zeros(4, 2, 1))
    return (
        Networks(paint, paint, believe, believe),
        Images(x, x),
        zeros,
        BranchTranslations(x, x, random_ab, random_ba),
        draws,
    )


def test_every_generator_term_is_zero_when_its_promise_holds():
    networks, images, posteriors, translations, draws = stubs()
    terms = generator_terms(networks, images, posteriors, translations, draws, LSGAN)
    assert terms.keys() == set(LossWeights._fields)
    assert all(pair.tolist() == pytest.approx([0, 0], abs=1e-6) for pair in terms.values())


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ({"encoded_ab": 0.5}, {"image": [0, 0.5]}),
        ({"random_ba": 0.25}, {"latent": [0.25, 0]}),
        ({"mean_a": 1.0}, {"kl": [0.5, 0]}),
    ],
    ids=str,
)
def test_a_broken_promise_costs_its_distance_in_its_own_term(broken, expected):
    networks, images, posteriors, translations, draws = stubs()
    for name, by in broken.items():
        if name in Posteriors._fields:
            posteriors = posteriors._replace(**{name: getattr(posteriors, name) + by})
        else:
            translations = translations._replace(**{name: getattr(translations, name) + by})
    terms = generator_terms(networks, images, posteriors, translations, draws, LSGAN)
    for term, pair in terms.items():
        assert pair.tolist() == pytest.approx(expected.get(term, [0, 0]), abs=1e-6), term


def test_constant_discriminators_cost_what_the_losses_say():
    def constant(score, scales):
        def score_batches(*batches):
            return [[torch.full((len(x), 1, 2, 2), score)] * scales for x in batches]

        return SimpleNamespace(score_batches=score_batches)

    _, images, _, translations, _ = stubs()
    dis_a = SimpleNamespace(encoded=constant(0.5, 1), random=constant(0.0, 2))
    dis_b = SimpleNamespace(encoded=constant(1.0, 1), random=constant(3.0, 2))
    terms = discriminator_terms((dis_a, dis_b), images, images, translations, LSGAN)
    # (1 - score)**2 + score**2, at each scale.
    assert terms["gan"].tolist() == [0.5, 1]
    assert terms["gan_random"].tolist() == [2, 2 * (4 + 9)]


def test_weights_are_the_published_ones_unless_given():
    assert LossWeights()._asdict() == {
        "gan": 1,
        "gan_random": 1,
        "image": 10,
        "latent": 0.5,
        "kl": 0.01,
    }
    terms = {name: torch.tensor([1.0, 2.0]) for name in LossWeights._fields}
    assert total(terms, LossWeights()).item() == pytest.approx(3 * 12.51)
