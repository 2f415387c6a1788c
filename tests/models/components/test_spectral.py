"""Spectral normalization of the generators, wherever a generator goes."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from training import fit, images, make_trainer, moved, weights

from munit_pl import MUNIT, DrawnDataModule, MUNITModule, Translator
from munit_pl.callbacks import ema
from munit_pl.callbacks.ema import WeightAverage
from munit_pl.callbacks.grids import ImageGrid
from munit_pl.callbacks.histograms import Histograms
from munit_pl.export.programs import export_graphs
from munit_pl.inference.generator_loading import read_generators
from munit_pl.layers.blocks import autocast_layers, with_plain_weights
from munit_pl.layers.initialization import converge_spectral_norm
from munit_pl.models.base.description import export_generators
from munit_pl.models.components.content_encoder import ContentEncoder
from munit_pl.models.munit.networks import AdaINGenerator, Decoder, StyleEncoder

pytestmark = pytest.mark.slow  # a recipe that few turn on

SMALL = {"dim": 4, "mlp_dim": 8, "num_res_blocks": 1}


@pytest.fixture
def spectral(tiny):
    tiny["generator"]["spectral"] = True
    return tiny


def convolutions(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def largest(layer):
    """Return the largest singular value of what a convolution applies."""
    with torch.no_grad():
        return torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item()


def same(network, other):
    ours, theirs = network.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    return [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])] == []


def shown(module, x, z):
    with torch.no_grad():
        return deepcopy(module).eval().translate(x, z)


def test_without_it_weights_and_random_numbers_are_what_they_were():
    torch.manual_seed(5)
    gen = AdaINGenerator(3, **SMALL)
    after = torch.rand(3)
    torch.manual_seed(5)
    parts = {
        "content_encoder": ContentEncoder(3, 4, 2, 1, "relu", "reflect"),
        "style_encoder": StyleEncoder(3, 4, 8, "relu", "reflect"),
        "decoder": Decoder(3, 4, 8, 8, 2, 1, "relu", "reflect"),
    }
    assert torch.equal(torch.rand(3), after)
    assert same(gen, nn.ModuleDict(parts))
    assert not any(is_parametrized(layer) for layer in gen.modules())


def test_every_convolution_has_a_largest_singular_value_of_one_and_no_linear_layer():
    gen = MUNIT(generator={**SMALL, "spectral": True}).gen_b
    assert gen.arguments["spectral"] is True
    assert len(convolutions(gen)) == 3 + 2 + 5 + 1 + 2 + 2 + 1
    for layer in convolutions(gen):
        for _ in range(4):
            converge_spectral_norm(layer)
        assert largest(layer) == pytest.approx(1, abs=0.02)
    assert not any(is_parametrized(layer) for layer in gen.decoder.mlp)


def test_what_is_normalized_is_drawn_as_it_would_be_without():
    gens = []
    for spectral in (False, True):
        torch.manual_seed(5)
        gens.append(MUNIT(generator={**SMALL, "spectral": spectral}).gen_a)
    plain, normalized = (convolutions(gen) for gen in gens)
    assert len(plain) == len(normalized)
    torch.manual_seed(5)
    first = AdaINGenerator(3, **SMALL, spectral=True).content_encoder.layers[0].conv
    torch.manual_seed(5)
    expected = AdaINGenerator(3, **SMALL).content_encoder.layers[0].conv.weight
    assert torch.equal(first.parametrizations.weight.original, expected)
    for layer in normalized:  # Kaiming's, by its fan in
        raw = layer.parametrizations.weight.original
        fan = raw[0].numel()
        assert raw.std().item() == pytest.approx((2 / fan) ** 0.5, rel=5 / raw.numel() ** 0.5)


def test_before_an_instance_norm_it_changes_nothing_that_is_computed():
    torch.manual_seed(5)
    plain = AdaINGenerator(3, **SMALL).double().content_encoder
    torch.manual_seed(5)
    gen = AdaINGenerator(3, **SMALL, spectral=True).double()
    x = images().double()
    torch.testing.assert_close(gen.content_encoder(x), plain(x), atol=5e-3, rtol=0)


def test_a_gradient_is_that_of_the_use_that_it_comes_from():
    """(G - <G, W> u v^T) / s, with u and v of that use: Miyato et al., 2018, equation 12."""
    conv = AdaINGenerator(3, **SMALL, spectral=True).decoder.to_image.conv
    with torch.no_grad():
        conv.parametrizations.weight.original.normal_()  # of which u and v know nothing yet
    raw, of = conv.parametrizations.weight.original, conv.parametrizations.weight[0]
    used = conv.weight
    u, v = of._u.clone(), of._v.clone()
    conv.weight.sum()
    assert not torch.equal(of._u, u)
    g = torch.randn_like(used)
    (gradient,) = torch.autograd.grad((g * used).sum(), raw)
    s = u @ raw.flatten(1) @ v
    expected = (g.flatten(1) - (g * used).sum() * torch.outer(u, v)) / s
    torch.testing.assert_close(gradient.flatten(1), expected)


@pytest.mark.parametrize(
    ("options", "precision"),
    [
        ({}, "32-true"),
        ({"shared_styles": True}, "bf16-mixed"),
        pytest.param({"weights": {"cycle": 10.0}}, "32-true", marks=pytest.mark.slow),
    ],
)
def test_blocks_that_are_computed_again_give_the_same_update_to_the_bit(
    spectral, options, precision
):
    plain = MUNITModule(**spectral, **options)
    sparing = MUNITModule(**spectral, **options, checkpoint_activations=True)
    sparing.load_state_dict(plain.state_dict())
    start = weights(plain.gen_a)
    for module in (plain, sparing):
        fit(module, steps=2, precision=precision)
    assert same(sparing, plain)
    assert moved(start, weights(plain.gen_a))


def test_a_block_can_be_computed_again_twice():
    gen, x = AdaINGenerator(3, **SMALL, spectral=True), images()
    gen.content_encoder.recompute = True
    loss = gen.content_encoder(x).square().sum()
    gen.content_encoder(-x)
    state = deepcopy(gen.state_dict())
    learning = [p for p in gen.content_encoder.parameters() if p.dim() == 4]
    first = torch.autograd.grad(loss, learning, retain_graph=True)
    again = torch.autograd.grad(loss, learning)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    for name, tensor in gen.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert all(module.training for module in gen.modules())


def test_in_evaluation_it_stays_as_it_is():
    gen, x = AdaINGenerator(3, **SMALL, spectral=True), images()
    before = deepcopy(gen.state_dict())
    gen(x)
    assert not all(torch.equal(t, before[name]) for name, t in gen.state_dict().items())
    before = deepcopy(gen.eval().state_dict())
    gen(x)
    assert all(torch.equal(t, before[name]) for name, t in gen.state_dict().items())


def test_pictures_and_histograms_change_nothing_of_the_training(spectral, tmp_path):
    def train(*callbacks):
        torch.manual_seed(0)
        module = MUNITModule(**spectral)
        data = DrawnDataModule((16, 16), length=4, test_length=2, batch_size=2, num_workers=0)
        options = {"max_steps": 2, "limit_val_batches": 0, "callbacks": [*callbacks]}
        make_trainer(**options).fit(module, data)
        assert all(part.training for part in module.modules())
        return module

    watching = [ImageGrid(tmp_path, every_n_steps=1, num_images=2), Histograms(every_n_steps=1)]
    assert same(train(*watching), train())
    assert len([*tmp_path.glob("*_a2b.png")]) == 2


@pytest.mark.parametrize(
    "kind",
    ["file", *(pytest.param(k, marks=pytest.mark.slow) for k in ("checkpoint", "half", "folder"))],
)
def test_whatever_it_is_saved_as_translates_as_the_module(spectral, tmp_path, kind):
    module = MUNITModule(**spectral)
    loop = fit(module, steps=2)
    path = tmp_path / {"checkpoint": "x.ckpt", "folder": "x"}.get(kind, "x.safetensors")
    if kind == "checkpoint":
        loop.save_checkpoint(path)
    elif kind == "folder":
        module.save_pretrained(path)
        assert same(MUNIT.from_pretrained(path), MUNITModule.from_pretrained(path))
        assert same(MUNIT.from_pretrained(path), module)
    else:
        export_generators(path, module.gen_a, module.gen_b, half=kind == "half")
    x, z = images(), torch.randn(2, 8)
    translated = Translator.load(path, device="cpu").translate(x, z[:, None])[:, 0]
    allowed = 2e-3 if kind == "half" else 1e-5  # of halves: 11 bits
    torch.testing.assert_close(translated, shown(module, x, z), atol=allowed, rtol=0)


@pytest.mark.parametrize(
    ("options", "allowed"), [({"precision": "bf16"}, 0.1), ({"tile": 16}, 1e-4)], ids=str
)
def test_a_translator_of_any_kind_takes_it(options, allowed):
    gens = [AdaINGenerator(3, **SMALL, spectral=True) for _ in "ab"]
    x, z = torch.rand(1, 3, 40, 40) * 2 - 1, torch.randn(1, 8)
    plain, other = (Translator(*gens, device="cpu", **given) for given in ({}, options))
    torch.testing.assert_close(other.translate(x, z), plain.translate(x, z), atol=allowed, rtol=0)


def test_plain_weights_are_what_is_applied_and_the_network_is_left_alone():
    gen, x = AdaINGenerator(3, **SMALL, spectral=True).eval(), images()
    before = deepcopy(gen.state_dict())
    with torch.no_grad():
        expected = gen(x)
        plain = with_plain_weights(gen)
        assert torch.equal(plain(x), expected)
        assert plain.state_dict().keys() == AdaINGenerator(3, **SMALL).state_dict().keys()
        assert torch.equal(gen(x), expected)
        assert torch.equal(deepcopy(gen)(x), expected)
    assert all(torch.equal(t, before[name]) for name, t in gen.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("form", ["torch", "onnx"])
def test_graphs_of_a_trained_one_agree_with_it(spectral, tmp_path, form):
    if form == "onnx":
        pytest.importorskip("onnxscript", reason="the extra onnx writes ONNX")
        pytest.importorskip("onnxruntime", reason="the extra onnx runs ONNX")
    module = MUNITModule(**spectral, optimizer={"lr": 1e-2})
    fit(module, steps=3).save_checkpoint(tmp_path / "x.ckpt")
    export_graphs(tmp_path, *read_generators(tmp_path / "x.ckpt"), form)
    x, z = torch.rand(2, 3, 32, 48) * 2 - 1, torch.randn(2, 8)
    if form == "onnx":
        made = Translator.load(tmp_path).translate(x, z[:, None])[:, 0]
    else:
        content, decode = (
            torch.export.load(tmp_path / f"{name}.pt2").module()
            for name in ("content_a", "decode_b")
        )
        made = decode(content(x), z)
        assert not any("parametrizations" in name for name in decode.state_dict())
    torch.testing.assert_close(made, shown(module, x, z), atol=1e-4, rtol=0)


@pytest.mark.slow
def test_an_average_is_normalized_by_its_own_norm(spectral, tmp_path, monkeypatch):
    """By that of the last weights, with these steps, it would be off by more."""
    module = MUNITModule(**spectral, optimizer={"lr": 0.1})
    monkeypatch.setattr(ema, "RAMP_UP", 1e9)
    average = WeightAverage(0.9)
    fit(module, steps=4, callbacks=[average]).save_checkpoint(tmp_path / "x.ckpt")
    gen, _ = read_generators(tmp_path / "x.ckpt")
    saved = torch.load(tmp_path / "x.ckpt", weights_only=True)["averaged"]["gen_a"]
    for name, parameter in gen.named_parameters():
        assert torch.equal(parameter, saved[name])
    now = deepcopy(module.gen_a).eval()
    now.load_state_dict({**gen.state_dict(), **dict(now.named_buffers())})
    off, far = ([abs(largest(c) - 1) for c in convolutions(g.eval())] for g in (gen, now))
    assert max(off) < 0.02 < max(far)


def test_only_the_perceptron_is_cast_before_it_is_used():
    gen = AdaINGenerator(3, **SMALL, spectral=True)
    assert [*autocast_layers(gen)] == [
        layer for layer in gen.decoder.mlp if isinstance(layer, nn.Linear)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"checkpoint_activations": True, "accumulate": 2}])
def test_a_resumed_run_is_the_uninterrupted_one(spectral, tmp_path, options):
    spectral["discriminator"] |= {"norm": "spectral", "global_discriminator": True}
    start = MUNITModule(**spectral).state_dict()

    def train(steps, path=None):
        module = MUNITModule(**spectral, **options, gan_loss="hinge")
        module.load_state_dict(start)
        data = DrawnDataModule((16, 16), length=7, test_length=2, batch_size=2)
        loop = make_trainer(max_steps=steps, max_epochs=-1, val_check_interval=1)
        loop.fit(module, data, ckpt_path=path, weights_only=True)
        loop.save_checkpoint(tmp_path / "x.ckpt")
        return module.state_dict()

    whole = train(4)
    train(3)
    torch.testing.assert_close(train(4, tmp_path / "x.ckpt"), whole, rtol=0, atol=0)
