import pytest
import torch
from lightning.pytorch.callbacks import Callback
from training import fit, images, moved, weights

from munit_pl import MUNITModule
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.recipes.base import DiscriminatorPass
from munit_pl.recipes.consistency import NUM_RANDOM, Consistency, consistency, shift_and_flip
from munit_pl.recipes.diffaugment import AUGMENTATIONS, Augmented
from munit_pl.recipes.diffaugment import NUM_RANDOM as TO_AUGMENT

STILL = (0.5, 0.5, 0.9)  # neither shifted nor mirrored
MIRRORED = (0.5, 0.5, 0.1)


def term_of(dis, images, real, drawn):
    draws = dict(zip(("shift_a", "shift_b"), drawn, strict=True))
    done = DiscriminatorPass((dis, dis), *images, *images, real, real, 0.0, draws, {})
    return Consistency().discriminator_term(done)


def numbers(*rows):
    return torch.tensor(rows)


def test_numbers_in_the_middle_of_their_ranges_leave_an_image_as_it_is():
    x = images()
    assert torch.equal(shift_and_flip(x, numbers(STILL, STILL)), x)


def test_a_flip_mirrors_left_and_right():
    x = images()
    seen = shift_and_flip(x, numbers(MIRRORED, STILL))
    assert torch.equal(seen, torch.stack([x[0].flip(2), x[1]]))


def test_a_shift_is_by_whole_pixels_and_repeats_the_border():
    """u = 0 is four pixels up or left, u just below 1 four down or right, 5.5/9 one."""
    x = images()
    seen = shift_and_flip(x, numbers((0.0, 0.999, 0.9), (5.5 / 9, 0.5, 0.9)))
    up_right = torch.nn.functional.pad(x[:1], (4, 0, 0, 4), mode="replicate")[..., 4:, :16]
    assert torch.equal(seen[:1], up_right)
    assert torch.equal(seen[1, :, 1:], x[1, :, :-1])
    assert torch.equal(seen[1, :, 0], x[1, :, 0])


def test_what_is_both_is_shifted_first():
    x, both = images(1), numbers((0.2, 0.7, 0.1))
    apart = shift_and_flip(shift_and_flip(x, numbers((0.2, 0.7, 0.9))), numbers(MIRRORED))
    assert torch.equal(shift_and_flip(x, both), apart)


def test_every_shift_is_as_likely_as_any_other():
    x = torch.zeros(900, 1, 16, 1)
    x[:, :, 8] = 1
    u = (torch.arange(900) + 0.5) / 900
    places = shift_and_flip(x, torch.stack([u, u, u], 1))[:, 0, :, 0].argmax(1)
    assert torch.bincount(places)[4:].tolist() == [100] * 9


def test_an_image_smaller_than_the_shift_can_be_shifted():
    x = images(1)[:, :, :3, :3]
    seen = shift_and_flip(x, numbers((0.0, 0.5, 0.9)))
    assert torch.equal(seen, x[:, :, 2:].expand(1, 3, 3, 3))


def test_the_term_is_the_squared_difference_of_scores_averaged_over_images_summed_over_scales():
    """Scores 2 and 5, then 1 and 1, at the first scale; 3 and 1, then 0 and 1, at the second."""
    real = [torch.tensor([[[[1.0, 3.0]]], [[[1.0, 1.0]]]]), torch.tensor([[[[3.0]]], [[[0.0]]]])]
    again = [torch.tensor([[[[5.0, 5.0]]], [[[0.0, 2.0]]]]), torch.tensor([[[[1.0]]], [[[1.0]]]])]
    assert consistency(real, again) == (9 + 0) / 2 + (4 + 1) / 2


def test_the_gradient_reaches_both_sides():
    """Of (w * 2 - w * 5) ** 2 the slope in w is 18 * w."""
    w = torch.tensor(3.0, requires_grad=True)
    (slope,) = torch.autograd.grad(
        consistency([w * torch.full((1, 1), 2.0)], [w * torch.full((1, 1), 5.0)]), w
    )
    assert slope == 54


def test_scores_of_half_types_are_averaged_in_fp32():
    real = [torch.full((1, 1, 40, 40), 60.0, dtype=torch.float16)]  # the sum would overflow
    value = consistency(real, [scale + 2 for scale in real])
    assert value.dtype == torch.float32
    assert value == 4


class Left:
    """Judges an image by its left half, and for all patches at a second scale."""

    def __call__(self, x):
        return [x[..., : x.shape[3] // 2], 3 * x]

    def score_batches(self, *batches):
        return [self(x) for x in batches]


def test_each_discriminator_is_held_to_its_own_images():
    x_a, x_b = images(seed=1), images(seed=2)
    dis = Left()
    (real_a,), (real_b,) = dis.score_batches(x_a), dis.score_batches(x_b)
    still, mirrored = numbers(STILL, STILL), numbers(MIRRORED, MIRRORED)
    term = term_of(dis, (x_a, x_b), (real_a, real_b), (still, mirrored))
    left, right = x_b[..., :8].mean((1, 2, 3)), x_b[..., 8:].mean((1, 2, 3))
    expected = torch.stack([torch.tensor(0.0), (left - right).square().mean()])
    torch.testing.assert_close(term, expected)


def test_translations_are_held_to_their_own_domains_discriminator_by_a_weight_of_their_own():
    """Mirrored they score 6 less at the first scale: 36, a quarter of it by weight 2 beside 8."""
    x, dis = images(), Left()
    x_ba = torch.cat([torch.full((2, 3, 16, 8), 1.0), torch.full((2, 3, 16, 8), -5.0)], 3)
    real, fake = [dis(x), dis(x)], [dis(x_ba), dis(x)]
    still, mirrored = numbers(STILL, STILL), numbers(MIRRORED, MIRRORED)
    draws = {"shift_a": still, "shift_b": still, "shift_fake_a": mirrored, "shift_fake_b": still}
    done = DiscriminatorPass((dis, dis), x, x, x, x_ba, real, fake, 0.0, draws, {})
    term = Consistency(8.0, fake_weight=2.0).discriminator_term(done)
    torch.testing.assert_close(term, torch.tensor([36 / 4, 0.0]))


def test_behind_augmentations_both_images_are_augmented_alike():
    x = images()
    dis = Augmented(
        MultiScaleDiscriminator(3, 2, 2, 2), AUGMENTATIONS, torch.rand(2, 3, TO_AUGMENT)
    )
    real, _ = dis.score_batches(x, images(seed=1))
    still = numbers(STILL, STILL)
    term = term_of(dis, (x, x), (real, real), (still, still))
    torch.testing.assert_close(term, torch.zeros(2), rtol=0, atol=1e-10)
    assert consistency(real, dis(x)) > 1e-8  # with the generators' numbers they differ


def test_numbers_are_functions_of_seed_domain_image_and_iteration(tiny, monkeypatch):
    module = MUNITModule(**tiny, recipes={"consistency": {}}, seed=3)
    batch = images(4), images(4)
    drawn, later = module.draw_all(batch, 5), module.draw_all(batch, 6)
    without = MUNITModule(**tiny, seed=3).draw_all(batch, 5)
    assert drawn.keys() - without.keys() == {"shift_a", "shift_b"}
    balanced = MUNITModule(**tiny, recipes={"consistency": {"fake_weight": 10.0}}, seed=3)
    more = balanced.draw_all(batch, 5)
    assert more.keys() - drawn.keys() == {"shift_fake_a", "shift_fake_b"}
    assert all(torch.equal(values, more[name]) for name, values in drawn.items())
    assert not torch.equal(more["shift_fake_a"], more["shift_a"])
    assert all(torch.equal(values, drawn[name]) for name, values in without.items())
    monkeypatch.setattr(MUNITModule, "global_rank", 1)
    half = module.draw_all((images(), images()), 5)
    for name in ("shift_a", "shift_b"):
        assert drawn[name].shape == (4, NUM_RANDOM)
        assert torch.equal(drawn[name][2:], half[name])
        assert not torch.equal(drawn[name], later[name])
    assert not torch.equal(drawn["shift_a"], drawn["shift_b"])


@pytest.mark.parametrize(
    ("others", "precision"),
    [
        ({"discriminator": {"norm": "spectral"}, "shared_styles": True}, "32-true"),
        (
            {"recipes": {"consistency": {"fake_weight": 5.0}, "ada": {}, "r1": {"every": 1}}},
            "bf16-mixed",
        ),
        ({"discriminator": {"norm": "batch"}, "accumulate": 2}, "bf16-mixed"),
    ],
    ids=str,
)
def test_it_trains_and_is_logged_with_all_else(tiny, others, precision):
    options = {**others, "discriminator": tiny["discriminator"] | others.get("discriminator", {})}
    options["recipes"] = {"consistency": {}, **others.get("recipes", {})}
    module = MUNITModule(**(tiny | options))
    metrics = fit(module, steps=2, precision=precision).callback_metrics
    assert metrics["dis/consistency_a"] > 0
    assert metrics["dis/consistency_b"] > 0
    assert all(value.isfinite() for value in metrics.values())


@pytest.mark.slow
def test_with_the_term_alone_discriminators_learn_to_care_less(tiny):
    logged = []

    class Logged(Callback):
        def on_train_batch_end(self, trainer, *_):
            logged.append(float(trainer.callback_metrics["dis/consistency_a"]))

    no_terms = dict.fromkeys(("gan", "image", "style", "content"), 0.0)
    adam = {"weight_decay": 0.0, "lr": 1e-30}
    tiny["initialization"] = {"discriminator": "kaiming"}
    module = MUNITModule(
        **tiny,
        weights=no_terms,
        recipes={"consistency": {"weight": 1.0}},
        optimizer=adam,
        lr_discriminator=1e-3,
    )
    before = weights(module.dis_a), weights(module.gen_a)
    fit(module, steps=40, callbacks=[Logged()])
    assert moved(before[0], weights(module.dis_a))
    assert not moved(before[1], weights(module.gen_a))
    assert sum(logged[-10:]) < 0.5 * sum(logged[:10])
