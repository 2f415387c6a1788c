"""The recipes beyond the paper as options of the module: what they do where they are on."""

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.optim.lr_scheduler import StepLR
from training import fit, fp16, images, make_trainer, moved, weights

from munit_pl import DrawnDataModule, MUNITModule

NO_TERMS = dict.fromkeys(("gan", "image", "style", "content"), 0.0)
ALL = {
    "gan_loss": "hinge",
    "recipes": {"diffaugment": {}, "r1": {"every": 2}, "mode_seeking": {}},
    "discriminator_steps": 2,
    "lr_discriminator": 4e-4,
    "scheduler": {"kind": "linear", "constant": 2, "decay": 3, "warmup": 2},
}
NEW = ("lr_discriminator", "discriminator_steps", "recipes")


def rates_of(module, steps):
    rates = []

    class Rates(Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append(tuple(o.param_groups[0]["lr"] for o in trainer.optimizers))

    fit(module, steps=steps, callbacks=[Rates()])
    return rates


def test_discriminators_have_a_rate_of_their_own_on_the_same_schedule(tiny):
    options = {"optimizer": {"lr": 0.5}, "lr_discriminator": 2.0, "scheduler": {"step_size": 1}}
    module = MUNITModule(**tiny, **options)
    assert rates_of(module, 3) == [(2.0, 0.5), (1.0, 0.25), (0.5, 0.125)]


def test_rates_rise_in_the_warm_up_and_fall_as_asked(tiny):
    scheduler = {"kind": "linear", "constant": 3, "decay": 2, "warmup": 2}
    module = MUNITModule(**tiny, optimizer={"lr": 8.0}, scheduler=scheduler)
    assert [dis for dis, _ in rates_of(module, 5)] == [4.0, 8.0, 8.0, 8.0, 4.0]


def test_the_penalty_comes_in_every_so_manyth_iteration_and_counts_as_often(tiny):
    module, batch = MUNITModule(**tiny, recipes={"r1": {}}), (images(), images())
    drawn = {k: module.draw_all(batch, k) for k in range(40)}
    due = {k: draws["r1"] for k, draws in drawn.items() if "r1" in draws}
    assert {k: counts.tolist() for k, counts in due.items()} == {15: [16, 16], 31: [16, 16]}


def test_with_the_penalty_alone_discriminators_learn_in_its_iterations_alone(tiny):
    options = {"weights": NO_TERMS, "recipes": {"r1": {"every": 2}}}
    seen = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, pl_module, *_):
            seen.append(weights(pl_module.dis_a))

    class Logged(Callback):
        def on_train_batch_end(self, trainer, *_):
            logged.append("dis/r1_a" in trainer.callback_metrics)

    logged = []
    adam = {"weight_decay": 0.0, "betas": [0.0, 0.0]}
    module = MUNITModule(**tiny, **options, optimizer=adam)
    fit(module, steps=5, callbacks=[Watch(), Logged()])
    assert [moved(*pair) for pair in pairwise(seen)] == [False, True, False, True]
    assert logged[:2] == [False, True]


def test_augmentations_and_other_styles_are_functions_of_seed_domain_and_iteration(tiny):
    recipes = {"diffaugment": {"augmentations": ["color"]}, "mode_seeking": {}}
    module, batch = MUNITModule(**tiny, recipes=recipes, seed=3), (images(), images())
    drawn = module.draw_all(batch, 5)
    torch.manual_seed(7)
    again = MUNITModule(**tiny, recipes=recipes, seed=3).draw_all(batch, 5)
    later = module.draw_all(batch, 6)
    for name in ("augment_a", "augment_b", "other_a", "other_b"):
        assert torch.equal(drawn[name], again[name])
        assert not torch.equal(drawn[name], later[name])
    assert not torch.equal(drawn["augment_a"], drawn["augment_b"])
    assert not torch.equal(drawn["other_a"], drawn["gen_a"])
    without = MUNITModule(**tiny, seed=3).draw_all(batch, 5)
    assert all(torch.equal(values, drawn[name]) for name, values in without.items())


def test_draws_of_two_processes_are_those_of_one(tiny, monkeypatch):
    module = MUNITModule(**tiny, recipes={"diffaugment": {}, "mode_seeking": {}, "r1": {}})
    whole, halves = module.draw_all((images(4), images(4)), 15), []
    for rank in (0, 1):
        monkeypatch.setattr(MUNITModule, "global_rank", rank)
        halves.append(module.draw_all((images(), images()), 15))
    assert {"augment_a", "other_b", "r1"} < whole.keys()
    for name, values in whole.items():
        assert torch.equal(torch.cat([half[name] for half in halves]), values)


def test_discriminators_see_every_image_augmented_and_generators_none(tiny, monkeypatch):
    module = MUNITModule(**tiny, recipes={"diffaugment": {}})
    monkeypatch.setattr("munit_pl.recipes.diffaugment.augment", lambda x, *_: 0 * x)
    judged, encoded = [], []
    module.dis_a.register_forward_pre_hook(lambda _, x: judged.append(x[0]))
    module.gen_a.content_encoder.register_forward_pre_hook(lambda _, x: encoded.append(x[0]))
    fit(module, steps=1)
    assert len(judged) == 2
    assert not any(x.any() for x in judged)
    assert all(x.any() for x in encoded)


def test_several_discriminator_steps_are_one_step_of_the_trainer(tiny):
    loop = fit(MUNITModule(**tiny, discriminator_steps=3), steps=2)
    assert loop.global_step == 2
    taken = [{int(state["step"]) for state in o.state.values()} for o in loop.optimizers]
    assert taken == [{6}, {2}]


def test_each_discriminator_step_has_styles_of_its_own(tiny):
    drawn = []

    class Watched(MUNITModule):
        def draw_styles(self, n, stream, *where):
            if stream == "dis":
                drawn.append(where)
            return super().draw_styles(n, stream, *where)

    fit(Watched(**tiny, discriminator_steps=3), steps=1)
    assert drawn == [(0,), (0, "further", 1), (0, "further", 2)]


@pytest.mark.parametrize(
    ("precision", "options"),
    [
        ("32-true", {"shared_styles": True}),
        ("bf16-mixed", {"accumulate": 2}),
        ("16-mixed", {}),
    ],
)
def test_all_recipes_together_train_and_log_their_terms(tiny, options, precision):
    module = MUNITModule(**tiny, **deepcopy(ALL), **options)
    before = weights(module)
    plugins = fp16(init_scale=64.0)[1] if precision == "16-mixed" else []
    given = {"plugins": plugins} if plugins else {"precision": precision}
    metrics = fit(module, steps=2, **given).callback_metrics
    assert {"dis/r1_a", "dis/r1_b", "gen/mode_seeking_a", "gen/mode_seeking_b"} <= metrics.keys()
    assert all(value.isfinite() for value in metrics.values())
    assert moved(before, weights(module))
    assert all(p.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "spectral"])
def test_every_normalization_can_be_penalized(tiny, norm):
    tiny["discriminator"]["norm"] = norm
    module = MUNITModule(**tiny, recipes={"r1": {"every": 1}})
    assert fit(module, steps=1).callback_metrics["dis/r1_a"] > 0


@pytest.mark.slow
def test_parts_of_a_batch_give_the_whole_ones_update(tiny):
    start, optimizers = MUNITModule(**tiny).state_dict(), []
    for accumulate in (1, 2):
        module = MUNITModule(**tiny, **deepcopy(ALL), accumulate=accumulate)
        module.load_state_dict(start)
        optimizers.append(fit(module, batch=3, precision="64-true").optimizers)
    for whole, split in zip(*optimizers, strict=True):
        torch.testing.assert_close(
            split.state_dict()["state"], whole.state_dict()["state"], atol=1e-7, rtol=1e-6
        )


def test_a_checkpoint_from_before_the_recipes_loads_and_goes_on(tiny, tmp_path):
    path = tmp_path / "x.ckpt"
    fit(MUNITModule(**tiny, scheduler={"step_size": 7}), steps=1).save_checkpoint(path)
    saved = torch.load(path, weights_only=True)
    for name in NEW:
        del saved["hyper_parameters"][name]
    torch.save(saved, path)
    module = MUNITModule.load_from_checkpoint(path)
    _, schedules = module.configure_optimizers()
    assert [(type(s), s.step_size, s.gamma) for s in schedules] == [(StepLR, 7, 0.5)] * 2
    assert saved["lr_schedulers"][0].keys() == schedules[0].state_dict().keys()
    schedules[0].load_state_dict(saved["lr_schedulers"][0])
    assert schedules[0].last_epoch == 1


@pytest.mark.slow
def test_a_resumed_run_with_all_recipes_is_the_uninterrupted_one(tiny, tmp_path):
    start = MUNITModule(**tiny).state_dict()

    def train(steps, path=None):
        module = MUNITModule(**tiny, **deepcopy(ALL))
        module.load_state_dict(start)
        data = DrawnDataModule((16, 16), length=7, batch_size=2)
        loop = make_trainer(max_steps=steps, max_epochs=-1, limit_val_batches=0)
        loop.fit(module, data, ckpt_path=path, weights_only=True)
        loop.save_checkpoint(tmp_path / "x.ckpt")
        return module.state_dict()

    whole = train(4)
    train(3)
    torch.testing.assert_close(train(4, tmp_path / "x.ckpt"), whole, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discriminator_steps": 0}, "discriminator_steps is 0, but must be at least 1"),
        ({"recipes": {"r1": {"every": 0}}}, "every is 0, but must be at least 1"),
        ({"recipes": {"ada": {"target": 6}}}, "target is 6, but must be below 1"),
        ({"recipes": {"ada": {"length": 0}}}, "length is 0, but must be at least 1"),
        ({"recipes": {"ada": {}, "diffaugment": {}}}, "recipes ada and diffaugment both augment"),
        (
            {"recipes": {"diffaugment": {"augmentations": ["colour"]}}},
            r"augmentations\[0\] is 'colour', but must be one of color, translation, cutout",
        ),
        (
            {"recipes": {"diffaugment": {"augmentations": []}}},
            r"augmentations is \[\], but must be a list of 1 or more",
        ),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        MUNITModule(**arguments)
