import copy

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from training import fit, images

from munit_pl import MUNITModule
from munit_pl.losses.perceptual import Vgg16, normalization
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.recipes import perceptual as perceptual_module


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


def test_styles_follow_the_prior(tiny):
    z = torch.cat(MUNITModule(**tiny).draw_styles(2000, "gen", 0))
    assert z.mean().abs() < 0.03
    assert (z.std() - 1).abs() < 0.03


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
        {"gan_loss": "nsgan", "generator": {"activation": "prelu", "padding_mode": "replicate"}},
        {
            "gan_loss": "hinge",
            "weights": {"cycle": 10.0},
            "discriminator": {"norm": "batch", "activation": "relu"},
        },
        {
            "generator": {"activation": "selu", "padding_mode": "zeros"},
            "discriminator": {"norm": "instance"},
        },
        {
            "discriminator": {"norm": "layer"},
            "initialization": {"generator": "orthogonal", "discriminator": "xavier"},
        },
        {"discriminator": {"norm": "spectral"}, "input_channels_a": 1, "input_channels_b": 4},
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
    vgg = Vgg16("torchvision", normalization("torchvision"))
    dims = [3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    for layer, before, after in zip(vgg_layers(), dims, dims[1:], strict=False):
        vgg.parameters[f"{layer}.weight"] = torch.randn(after, before, 3, 3)
        vgg.parameters[f"{layer}.bias"] = torch.zeros(after)
    asked = []
    monkeypatch.setattr(perceptual_module, "load_vgg16", lambda *given: asked.append(given) or vgg)
    module = MUNITModule(**tiny, recipes={"perceptual": {"path": "x.pth"}})
    metrics = fit(module, steps=1).callback_metrics
    assert asked == [("torchvision", "x.pth", False)]
    assert metrics["gen/perceptual_torchvision_a"] > 0
    assert not any("vgg" in name or "conv1_1" in name for name in module.state_dict())


def vgg_layers():
    stages = (2, 2, 3, 3, 3)
    return [f"conv{s + 1}_{i + 1}" for s, n in enumerate(stages) for i in range(n)]


def test_without_the_recipe_no_vgg_is_looked_for(tiny, monkeypatch):
    monkeypatch.setattr(perceptual_module, "load_vgg16", lambda *_: pytest.fail("it was"))
    fit(MUNITModule(**tiny), steps=1)


def test_encoded_styles_are_logged_against_the_prior(tiny):
    module = MUNITModule(**tiny)
    x_a = images(2, seed=0)
    style = module.encode(x_a)[1].detach()
    metrics = fit(module, steps=1).callback_metrics
    assert metrics["style/mean_a"] == pytest.approx(style.mean().item(), abs=1e-5)
    assert metrics["style/var_a"] == pytest.approx(style.var().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"generator": {"dmi": 4}}, TypeError, "generator has no argument dmi: did you mean dim"),
        ({"weights": {"cylce": 1.0}}, TypeError, "weights has no argument cylce: did you"),
        (
            {"gan_loss": "wgan"},
            ValueError,
            "gan_loss is 'wgan', but must be one of lsgan, nsgan",
        ),
        ({"accumulate": 0}, ValueError, "accumulate is 0, but must be at least 1"),
        ({"input_channels_a": 1, "recipes": {"perceptual": {}}}, ValueError, "3 channels"),
        ({"initialization": {"generator": "he"}}, ValueError, "initialization.generator is 'he'"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with torch.device("meta"), pytest.raises(error, match=message):
        MUNITModule(**arguments)
