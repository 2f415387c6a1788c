import copy
import inspect
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from lightning.pytorch.callbacks import Callback
from methods import METHODS
from torch.utils.data import DataLoader
from training import fit, images, make_trainer, pairs_of

from munit_pl.models.cyclegan.module import CycleGANModule
from munit_pl.models.cyclegan.networks import CycleGANGenerator

CONF = Path(__file__).parents[3] / "conf"
small = METHODS["cyclegan"].make


def plain_loop(module, pairs, noise, lr, weights):
    """Train as the paper says, in its letters: G from X to Y, F back; without a pool."""
    G, F_, D_X, D_Y = module.gen_b.decoder, module.gen_a.decoder, module.dis_a, module.dis_b
    of_gens = [*F_.parameters(), *G.parameters()]
    of_dises = [*D_X.parameters(), *D_Y.parameters()]
    opt_G = torch.optim.Adam(of_gens, lr=lr, betas=(0.5, 0.999))
    opt_D = torch.optim.Adam(of_dises, lr=lr, betas=(0.5, 0.999))
    for k, ((x, y), (z_F, z_G)) in enumerate(zip(pairs, noise, strict=True)):
        fake_y, fake_x = G(x, z_G), F_(y, z_F)
        adversarial = ((D_Y(fake_y)[0] - 1) ** 2).mean() + ((D_X(fake_x)[0] - 1) ** 2).mean()
        cycle = F.l1_loss(F_(fake_y, z_F), x) + F.l1_loss(G(fake_x, z_G), y)
        identity = F.l1_loss(G(y, z_G), y) + F.l1_loss(F_(x, z_F), x)
        loss_G = adversarial + weights[0] * cycle + weights[1] * identity
        loss_D = 0
        for D, real, fake in ((D_X, x, fake_x.detach()), (D_Y, y, fake_y.detach())):
            loss_D += 0.5 * (((D(real)[0] - 1) ** 2).mean() + (D(fake)[0] ** 2).mean())
        for optimizer, parameters, loss in ((opt_G, of_gens, loss_G), (opt_D, of_dises, loss_D)):
            for group in optimizer.param_groups:
                group["lr"] = lr * (1, 1, 0.5)[k]  # constant: 1, decay: 2
            # Biases that a normalization cancels have none.
            gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
        opt_G.step()
        opt_D.step()
    return loss_G, loss_D


@pytest.mark.parametrize("noise_dim", [0, 2])
def test_weights_and_losses_are_those_of_a_plain_loop_over_the_published_equations(noise_dim):
    module = small(
        noise_dim=noise_dim,
        pool_size=0,
        optimizer={"lr": 1e-3},
        scheduler={"constant": 1, "decay": 2},
    ).double()
    plain, pairs = copy.deepcopy(module), [(a.double(), b.double()) for a, b in pairs_of(3)]
    drawn = [module.draw_all(pair, k) for k, pair in enumerate(pairs)]
    noise = [(draws["z_a"], draws["z_b"]) for draws in drawn]
    loss_G, loss_D = plain_loop(plain, pairs, noise, 1e-3, (10, 5))
    metrics = fit(module, pairs=pairs, steps=3, precision="64-true").callback_metrics
    assert metrics["gen/total"].item() == pytest.approx(loss_G.item(), rel=1e-6)
    assert metrics["dis/total"].item() == pytest.approx(loss_D.item(), rel=1e-6)
    dead = biases_without_gradient(module)
    for name, weight in plain.state_dict().items():
        if name not in dead:
            torch.testing.assert_close(module.state_dict()[name], weight, atol=1e-9, rtol=0)


def biases_without_gradient(module):
    """Return the biases that a normalization removes: their gradient is rounding alone."""
    return {
        f"{name}.conv.bias"
        for name, block in module.named_modules()
        if isinstance(getattr(block, "norm", None), torch.nn.InstanceNorm2d)
    }


def test_published_sizes_have_as_many_parameters_as_published():
    with torch.device("meta"):
        module = CycleGANModule()
    assert sum(p.numel() for p in module.parameters()) == 2 * (11_378_179 + 2_764_737)


def test_weights_start_normal_and_biases_zero():
    module = small(generator={"dim": 16}, discriminator={"dim": 16})
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            error = 5 / (2 * parameter.numel()) ** 0.5  # five standard errors
            assert parameter.std().item() == pytest.approx(0.02, rel=error)
    assert not torch.equal(
        module.gen_a.decoder.layers[0].conv.weight, module.gen_b.decoder.layers[0].conv.weight
    )


def test_both_optimizers_are_the_published_adam():
    dis, gen = fit(small(), steps=1).optimizers
    for optimizer in (dis, gen):
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 0)


@pytest.mark.parametrize(("identity", "passes"), [(5.0, 6), (0.0, 4)])
def test_nothing_is_computed_twice(monkeypatch, identity, passes):
    calls, original = [], CycleGANGenerator.decode

    def counted(self, *args):
        calls.append(torch.is_grad_enabled())
        return original(self, *args)

    monkeypatch.setattr(CycleGANGenerator, "decode", counted)
    fit(small(weights={"identity": identity}), steps=1)
    # Two translations, two ways back and two identities, all for the generators' update.
    assert calls == [True] * passes


class Shown(CycleGANModule):
    """Records what the discriminators are shown, and what was translated."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.shown, self.made = [], []
        for domain in "ab":
            pool = self.pools[domain]
            original = pool.exchange

            def recorded(x, chances, original=original):
                self.made.append(x)
                self.shown.append(original(x, chances))
                return self.shown[-1]

            pool.exchange = recorded


def test_discriminators_judge_the_translations_of_the_generators_own_update():
    module = Shown(**METHODS["cyclegan"].arguments)
    start = copy.deepcopy(module)
    ((x_a, x_b),) = pairs = pairs_of(1)
    fit(module, pairs=pairs, steps=1)
    empty = torch.empty(2, 0)
    of_b, of_a = module.made
    assert torch.equal(of_b, start.gen_b.decode(x_a, empty))  # with the weights before the step
    assert torch.equal(of_a, start.gen_a.decode(x_b, empty))
    assert not of_b.requires_grad


def test_discriminators_are_shown_what_the_pools_answer():
    module = Shown(**METHODS["cyclegan"].arguments, pool_size=1)
    fit(module, steps=12, batch=1)
    for domain in (0, 1):
        made, shown = module.made[domain::2], module.shown[domain::2]
        earlier = [not torch.equal(m, s) for m, s in zip(made, shown, strict=True)]
        assert not earlier[0]
        assert 0 < sum(earlier) < 11
        for k, image in enumerate(shown):
            assert any(torch.equal(image, m) for m in made[: k + 1])
    assert [len(pool.images) for pool in module.pools.values()] == [1, 1]


def test_discriminators_terms_are_of_what_the_pools_answer(monkeypatch):
    module, answer = small(), images(seed=9)
    ((x_a, x_b),) = pairs = pairs_of(1)
    dis_a, dis_b = copy.deepcopy(module.dis_a), copy.deepcopy(module.dis_b)
    monkeypatch.setattr(module.pools["a"], "exchange", lambda x, chances: answer)
    monkeypatch.setattr(module.pools["b"], "exchange", lambda x, chances: -answer)
    metrics = fit(module, pairs=pairs, steps=1).callback_metrics
    for domain, dis, real, fake in (("a", dis_a, x_a, answer), ("b", dis_b, x_b, -answer)):
        squares = ((dis(real)[0] - 1) ** 2).mean() + (dis(fake)[0] ** 2).mean()
        torch.testing.assert_close(metrics[f"dis/gan_{domain}"], squares.detach() / 2)


def test_pools_are_no_buffers():
    """Distributed training would make them alike in all processes."""
    module = small()
    fit(module)
    assert list(module.buffers()) == []


@pytest.mark.parametrize("stage", ["no iteration", "no pool"])
def test_a_checkpoint_without_pooled_images_loads_too(tmp_path, stage):
    module = small(pool_size=0 if stage == "no pool" else 50)
    loop = fit(module, steps=0 if stage == "no iteration" else 1)
    loop.save_checkpoint(tmp_path / "x.ckpt")
    loaded = CycleGANModule.load_from_checkpoint(tmp_path / "x.ckpt", weights_only=True)
    assert all(pool.images == [] for pool in loaded.pools.values())


def test_each_process_takes_its_own_pool_back(monkeypatch):
    module = small(pool_size=2)
    ranks = torch.arange(2.0).view(2, 1, 1, 1, 1) + torch.zeros(2, 2, 3, 16, 16)
    module.pools["a"].images = list(ranks[0])
    monkeypatch.setattr(CycleGANModule, "all_gather", lambda self, own: ranks.to(own))
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    assert checkpoint["pools"].keys() == {"a"}
    for rank, own in enumerate([0, 1, 0]):  # the third was not there when it was saved
        monkeypatch.setattr(CycleGANModule, "global_rank", rank)
        loaded = small(pool_size=2)
        loaded.on_load_checkpoint(checkpoint)
        assert [image.unique().item() for image in loaded.pools["a"].images] == [own, own]


def test_a_smaller_pool_takes_no_more_than_it_holds():
    module = small(pool_size=1)
    module.on_load_checkpoint({"pools": {"a": torch.zeros(1, 3, 3, 16, 16)}})
    assert len(module.pools["a"].images) == 1


def test_draws_are_a_function_of_seed_and_place():
    module, batch = small(noise_dim=2, seed=3), (images(), images())
    drawn = module.draw_all(batch, 5)
    assert {name: tuple(values.shape) for name, values in drawn.items()} == {
        "z_a": (2, 2),
        "z_b": (2, 2),
        "chance_a": (2,),
        "chance_b": (2,),
    }
    torch.manual_seed(1)
    again = small(noise_dim=2, seed=3).draw_all(batch, 5)
    assert all(torch.equal(again[name], values) for name, values in drawn.items())
    others = [module.draw_all(batch, 6), small(noise_dim=2, seed=4).draw_all(batch, 5)]
    tensors = [values for draws in (drawn, *others) for values in draws.values()]
    assert len({tuple(values.flatten().tolist()) for values in tensors}) == 12


def test_learning_rates_fall_linearly_after_the_constant_part():
    rates = []

    class Rates(Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append([o.param_groups[0]["lr"] for o in trainer.optimizers])

    for scheduler, run, factors in (
        ({"constant": 1, "decay": 2}, {"max_steps": 4}, (1, 1, 0.5, 0)),
        ({}, {"max_steps": 4}, (1, 1, 1, 0.5)),
        ({}, {"max_epochs": 2}, (1, 1, 1, 1, 2 / 3, 1 / 3)),  # of three iterations each
        ({"constant": 0}, {"max_epochs": 2, "max_steps": 4}, (1, 0.75, 0.5, 0.25)),
    ):
        rates.clear()
        module = small(optimizer={"lr": 0.01}, scheduler=scheduler)
        loop = make_trainer(callbacks=[Rates()], **run)
        loop.fit(module, DataLoader(pairs_of(3), batch_size=None))
        assert rates == [[pytest.approx(0.01 * factor)] * 2 for factor in factors]


def test_a_resumed_schedule_follows_the_longer_run(tmp_path):
    module, loader = small(), DataLoader(pairs_of(2), batch_size=None)
    loop = make_trainer(max_epochs=1)
    loop.fit(module, loader)
    loop.save_checkpoint(tmp_path / "x.ckpt")
    loop = make_trainer(max_epochs=3)
    loop.fit(small(), loader, ckpt_path=tmp_path / "x.ckpt", weights_only=True)
    (scheduler,) = {config.scheduler for config in loop.lr_scheduler_configs[:1]}
    factors = [scheduler.lr_lambdas[0](k) for k in (2, 3, 4, 5, 6)]
    assert factors == pytest.approx([1, 1, 2 / 3, 1 / 3, 0])
    assert loop.global_step == 6


@pytest.mark.parametrize(
    "options",
    [
        {"gan_loss": "nsgan"},
        {"weights": {"identity": 0.0}},
        {"noise_dim": 2},
        {"pool_size": 0},
        {"accumulate": 2},
        {"clip_norm": 1.0},
        {"discriminator": {"norm": "none", "num_scales": 2}},
        {"initialization": {"generator": "kaiming", "discriminator": "xavier"}},
        {"input_channels_a": 1, "input_channels_b": 4},
    ],
    ids=str,
)
def test_every_option_trains(options):
    module = small(**options)
    before = copy.deepcopy(module.state_dict())
    channels = options.get("input_channels_a", 3), options.get("input_channels_b", 3)
    loop = fit(module, channels=channels)
    assert all(value.isfinite() for value in loop.callback_metrics.values())
    for name, parameter in module.named_parameters():
        assert parameter.isfinite().all()
        assert not torch.equal(parameter, before[name]) or name.endswith("bias")


def test_identity_is_left_out_where_domains_differ_in_channels():
    metrics = fit(small(input_channels_a=1), steps=1, channels=(1, 3)).callback_metrics
    terms = {name.split("/")[1][:-2] for name in metrics if name.startswith("gen/")}
    assert terms >= {"gan", "cycle"}
    assert "identity" not in terms


def test_validation_leaves_the_pools_alone():
    module = small()
    loop = make_trainer()
    loop.validate(module, DataLoader(pairs_of(2), batch_size=None), verbose=False)
    assert all(pool.images == [] for pool in module.pools.values())


def test_translation_maps_the_image_under_the_noise():
    module, x, z = small(input_channels_a=1, noise_dim=2), images(channels=1), torch.randn(2, 2)
    assert torch.equal(module(x, z), module.gen_b.decoder(x, z))
    assert not torch.equal(module(x, z), module(x, -z))
    assert small().translate(images(), to="a").shape == (2, 3, 16, 16)


def test_configuration_lists_every_setting_with_its_default():
    conf = yaml.safe_load((CONF / "model" / "cyclegan.yaml").read_text())
    parameters = inspect.signature(CycleGANModule).parameters
    assert conf.pop("_target_") == "munit_pl.CycleGANModule"
    assert conf.pop("seed") == "${seed}"
    assert list(conf) == [name for name in parameters if name != "seed"]
    with torch.device("meta"):
        given, default = CycleGANModule(**conf), CycleGANModule()
    assert given.gen_a.arguments == default.gen_a.arguments
    assert str(given) == str(default)
    assert given.weights == default.weights
    for name, value in conf.items():
        if not isinstance(value, dict):
            assert value == parameters[name].default
    adam = {"name": "Adam", "lr": 2e-4, "betas": [0.5, 0.999], "weight_decay": 0, "fused": None}
    assert conf["optimizer"] == adam
    assert conf["scheduler"] == {"kind": "linear", "constant": None, "decay": None}
    assert conf["initialization"] == {"generator": "normal", "discriminator": "normal"}


def test_demo_fits_into_64_pixels():
    conf = yaml.safe_load((CONF / "demo" / "cyclegan.yaml").read_text())
    model = conf["model"] | {"scheduler": {}}  # whose settings hang on the trainer's
    CycleGANModule(**model).check_size(64, 64)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"gan_loss": "wgan"}, ValueError, "gan_loss is 'wgan'"),
        ({"pool_size": -1}, ValueError, "pool_size is -1"),
        ({"noise_dim": -1}, ValueError, "noise_dim is -1"),
        ({"accumulate": 0}, ValueError, "accumulate is 0"),
        ({"weights": {"style": 1.0}}, TypeError, "style"),
        ({"generator": {"depth": 1}}, TypeError, "depth"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        small(**arguments)
