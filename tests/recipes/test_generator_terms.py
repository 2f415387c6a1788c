"""What recipes add to the generators' terms, each against its equation."""

import torch
from methods import METHODS

from munit_pl import MUNITModule
from munit_pl.losses.perceptual import Vgg16
from munit_pl.losses.terms import l1
from munit_pl.models.base.micro_batch import MicroBatch
from munit_pl.models.base.objective import Images
from munit_pl.recipes.base import GeneratorPass
from munit_pl.recipes.mask import Mask, background_l1
from munit_pl.recipes.mode_seeking import ModeSeeking, mode_seeking, reciprocal_mode_seeking
from munit_pl.recipes.perceptual import Perceptual


def done(translate=None, adversarial=None, **draws):
    """A pass of images, translations and styles that have nothing to do with each other."""
    x_a, x_b, x_ab, x_ba = torch.rand(4, 2, 3, 16, 24) * 2 - 1
    z_a, z_b = torch.randn(2, 2, 3)
    return GeneratorPass(x_a, x_b, x_ab, x_ba, z_a, z_b, translate, adversarial, draws)


def test_perceptual_term_compares_each_translation_with_its_source(monkeypatch):
    compared = []

    def compare(x, target, vgg):
        compared.append((x, target))
        return torch.tensor(float(len(compared)))

    monkeypatch.setattr("munit_pl.recipes.perceptual.perceptual_loss", compare)
    recipe, of = Perceptual(), done()
    assert recipe.generator_term(of) is None  # nothing is trained yet, so nothing has been read
    recipe.vgg = Vgg16("caffe", {})
    assert recipe.generator_term(of).tolist() == [1.0, 2.0]
    pairs = (of.x_ba, of.x_b), (of.x_ab, of.x_a)
    assert all(
        x is y
        for seen, pair in zip(compared, pairs, strict=True)
        for x, y in zip(seen, pair, strict=True)
    )
    assert recipe.log_name() == "perceptual_caffe"


def test_mode_seeking_is_minus_the_ratio_of_mean_differences_averaged_over_images():
    """The first image differs by 3 under styles 1.5 apart, the second by 1 under styles 2 apart."""
    x = torch.zeros(2, 3, 4, 4)
    y = x + torch.tensor([3.0, -1.0]).view(2, 1, 1, 1)
    z = torch.zeros(2, 2)
    w = torch.tensor([[1.0, -2.0], [4.0, 0.0]])
    torch.testing.assert_close(mode_seeking(x, y, z, w), torch.tensor(-(3 / 1.5 + 1 / 2) / 2))


def test_its_reciprocal_is_of_means_over_all_images():
    """Of the same images: a mean difference of 2 under styles 1.75 apart in the mean."""
    x = torch.zeros(2, 3, 4, 4)
    y = x + torch.tensor([3.0, -1.0]).view(2, 1, 1, 1)
    z = torch.zeros(2, 2)
    w = torch.tensor([[1.0, -2.0], [4.0, 0.0]])
    expected = torch.tensor(1 / (2 / 1.75 + 1e-5))
    torch.testing.assert_close(reciprocal_mode_seeking(x, y, z, w), expected)
    torch.testing.assert_close(reciprocal_mode_seeking(x, x, z, w), torch.tensor(1e5))


def test_outside_is_the_mean_over_all_pixels_of_differences_where_the_mask_is_black():
    """Of 4 pixels one is black, one gray, two white: (1 * 2 + 0.5 * 4 + 0 + 0) / 4."""
    source = torch.zeros(2, 3, 2, 2)
    x = torch.tensor([[2.0, -4.0], [8.0, 16.0]]).expand(2, 3, 2, 2)
    mask = torch.tensor([[0.0, 0.5], [1.0, 1.0]]).expand(2, 1, 2, 2)
    assert background_l1(x, source, mask).item() == 1
    assert background_l1(x, source, torch.zeros(2, 1, 2, 2)).item() == l1(x, source).item() == 7.5
    assert background_l1(x, source, torch.ones(2, 1, 2, 2)).item() == 0


def test_outside_moves_nothing_inside_and_all_pixels_outside_alike():
    x = torch.full((1, 1, 2, 2), 3.0, requires_grad=True)
    mask = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    background_l1(x, torch.zeros(1, 1, 2, 2), mask).backward()
    assert x.grad.tolist() == [[[[0.25, 0.0], [0.25, 0.0]]]]


def test_mask_term_compares_each_translation_with_its_source_under_the_sources_mask():
    m_a, m_b = torch.rand(2, 2, 1, 16, 24)
    of = done(mask_a=m_a, mask_b=m_b)
    expected = [
        ((1 - mask) * (made - source).abs()).sum() / source.numel()
        for mask, made, source in ((m_b, of.x_ba, of.x_b), (m_a, of.x_ab, of.x_a))
    ]
    torch.testing.assert_close(Mask().generator_term(of), torch.stack(expected))


def test_mode_seeking_compares_translations_of_the_same_images_under_two_styles():
    w_a, w_b = torch.randn(2, 2, 3)
    y_ab, y_ba = torch.rand(2, 2, 3, 16, 24)
    asked = []

    def translate(*styles):
        asked.append(styles)
        return y_ab, y_ba

    of = done(translate, other_a=w_a, other_b=w_b)

    def ratio(x, y, z, w):
        return -((x - y).abs().mean((1, 2, 3)) / (z - w).abs().mean(1)).mean()

    expected = ratio(of.x_ba, y_ba, of.z_a, w_a), ratio(of.x_ab, y_ab, of.z_b, w_b)
    (term,) = ModeSeeking().generator_term(of).values()
    torch.testing.assert_close(term, torch.stack(expected))
    assert asked == [(w_a, w_b)]


def test_in_its_reciprocal_form_the_second_translations_are_to_pass_for_real_too():
    """Under the first ones' styles they are the first ones, and the term counts twice."""
    for name, gan, first in (
        ("munit", "gan", "gen_"),
        ("noisy_cyclegan", "gan", "z_"),
        ("bicyclegan", "gan_random", "z_"),
    ):
        still = {"generator": {"dropout": 0.0}} if name == "bicyclegan" else {}
        torch.manual_seed(0)
        module = METHODS[name].make(recipes={"mode_seeking": {"form": "reciprocal"}}, **still)
        batch = torch.rand(2, 2, 3, 24, 24) * 2 - 1
        draws = module.draw_all(batch, 0)
        same = {f"other_{domain}": draws[f"{first}{domain}"] for domain in "ab"}
        twice = module.generator_terms(MicroBatch(Images(*batch), draws | same))
        two = module.generator_terms(MicroBatch(Images(*batch), draws))
        (recipe,) = module.recipes
        recipe.form = "ratio"
        once = module.generator_terms(MicroBatch(Images(*batch), draws))
        torch.testing.assert_close(twice[gan], 2 * once[gan])
        assert not torch.allclose(two[gan], twice[gan], rtol=1e-6)
        assert twice.keys() == once.keys()


def test_munit_translates_again_what_it_has_encoded(tiny):
    """The term that training computes is that of translations made from scratch."""
    module = MUNITModule(**tiny, recipes={"mode_seeking": {}})
    batch = torch.rand(2, 2, 3, 16, 16) * 2 - 1
    part = MicroBatch(Images(*batch), module.draw_all(batch, 0))
    term = module.generator_terms(part)["mode_seeking"]
    draws, (x_a, x_b) = part.draws, batch
    expected = [
        mode_seeking(module.translate(x, z, to), module.translate(x, w, to), z, w)
        for x, z, w, to in (
            (x_b, draws["gen_a"], draws["other_a"], "a"),
            (x_a, draws["gen_b"], draws["other_b"], "b"),
        )
    ]
    torch.testing.assert_close(term, torch.stack(expected))
