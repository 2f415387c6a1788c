import copy

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import MixedPrecision
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from munit_pl import MUNITModule, perceptual_module
from munit_pl.networks import AdaINGenerator
from munit_pl.perceptual import Vgg16


def images(n=2, channels=3, size=16, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, size, size, generator=rng) * 2 - 1


def fit(module, steps=2, batch=2, channels=(3, 3), callbacks=(), **trainer):
    pairs = [
        (images(batch, channels[0], seed=2 * i), images(batch, channels[1], seed=2 * i + 1))
        for i in range(steps)
    ]
    loop = Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        callbacks=list(callbacks),
        **trainer,
    )
    loop.fit(module, DataLoader(pairs, batch_size=None))
    return loop


def weights(*networks):
    return [p.detach().clone() for network in networks for p in network.parameters()]


def moved(before, after):
    return any(not torch.equal(b, a) for b, a in zip(before, after, strict=True))


def test_one_iteration_is_one_step(tiny):
    assert fit(MUNITModule(**tiny), steps=10).global_step == 10


def test_each_update_moves_its_own_two_networks(tiny):
    seen = {}

    class Watched(MUNITModule):
        def _step_discriminators(self, optimizer):
            before = weights(self.gen_a, self.gen_b), weights(self.dis_a), weights(self.dis_b)
            assert all(p.grad is None for p in (*self.gen_a.parameters(), *self.gen_b.parameters()))
            super()._step_discriminators(optimizer)
            after = weights(self.gen_a, self.gen_b), weights(self.dis_a), weights(self.dis_b)
            seen["first"] = [moved(b, a) for b, a in zip(before, after, strict=True)]
            seen["dis"] = weights(self.dis_a, self.dis_b)

    module = Watched(**tiny)
    before = weights(module.gen_a), weights(module.gen_b)
    fit(module, steps=1)
    assert seen["first"] == [False, True, True]
    assert not moved(seen["dis"], weights(module.dis_a, module.dis_b))
    assert moved(before[0], weights(module.gen_a))
    assert moved(before[1], weights(module.gen_b))


@pytest.mark.parametrize(
    ("shared_styles", "without_graph", "with_graph"), [(False, 2, 2), (True, 0, 2)]
)
def test_nothing_is_computed_twice(tiny, monkeypatch, shared_styles, without_graph, with_graph):
    calls = {"encode": [], "decode": []}
    for name in calls:
        original = getattr(AdaINGenerator, name)

        def counted(self, *args, name=name, original=original):
            calls[name].append(torch.is_grad_enabled())
            return original(self, *args)

        monkeypatch.setattr(AdaINGenerator, name, counted)
    fit(MUNITModule(**tiny, shared_styles=shared_styles), steps=1)
    # Encoded: both images once, and both translations. Decoded: what the discriminators see,
    # without a graph unless it serves the generators too; then, in one call for each decoder,
    # translations and reconstructions.
    assert calls["encode"] == [True] * 4
    assert sorted(calls["decode"]) == [False] * without_graph + [True] * with_graph


def test_generators_update_leaves_no_gradient_in_the_discriminators(tiny):
    grads = []

    class Watched(MUNITModule):
        def _step_discriminators(self, optimizer):
            super()._step_discriminators(optimizer)
            grads.extend(p.grad.clone() for p in self.dis_a.parameters())

    module = Watched(**tiny)
    fit(module, steps=1)
    for parameter, grad in zip(module.dis_a.parameters(), grads, strict=True):
        assert torch.equal(parameter.grad, grad)
        assert parameter.requires_grad


@pytest.mark.parametrize("shared_styles", [False, True])
def test_styles_are_drawn_anew_for_each_update_unless_shared(tiny, shared_styles):
    drawn = []

    class Watched(MUNITModule):
        def draw_styles(self, n, *where):
            drawn.append(where)
            return super().draw_styles(n, *where)

    fit(Watched(**tiny, shared_styles=shared_styles), steps=2)
    streams = ["gen"] if shared_styles else ["gen", "dis"]
    assert drawn == [(stream, step) for step in (0, 1) for stream in streams]


def test_styles_depend_on_seed_domain_stream_and_step_alone(tiny):
    module = MUNITModule(**tiny, seed=3)
    torch.manual_seed(1)
    z_a, z_b = module.draw_styles(2, "gen", 5)
    torch.manual_seed(2)
    assert torch.equal(MUNITModule(**tiny, seed=3).draw_styles(2, "gen", 5)[0], z_a)
    others = [
        z_b,
        module.draw_styles(2, "dis", 5)[0],
        module.draw_styles(2, "gen", 6)[0],
        MUNITModule(**tiny, seed=4).draw_styles(2, "gen", 5)[0],
    ]
    assert not any(torch.equal(z_a, other) for other in others)


def test_styles_of_two_processes_are_those_of_one(tiny, monkeypatch):
    module = MUNITModule(**tiny)
    whole = module.draw_styles(4, "gen", 0)
    halves = []
    for rank in (0, 1):
        monkeypatch.setattr(MUNITModule, "global_rank", rank)
        halves.append(module.draw_styles(2, "gen", 0))
    for domain in (0, 1):
        assert torch.equal(torch.cat([half[domain] for half in halves]), whole[domain])


def test_styles_follow_the_prior(tiny):
    z = torch.cat(MUNITModule(**tiny).draw_styles(2000, "gen", 0))
    assert z.mean().abs() < 0.03
    assert (z.std() - 1).abs() < 0.03


class GradientNorms(Callback):
    def __init__(self):
        self.norms = []

    def on_fit_start(self, trainer, pl_module):
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(self._record)

    def _record(self, optimizer, *_):
        grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
        self.norms.append(torch.nn.utils.get_total_norm(grads).item())


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_clipping_bounds_the_true_gradient_of_both_optimisers(tiny, precision):
    norms, plugins = GradientNorms(), []
    if precision == "16-mixed":
        plugins = [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=64.0))]
    loop = fit(MUNITModule(**tiny, clip_norm=1e-2), callbacks=[norms], plugins=plugins)
    assert norms.norms == pytest.approx([1e-2] * 4, rel=1e-2)
    assert loop.callback_metrics["gen/grad_norm"] > 1e-2  # logged is what was clipped


def test_accumulated_parts_of_unequal_size_give_the_whole_batchs_update(tiny):
    torch.manual_seed(0)
    whole = MUNITModule(**tiny)
    parts = MUNITModule(**tiny, accumulate=2)
    parts.load_state_dict(whole.state_dict())
    for module in (whole, parts):
        fit(module, steps=1, batch=3, precision="64-true")
    for name, weight in whole.state_dict().items():
        if not name.endswith("conv.bias"):  # see test_reference: some have no gradient but rounding
            torch.testing.assert_close(parts.state_dict()[name], weight, atol=1e-9, rtol=0)


def test_weight_decay_enters_the_gradient_as_adams_not_adamws(tiny):
    """Without a loss, Adam's first step moves each weight by lr in the direction of 0."""
    weights = dict.fromkeys(("gan", "image", "style", "content"), 0.0)
    module = MUNITModule(**tiny, weights=weights, optimizer={"eps": 1e-12})
    before = module.gen_a.content_encoder.layers[0].conv.weight.detach().clone()
    fit(module, steps=1)
    step = before - module.gen_a.content_encoder.layers[0].conv.weight.detach()
    torch.testing.assert_close(step, 1e-4 * before.sign(), atol=2e-6, rtol=0)


@pytest.mark.parametrize("step_size", [1, 3])
def test_learning_rate_halves_after_every_step_size_iterations(tiny, step_size):
    rates = []

    class Rates(Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append([o.param_groups[0]["lr"] for o in trainer.optimizers])

    module = MUNITModule(**tiny, optimizer={"lr": 0.01}, scheduler={"step_size": step_size})
    fit(module, steps=7, callbacks=[Rates()])
    assert rates == [[pytest.approx(0.01 * 0.5 ** (k // step_size))] * 2 for k in range(7)]


@pytest.mark.parametrize(
    "options",
    [
        {"gan_loss": "nsgan"},
        {"weights": {"cycle": 10.0}},
        {"generator": {"activation": "prelu", "padding_mode": "replicate"}},
        {"generator": {"activation": "selu", "padding_mode": "zeros"}},
        {"discriminator": {"norm": "batch", "activation": "relu"}},
        {"discriminator": {"norm": "instance"}},
        {"discriminator": {"norm": "layer"}},
        {"discriminator": {"norm": "spectral"}},
        {"initialisation": {"generator": "orthogonal", "discriminator": "xavier"}},
        {"input_channels_a": 1, "input_channels_b": 4},
    ],
    ids=str,
)
def test_every_option_trains(tiny, options):
    for group in ("generator", "discriminator"):
        options = {**options, group: {**tiny[group], **options.get(group, {})}}
    module = MUNITModule(**options)
    before = copy.deepcopy(module.state_dict())
    channels = options.get("input_channels_a", 3), options.get("input_channels_b", 3)
    metrics = fit(module, channels=channels).callback_metrics
    assert all(value.isfinite() for value in metrics.values())
    for name, parameter in module.named_parameters():
        assert parameter.isfinite().all()
        assert not torch.equal(parameter, before[name]) or name.endswith("bias")


def test_perceptual_term_is_logged_with_its_weights_source_and_not_saved(tiny, monkeypatch):
    vgg = Vgg16("torchvision", {})
    dims = [3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    for layer, before, after in zip(vgg_layers(), dims, dims[1:], strict=False):
        vgg.parameters[f"{layer}.weight"] = torch.randn(after, before, 3, 3)
        vgg.parameters[f"{layer}.bias"] = torch.zeros(after)
    asked = []
    monkeypatch.setattr(perceptual_module, "load_vgg16", lambda **kw: asked.append(kw) or vgg)
    module = MUNITModule(**tiny, weights={"perceptual": 1.0}, perceptual={"download": False})
    metrics = fit(module, steps=1).callback_metrics
    assert asked == [{"download": False}]
    assert metrics["gen/perceptual_torchvision_a"] > 0
    assert not any("vgg" in name or "conv1_1" in name for name in module.state_dict())


def vgg_layers():
    stages = (2, 2, 3, 3, 3)
    return [f"conv{s + 1}_{i + 1}" for s, n in enumerate(stages) for i in range(n)]


def test_without_a_perceptual_weight_no_vgg_is_looked_for(tiny, monkeypatch):
    monkeypatch.setattr(perceptual_module, "load_vgg16", lambda **_: pytest.fail("it was"))
    fit(MUNITModule(**tiny), steps=1)


def test_encoded_styles_are_logged_against_the_prior(tiny):
    module = MUNITModule(**tiny)
    x_a = images(2, seed=0)
    style = module.encode(x_a)[1].detach()
    metrics = fit(module, steps=1).callback_metrics
    assert metrics["style/mean_a"] == pytest.approx(style.mean().item(), abs=1e-5)
    assert metrics["style/var_a"] == pytest.approx(style.var().item(), rel=1e-4)


def test_translations_use_the_other_domains_content_and_the_given_style(tiny):
    module = MUNITModule(**tiny)
    x_a, x_b = images(2), images(2, seed=1)
    (c_a, _), (c_b, s_b) = module.encode(x_a, "a"), module.encode(x_b, "b")
    assert torch.equal(module(x_a, s_b), module.gen_b.decode(c_a, s_b))
    assert torch.equal(module.translate(x_b, s_b, to="a"), module.gen_a.decode(c_b, s_b))


def test_translations_without_a_style_differ_from_call_to_call(tiny):
    module, x = MUNITModule(**tiny), images(1)
    assert not torch.equal(module(x), module(x))


def test_an_unknown_domain_is_refused(tiny):
    with pytest.raises(ValueError, match="the domain is 'c', but must be a or b"):
        MUNITModule(**tiny).encode(images(), "c")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"generator": {"dmi": 4}}, TypeError, "AdaINGenerator.*'dmi'"),
        ({"weights": {"cylce": 1.0}}, TypeError, "LossWeights.*'cylce'"),
        ({"gan_loss": "hinge"}, ValueError, "gan_loss is 'hinge', but must be lsgan or nsgan"),
        ({"accumulate": 0}, ValueError, "accumulate is 0, but must be at least 1"),
        ({"input_channels_a": 1, "weights": {"perceptual": 1.0}}, ValueError, "3 channels"),
        ({"initialisation": {"generator": "he"}}, ValueError, "initialisation is 'he'"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with torch.device("meta"), pytest.raises(error, match=message):
        MUNITModule(**arguments)


def test_a_checkpoint_of_configured_containers_loads_anywhere(tiny, tmp_path):
    """OmegaConf's containers would make it unloadable: see `_plain`."""
    config = OmegaConf.create({**tiny, "optimizer": {"betas": [0.0, 0.9]}})
    module = MUNITModule(**config)
    loop = fit(module, steps=1)
    loop.save_checkpoint(tmp_path / "x.ckpt")
    loaded = MUNITModule.load_from_checkpoint(tmp_path / "x.ckpt", weights_only=True)
    assert loaded.hparams["optimizer"] == {"betas": [0.0, 0.9]}
    for name, weight in module.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)


def test_logs_are_made_in_the_iterations_that_the_trainer_writes_down(tiny):
    logged = {}

    class Watch(Callback):
        def on_train_batch_end(self, trainer, *_):
            logged[trainer.global_step] = set(trainer.callback_metrics)

    pairs = [(images(), images(seed=1))] * 5
    loop = Trainer(
        max_steps=5,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        log_every_n_steps=3,
        callbacks=[Watch()],
    )
    loop.fit(MUNITModule(**tiny), DataLoader(pairs, batch_size=None))
    assert logged[2] == set()
    assert {"gen/total", "dis/grad_norm", "style/var_b"} <= logged[3]


def test_validation_logs_the_generators_terms(tiny):
    module = MUNITModule(**tiny)
    loader = DataLoader([(images(), images(seed=1))] * 2, batch_size=None)
    loop = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    (metrics,) = loop.validate(module, loader, verbose=False)
    assert set(metrics) == {"val/gan", "val/image", "val/style", "val/content"}
    assert loop.validate(module, loader, verbose=False) == [metrics]


def test_bf16_trains(tiny):
    module = MUNITModule(**tiny)
    before = weights(module)
    metrics = fit(module, steps=5, precision="bf16-mixed").callback_metrics
    assert all(value.isfinite() for value in metrics.values())
    assert moved(before, weights(module))
    assert all(p.dtype is torch.float32 for p in module.parameters())


@pytest.mark.parametrize("overflowing", ["dis_a", "gen_b"])
def test_fp16_skips_the_overflowing_update_alone_and_halves_the_scale_once(tiny, overflowing):
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    module = MUNITModule(**tiny)
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

    loop = fit(
        module,
        steps=4,
        callbacks=[Watch()],
        plugins=[MixedPrecision("16-mixed", "cpu", scaler)],
    )
    assert loop.global_step == 4
    assert scales == [1024, 1024, 512, 512]
    dis, gen = ([s[i] for s in snapshots] for i in (0, 1))
    assert moved(dis[0], dis[1])
    assert moved(gen[0], gen[1])
    assert moved(dis[1], dis[2]) == (overflowing != "dis_a")
    assert moved(gen[1], gen[2]) == (overflowing != "gen_b")
    assert moved(dis[2], dis[3])
    assert moved(gen[2], gen[3])
    assert all(p.isfinite().all() for p in module.parameters())


def test_the_scale_grows_once_an_iteration(tiny):
    scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=3)
    fit(MUNITModule(**tiny), steps=6, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    assert scaler.get_scale() == 16.0 * 2**2


def test_a_fused_adam_is_refused_under_fp16_and_trains_otherwise(tiny):
    module = MUNITModule(**tiny, optimizer={"fused": True})
    plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    with pytest.raises(ValueError, match="fused=True cannot be had with precision 16-mixed"):
        fit(module, plugins=[plugin])
    before = weights(module)
    fit(module, precision="bf16-mixed")
    assert moved(before, weights(module))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_trains_on_a_gpu(tiny, precision):
    module = MUNITModule(**tiny)
    pairs = [(images(seed=2 * i), images(seed=2 * i + 1)) for i in range(5)]
    loop = Trainer(
        max_steps=5,
        accelerator="gpu",
        devices=1,
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    loop.fit(module, DataLoader(pairs, batch_size=None))
    assert all(p.isfinite().all() for p in module.parameters())
