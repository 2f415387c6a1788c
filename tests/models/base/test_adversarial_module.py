"""What all methods share, on each of them."""

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from omegaconf import OmegaConf
from torch.utils.data import DataLoader
from training import LEAST, fit, fp16, images, make_trainer, moved, pairs_of, weights

from munit_pl import BicycleGANModule, CycleGANModule, DrawnDataModule, MUNITModule, UNITModule

ORDER = {
    MUNITModule: ["dis", "gen"],
    UNITModule: ["dis", "gen"],
    CycleGANModule: ["gen", "dis"],
    BicycleGANModule: ["gen", "dis"],
}
TERMS = {
    MUNITModule: {"gan", "image", "style", "content"},
    UNITModule: {"gan", "image", "kl", "cycle", "cycle_kl"},
    CycleGANModule: {"gan", "cycle", "identity"},
    BicycleGANModule: {"gan", "gan_random", "image", "latent", "kl"},
}

# Each changes its rate before and after the third iteration.
SCHEDULES = {
    MUNITModule: {"step_size": 2},
    UNITModule: {"step_size": 2},
    CycleGANModule: {"constant": 1, "decay": 8},
    BicycleGANModule: {"constant": 1, "decay": 8},
}


def parts(module):
    """All that has weights of its own: the generators' networks, and the discriminators."""
    gens = {"gen_a": module.gen_a, "gen_b": module.gen_b}
    networks = {
        f"{name}.{k}": part for name, gen in gens.items() for k, part in gen.named_children()
    }
    networks |= {"dis_a": module.dis_a, "dis_b": module.dis_b}
    return {name: part for name, part in networks.items() if [*part.parameters()]}


def gradients(module, player):
    networks = getattr(module, f"{player}_a"), getattr(module, f"{player}_b")
    return [
        None if p.grad is None else p.grad.clone() for net in networks for p in net.parameters()
    ]


def observe(monkeypatch, module, look):
    """Call ``look`` before and after each update; return what it saw as (player, before, after)."""
    seen = []

    def observed(player, update):
        def run(*arguments):
            before = look()
            terms = update(*arguments)
            seen.append((player, before, look()))
            return terms

        return run

    for player, name in (("dis", "_update_discriminators"), ("gen", "_update_generators")):
        monkeypatch.setattr(module, name, observed(player, getattr(module, name)))
    return seen


def test_a_mapping_is_held_to_what_it_holds_the_arguments_of_when_a_module_is_made(method):
    for arguments, kind, line in [
        ({"weights": {"gan": -5}}, ValueError, "weights.gan is -5, but must be at least 0"),
        ({"scheduler": {"kind": "linaer"}}, ValueError, "scheduler.kind is 'linaer', but must be"),
        ({"generator": {"dim": 0}}, ValueError, "generator.dim is 0, but must be at least 1"),
        ({"generator": [1]}, ValueError, r"generator is \[1\], but must be a dict of arguments"),
        ({"recipes": ["r1"]}, ValueError, r"recipes is \['r1'\], but must be a dict of each one's"),
        ({"recipes": {"r1": 3}}, ValueError, "recipes.r1 is 3, but must be a dict of arguments"),
        ({"weights": {"gna": 1}}, TypeError, r"weights has no argument gna: .* \(known: gan, "),
        (
            {"scheduler": {"stepsize": 3}},
            TypeError,
            "no argument stepsize: did you mean step_size?",
        ),
        ({"optimizer": {"name": "SGD", "x": 1}}, TypeError, r"has no argument x .*, momentum, "),
    ]:
        with pytest.raises(kind, match=line):
            type(method.make())(**arguments)
    method.make(optimizer={"name": "SGD", "momentum": 0.5}, scheduler={"kind": "ConstantLR"})


def test_one_iteration_is_one_step(method):
    assert fit(method.make(), steps=4).global_step == 4


def test_players_are_updated_in_the_methods_order_and_each_moves_all_its_networks_alone(
    method, monkeypatch
):
    module = method.make()
    seen = observe(
        monkeypatch, module, lambda: {name: weights(part) for name, part in parts(module).items()}
    )
    fit(module, steps=1)
    assert [player for player, *_ in seen] == ORDER[method.module]
    for player, before, after in seen:
        changed = {name for name in before if moved(before[name], after[name])}
        assert changed == {name for name in before if name.startswith(player)}


def test_an_update_leaves_no_gradient_in_the_other_players_networks(method, monkeypatch):
    module = method.make()
    seen = observe(
        monkeypatch,
        module,
        lambda: {player: gradients(module, player) for player in ("dis", "gen")},
    )
    fit(module, steps=2)
    for player, before, after in seen:
        other = {"dis": "gen", "gen": "dis"}[player]
        for there, here in zip(before[other], after[other], strict=True):
            assert (there is None and here is None) or torch.equal(there, here)
    assert all(p.requires_grad for p in module.parameters())


def test_accumulated_parts_of_unequal_size_give_the_whole_batchs_update(method):
    """Adam's moments tell gradients apart that its first steps, by their signs, would not."""
    torch.manual_seed(0)
    start = method.make().state_dict()
    optimizers = []
    for accumulate in (1, 2):
        module = method.make(accumulate=accumulate)
        module.load_state_dict(start)
        optimizers.append(fit(module, batch=3, precision="64-true").optimizers)
    for whole, split in zip(*optimizers, strict=True):
        assert whole.state_dict()["state"]
        torch.testing.assert_close(
            split.state_dict()["state"], whole.state_dict()["state"], atol=1e-7, rtol=1e-6
        )


class GradientNorms(Callback):
    def __init__(self):
        self.norms = []

    def on_fit_start(self, trainer, pl_module):
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(self._record)

    def _record(self, optimizer, *_):
        params = [p for group in optimizer.param_groups for p in group["params"]]
        grads = [p.grad for p in params if p.grad is not None]
        self.norms.append(torch.nn.utils.get_total_norm(grads).item())


def test_clipping_bounds_the_true_gradient_of_both_optimizers(method):
    scaled = method.model in ("munit", "bicyclegan")  # one of each order of updates
    norms, plugins = GradientNorms(), fp16(init_scale=64.0)[1] if scaled else []
    loop = fit(method.make(clip_norm=1e-2), callbacks=[norms], plugins=plugins)
    assert norms.norms == pytest.approx([1e-2] * 4, rel=1e-2)
    for player in ("dis", "gen"):  # logged is what was clipped
        assert loop.callback_metrics[f"{player}/grad_norm"] > 1e-2


class Written(Logger):
    """Keeps what the trainer writes down."""

    name, version = "written", 0

    def __init__(self):
        super().__init__()
        self.rows = {}

    def log_hyperparams(self, *_):
        pass

    def log_metrics(self, metrics, step):
        self.rows.setdefault(step, set()).update(metrics)


def test_all_is_logged_in_the_iterations_that_the_trainer_writes_down_and_in_no_others(method):
    logged, written = {}, Written()

    class Watch(Callback):
        def on_train_batch_end(self, trainer, *_):
            logged[trainer.global_step] = set(trainer.callback_metrics)

    fit(method.make(), steps=5, log_every_n_steps=3, callbacks=[Watch()], logger=written)
    assert logged[2] == set()
    rows = {step: names for step, names in written.rows.items() if names - {"epoch"}}
    assert list(rows) == [2]  # the third iteration
    terms = {f"gen/{term}_{domain}" for term in TERMS[method.module] for domain in "ab"}
    both = {f"{player}/{x}" for player in ("dis", "gen") for x in ("total", "lr", "grad_norm")}
    both |= {"skipped/dis", "skipped/gen"}
    assert terms | both | {"dis/gan_a", "dis/gan_b"} <= rows[2]
    assert rows[2] - {"epoch"} <= logged[3]


def test_validation_logs_the_generators_terms_and_draws_what_it_drew_before(method):
    module, loader = method.make(), DataLoader(pairs_of(2), batch_size=None)
    loop = make_trainer()
    (metrics,) = loop.validate(module, loader, verbose=False)
    assert set(metrics) == {f"val/{term}" for term in TERMS[method.module]}
    assert loop.validate(module, loader, verbose=False) == [metrics]


def test_a_trainer_predicts_translations_of_a_data_modules_test_images_always_the_same(method):
    module, loop = method.make(), make_trainer()
    data = DrawnDataModule((16, 16), test_length=3, batch_size=2, num_workers=0)
    first, again = (loop.predict(module, data) for _ in range(2))
    assert [tuple(x.shape for x in batch) for batch in first] == [
        ((n, 3, 16, 16),) * 2 for n in (2, 1)
    ]
    for batch, same in zip(first, again, strict=True):
        assert torch.equal(batch.x_ab, same.x_ab)
    x_a = torch.stack([data.domains["test"][0].load(i, None) for i in range(2)])
    z_b = module.draw_normal((2, module.style_dim), 2, "style", "predict", 0)[:, 1]
    expected = module.eval().translate(x_a, z_b, "b")
    torch.testing.assert_close(first[0].x_ab, expected, rtol=0, atol=1e-2)  # of 8-bit images


def test_draws_of_two_processes_are_those_of_one(method, monkeypatch):
    module = method.make()
    whole, halves = module.draw_all((images(4), images(4)), 0), []
    for rank in (0, 1):
        monkeypatch.setattr(method.module, "global_rank", rank)
        halves.append(module.draw_all((images(), images()), 0))
    for name, values in whole.items():
        assert torch.equal(torch.cat([half[name] for half in halves]), values)


def test_bf16_trains(method):
    module = method.make()
    before = weights(module)
    metrics = fit(module, steps=3, precision="bf16-mixed").callback_metrics
    assert all(value.isfinite() for value in metrics.values())
    assert moved(before, weights(module))
    assert all(p.dtype is torch.float32 for p in module.parameters())


# Each player with each order of updates.
@pytest.mark.parametrize(
    ("method", "overflowing"),
    [("munit", "dis_a"), ("unit", "gen_b"), ("noisy_cyclegan", "dis_a"), ("bicyclegan", "gen_b")],
    indirect=["method"],
)
def test_fp16_skips_the_overflowing_update_alone_and_halves_the_scale_once(method, overflowing):
    """In the iteration itself, so that a checkpoint between two need not know of it."""
    scaler, plugins = fp16(init_scale=1024.0)
    module = method.make()
    snapshots, scales = [], []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            snapshots.append((weights(module.dis_a), weights(module.gen_b)))
            scales.append(scaler.get_scale())
            if batch_idx == 1:
                parameter = next(module.get_submodule(overflowing).parameters())
                self.hook = parameter.register_hook(lambda grad: grad * torch.inf)
            if batch_idx == 2:
                self.hook.remove()

    loop = fit(module, steps=5, callbacks=[Watch()], plugins=plugins)
    assert loop.global_step == 5
    assert scales == [1024, 1024, 512, 512, 512]
    player = overflowing[:3]
    assert {name: counts.tolist() for name, counts in module.skipped.items()} == {
        name: [name == player, 0] for name in ("dis", "gen")
    }
    dis, gen = ([s[i] for s in snapshots] for i in (0, 1))
    halted, going = {"dis_a": (dis, gen), "gen_b": (gen, dis)}[overflowing]
    assert [moved(*pair) for pair in pairwise(halted)] == [True, False, True, True]
    assert [moved(*pair) for pair in pairwise(going)] == [True] * 4
    assert all(p.isfinite().all() for p in module.parameters())


def test_the_scale_grows_once_an_iteration(method):
    scaler, plugins = fp16(init_scale=16.0, growth_interval=3)
    fit(method.make(), steps=6, plugins=plugins)
    assert scaler.get_scale() == 16.0 * 2**2


def test_a_fused_optimizer_trains_under_fp16_if_it_can_be_told_to_skip(method):
    with pytest.raises(ValueError, match="for Adam and AdamW alone"):
        fit(method.make(optimizer={"name": "SGD", "fused": True}), plugins=fp16()[1])
    ends = []
    for fused in (True, False):
        torch.manual_seed(0)
        module = method.make(optimizer={"fused": fused}, clip_norm=0.5)
        fit(module, steps=2, plugins=fp16(init_scale=64.0)[1])
        ends.append(torch.cat([weight.flatten() for weight in weights(module)]))
    torch.testing.assert_close(*ends, atol=1e-6, rtol=1e-5)


def test_under_fp16_a_run_that_began_without_a_fused_adam_goes_on_with_one(tmp_path):
    began = MUNITModule(**LEAST, optimizer={"fused": False})
    fit(began, steps=1, plugins=fp16()[1]).save_checkpoint(tmp_path / "x.ckpt")
    module = MUNITModule(**LEAST)
    loop = make_trainer(max_steps=2, plugins=fp16()[1])
    pairs = DataLoader(pairs_of(2), batch_size=None)
    loop.fit(module, pairs, ckpt_path=tmp_path / "x.ckpt", weights_only=True)
    assert all(group["fused"] for o in loop.optimizers for group in o.param_groups)
    assert moved(weights(began), weights(module))


def test_a_checkpoint_of_configured_containers_loads_anywhere(method, tmp_path):
    """OmegaConf's containers would make it unloadable: see `plain`."""
    config = OmegaConf.create({**method.arguments, "optimizer": {"betas": [0.0, 0.9]}})
    module = method.module(**config)
    fit(module).save_checkpoint(tmp_path / "x.ckpt")
    loaded = method.module.load_from_checkpoint(tmp_path / "x.ckpt", weights_only=True)
    assert loaded.hparams["optimizer"] == {"betas": [0.0, 0.9]}
    for name, weight in module.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)


def test_three_iterations_and_three_more_are_six(method, tmp_path):
    """To the bit, and with all that a method keeps beside its weights."""
    start = method.make().state_dict()

    def train(steps, path=None):
        module = method.make(scheduler=SCHEDULES[method.module])
        module.load_state_dict(deepcopy(start))
        data = DrawnDataModule((16, 16), length=7, batch_size=2, paired=module.paired)
        loop = make_trainer(max_steps=steps, max_epochs=-1, limit_val_batches=0)
        loop.fit(module, data, ckpt_path=path, weights_only=True)
        loop.save_checkpoint(tmp_path / "x.ckpt")
        saved = torch.load(tmp_path / "x.ckpt", weights_only=True)
        names = {"state_dict", "optimizer_states", "lr_schedulers", "pools"}
        return {name: saved[name] for name in names & saved.keys()}

    whole, half = train(6), train(3)
    assert half["lr_schedulers"] != whole["lr_schedulers"]
    resumed = train(6, tmp_path / "x.ckpt")
    assert ("pools" in whole) == (method.module is CycleGANModule)
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_trains_on_a_gpu(method, precision):
    module = method.make()
    fit(module, steps=5, accelerator="gpu", devices=1, precision=precision)
    assert all(p.isfinite().all() for p in module.parameters())


def test_a_resumed_run_takes_the_settings_that_it_is_given_and_says_so(method, tmp_path):
    path = tmp_path / "x.ckpt"
    fit(method.make(), 2).save_checkpoint(path)
    settings = {"lr": 5e-5, "betas": [0.6, 0.9]}
    loop, data = make_trainer(max_steps=3), DataLoader(pairs_of(3), batch_size=None)
    with pytest.warns(UserWarning, match=r"after iteration 2: .*optimizer.lr: \S+ -> 5e-05$"):
        loop.fit(method.make(optimizer=settings), data, ckpt_path=path, weights_only=True)
    for optimizer in loop.optimizers:
        (group,) = optimizer.param_groups
        assert (group["initial_lr"], [*group["betas"]]) == (5e-5, [0.6, 0.9])
        assert {int(state["step"]) for state in optimizer.state.values()} == {3}
    loop.save_checkpoint(path)
    assert torch.load(path, weights_only=True)["hyper_parameters"]["optimizer"] == settings


@pytest.mark.parametrize("method", ["cyclegan"], indirect=True)
def test_a_rate_that_ends_before_the_run_does_is_told_of_before_training(method):
    module = method.make(scheduler={"constant": 1, "decay": 1})
    with pytest.warns(UserWarning, match="rate is 0 after iteration 2 of 3.*trainer.max_steps=2"):
        fit(module, 3)
