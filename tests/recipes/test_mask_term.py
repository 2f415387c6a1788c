"""Training with masks: what they change, and what they leave alone."""

from copy import deepcopy

import pytest
import torch
from torch.utils.data import DataLoader
from training import fit, images, make_trainer, pairs_of, weights

from munit_pl import DrawnDataModule, MUNITModule
from munit_pl.callbacks.grids import ImageGrid
from munit_pl.callbacks.progress import Speed
from munit_pl.commands.runtime.peak_memory import LiveBytes, predict_peak

EXACT = {"rtol": 0, "atol": 0}
MASK = {"recipes": {"mask": {}}}


def masked(steps, value=None, n=2):
    """Return batches with random masks, or with masks of one value."""
    rng = torch.Generator().manual_seed(9)
    batches = []
    for pair in pairs_of(steps, n):
        masks = torch.rand(2, n, 1, 16, 16, generator=rng)
        batches.append((*pair, *(masks if value is None else torch.full_like(masks, value))))
    return batches


def train(module, batches, **options):
    loop = make_trainer(max_steps=len(batches), **options)
    loop.fit(module, DataLoader(batches, batch_size=None))
    return loop


def shoes(**options):
    return DrawnDataModule((16, 16), length=4, test_length=2, batch_size=2, **options)


def test_masks_without_a_weight_change_nothing(tiny):
    start, states = MUNITModule(**tiny).state_dict(), []
    for masks in (False, True):
        module = MUNITModule(**tiny)
        module.load_state_dict(deepcopy(start))
        make_trainer(max_steps=3, limit_val_batches=0).fit(module, shoes(masks=masks))
        states.append(module.state_dict())
    torch.testing.assert_close(*states, **EXACT)


def test_under_masks_that_are_white_all_over_the_update_is_the_plain_one(tiny):
    plain, free = MUNITModule(**tiny), MUNITModule(**tiny, **MASK)
    free.load_state_dict(deepcopy(plain.state_dict()))
    fit(plain, steps=2)
    logged = train(free, masked(2, 1.0)).callback_metrics
    torch.testing.assert_close(free.state_dict(), plain.state_dict(), **EXACT)
    assert (logged["gen/mask_a"], logged["gen/mask_b"]) == (0, 0)


def test_what_is_logged_of_a_validation_is_the_term_of_the_test_shoes(tiny):
    seen = []

    class Watched(MUNITModule):
        def generator_terms(self, part):
            seen.append((part, super().generator_terms(part)))
            return seen[-1][1]

    metrics = make_trainer().validate(Watched(**tiny, **MASK), shoes(masks=True), verbose=False)
    ((part, terms),) = seen
    assert metrics[0]["val/mask"] == pytest.approx(terms["mask"].sum().item())
    assert part.draws["mask_a"].unique().tolist() == [0, 1]
    assert terms["mask"].min() > 0


def test_pictures_and_speed_come_of_masked_batches_too(tiny, tmp_path):
    callbacks = [ImageGrid(tmp_path, 1, 1, 1), Speed(1)]
    loop = make_trainer(max_steps=2, callbacks=callbacks)
    loop.fit(MUNITModule(**tiny, **MASK), shoes(masks=True))
    assert len(list(tmp_path.glob("*.png"))) == 4
    assert {"gen/mask_a", "gen/mask_b", "speed/images_per_second"} <= loop.callback_metrics.keys()


def test_parts_of_a_batch_have_their_own_masks_and_give_the_whole_ones_update(tiny):
    start, states = MUNITModule(**tiny).state_dict(), []
    for accumulate in (1, 2):
        module = MUNITModule(**tiny, **MASK, accumulate=accumulate)
        module.load_state_dict(start)
        loop = train(module, masked(1, n=3), precision="64-true")
        states.append(loop.optimizers[1].state_dict()["state"])
        states.append(loop.callback_metrics["gen/mask_b"])
    torch.testing.assert_close(states[2:], states[:2], atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("method", ["unit", "cyclegan", "bicyclegan"], indirect=True)
def test_other_methods_let_masks_be(method):
    plain, other = method.make(), method.make()
    other.load_state_dict(deepcopy(plain.state_dict()))
    fit(plain, steps=1)
    train(other, masked(1))
    torch.testing.assert_close(other.state_dict(), plain.state_dict(), **EXACT)


@pytest.mark.slow
def test_predicted_memory_has_the_term_in_it(tiny):
    module = MUNITModule(**tiny, **MASK)
    predicted, batches = predict_peak(module, 16, 16, 2), masked(2)
    with LiveBytes() as counted:
        train(MUNITModule(**tiny, **MASK), batches)
    assert predicted == pytest.approx(counted.peak, rel=0.02)
    assert predicted > predict_peak(MUNITModule(**tiny), 16, 16, 2)


@pytest.mark.slow
def test_with_the_term_the_background_of_translations_stays_closer_to_the_sources(tiny):
    data = DrawnDataModule((32, 32), length=200, test_length=8, batch_size=2, masks=True)
    start, changed = MUNITModule(**tiny).state_dict(), []
    adam = {"lr": 1e-3, "betas": [0.5, 0.99]}
    for weight in (0.0, 10.0):
        module = MUNITModule(**tiny, optimizer=adam, recipes={"mask": {"weight": weight}})
        module.load_state_dict(start)
        make_trainer(max_steps=60, max_epochs=-1, limit_val_batches=0).fit(module, data)
        batch = next(iter(data.val_dataloader()))
        x_a, _, m_a, _ = data.on_after_batch_transfer(batch, 0)
        with torch.no_grad():
            x_ab = module.translate(x_a, torch.randn(2, module.style_dim))
        changed.append(((1 - m_a) * (x_ab - x_a).abs()).mean().item())
    assert changed[1] < 0.5 * changed[0]


# Bad input


def test_batches_without_masks_are_refused_where_they_are_asked_for(tiny):
    module = MUNITModule(**tiny, **MASK)
    before = weights(module)
    with pytest.raises(
        ValueError, match="recipe mask takes batches with masks, but these have none"
    ):
        fit(module, steps=1)
    torch.testing.assert_close(weights(module), before, **EXACT)


def test_masks_that_would_be_spread_over_images_are_refused(tiny):
    module, x = MUNITModule(**tiny, **MASK), images()
    for shape in [(2, 16, 16), (2, 3, 16, 16), (2, 1, 8, 8), (1, 1, 16, 16)]:
        with pytest.raises(ValueError, match=r"masks are \(.*\), but must be \(2, 1, 16, 16\)"):
            module.draw_all((x, x, torch.ones(shape), torch.ones(shape)), 0)


def test_domains_of_different_channels_are_refused(tiny):
    with pytest.raises(ValueError, match="mask would compare images of 1 and of 3"):
        MUNITModule(1, 3, **tiny, **MASK)
