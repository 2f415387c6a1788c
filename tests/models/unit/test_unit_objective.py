import pytest
import torch
import torch.nn.functional as F
from torch import nn

from munit_pl.losses.adversarial import adversarial_loss
from munit_pl.losses.terms import total
from munit_pl.models.base.objective import Images
from munit_pl.models.unit.networks import UNITGenerator
from munit_pl.models.unit.objective import (
    Codes,
    LossWeights,
    Networks,
    Noises,
    decode,
    encode,
    generator_terms,
    kl,
    translate,
)

LSGAN = adversarial_loss("lsgan")


class Shifting(nn.Module):
    """An auto-encoder whose code is the image plus a number, which its decoder takes off again."""

    def __init__(self, by):
        super().__init__()
        self.by = by

    def content_encoder(self, x):
        return x + self.by

    def decoder(self, code):
        return code - self.by


def scores(value):
    """Return a discriminator of two scales that gives everything one score."""
    return lambda x: [torch.full((len(x), 1, s, s), value) for s in (4, 2)]


def test_kl_is_the_mean_square():
    assert kl(torch.tensor([[1.0, -2.0], [0.0, 3.0]])) == pytest.approx(14 / 4)
    assert kl(torch.zeros(2, 3)) == 0


def test_terms_of_perfect_shifts_in_closed_form():
    # With codes x + 1 and x + 2: a's image shown by b is x - 1, b's by a x + 1; there and back is
    # the identity, so are both reconstructions.
    gen_a, gen_b = Shifting(1.0), Shifting(2.0)
    x_a, x_b, zero = torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), -1.0), torch.zeros(1)
    networks = Networks(gen_a, gen_b, scores(0.5), scores(-1.0))
    images = Images(x_a, x_b)
    codes = encode(networks, images)
    decoded = decode(networks, codes, zero, zero)
    assert torch.equal(decoded.x_ab, x_a - 1)
    assert torch.equal(decoded.x_ba, x_b + 1)
    noises = Noises(zero, zero, zero, zero)
    terms = generator_terms(networks, images, codes, decoded, noises, LSGAN)
    expected = {
        "gan": [2 * 0.25, 2 * 4.0],  # both scales of (score - 1)^2
        "image": [0, 0],
        "kl": [1.5**2, 1.0],
        "cycle": [0, 0],
        "cycle_kl": [1.5**2, 1.0],  # the code read back is the code
    }
    assert {term: pair.tolist() for term, pair in terms.items()} == {
        term: pytest.approx(pair) for term, pair in expected.items()
    }
    assert total(terms, LossWeights()) == pytest.approx(8.5 + 0.01 * 3.25 + 0.01 * 3.25)


def test_noise_is_added_to_the_code_that_is_decoded_and_not_to_the_one_that_is_weighed():
    networks = Networks(Shifting(0.0), Shifting(0.0), scores(1.0), scores(1.0))
    images = Images(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    codes = encode(networks, images)
    noises = Noises(*(torch.full((1, 1, 2, 2), value) for value in (0.1, 0.2, 0.4, 0.8)))
    decoded = decode(networks, codes, noises.n_a, noises.n_b)
    terms = generator_terms(networks, images, codes, decoded, noises, LSGAN)
    assert terms["image"].tolist() == pytest.approx([0.1, 0.2])
    assert terms["kl"].tolist() == pytest.approx([0.0, 1.0])
    assert terms["cycle"].tolist() == pytest.approx([0.1 + 0.4, 0.2 + 0.8])
    assert terms["cycle_kl"].tolist() == pytest.approx([0.1**2, 1.2**2])


@pytest.fixture
def networks():
    gens = [UNITGenerator(dim=4, num_res_blocks=1).double() for _ in "ab"]
    return Networks(*gens, scores(0.25), scores(0.25))


def test_decoding_together_is_decoding_apart(networks):
    gen_a, gen_b, *_ = networks
    codes = Codes(*(torch.randn(n, 16, 4, 4, dtype=torch.float64) for n in (2, 3)))
    n_a, n_b = (torch.randn_like(h) for h in codes)
    together = decode(networks, codes, n_a, n_b)
    x_ab, x_ba = translate(networks, codes, n_a, n_b)
    torch.testing.assert_close(together.x_aa, gen_a.decoder(codes.h_a + n_a))
    torch.testing.assert_close(together.x_bb, gen_b.decoder(codes.h_b + n_b))
    torch.testing.assert_close(together.x_ab, x_ab)
    torch.testing.assert_close(together.x_ba, x_ba)


def test_the_terms_are_a_straight_transcription_of_the_equations(networks):
    gen_a, gen_b, *_ = networks
    x_a, x_b = (torch.randn(2, 3, 16, 16, dtype=torch.float64) for _ in "ab")
    n = dict(zip(("a", "b", "ab", "ba"), torch.randn(4, 2, 16, 4, 4).double(), strict=True))
    e_a, e_b, g_a, g_b = (
        gen_a.content_encoder,
        gen_b.content_encoder,
        gen_a.decoder,
        gen_b.decoder,
    )
    z_a, z_b = e_a(x_a) + n["a"], e_b(x_b) + n["b"]
    x_ab, x_ba = g_b(z_a), g_a(z_b)
    z_ab, z_ba = e_b(x_ab) + n["ab"], e_a(x_ba) + n["ba"]
    expected = 10 * (F.l1_loss(g_a(z_a), x_a) + F.l1_loss(g_b(z_b), x_b))
    expected += 10 * (F.l1_loss(g_a(z_ab), x_a) + F.l1_loss(g_b(z_ba), x_b))
    expected += 0.01 * sum((e**2).mean() for e in (e_a(x_a), e_b(x_b), e_b(x_ab), e_a(x_ba)))
    expected += 2 * 2 * (0.25 - 1) ** 2  # two domains, two scales

    images, noises = Images(x_a, x_b), Noises(*n.values())
    codes = encode(networks, images)
    decoded = decode(networks, codes, n["a"], n["b"])
    terms = generator_terms(networks, images, codes, decoded, noises, LSGAN)
    torch.testing.assert_close(total(terms, LossWeights()), expected)
