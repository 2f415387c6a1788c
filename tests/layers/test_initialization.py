from math import sqrt

import pytest
import torch
from torch import nn

from munit_pl import MUNITModule
from munit_pl.layers.blocks import ConvBlock
from munit_pl.layers.initialization import initialize
from munit_pl.layers.normalization import LayerNorm
from munit_pl.models.components.discriminators import MultiScaleDiscriminator

NAMES = ["normal", "xavier", "kaiming", "orthogonal"]


def weighted(network):
    """Return the layers with a weight that is drawn, by name."""
    layers = network.named_modules()
    return {name: layer for name, layer in layers if isinstance(layer, nn.Conv2d | nn.Linear)}


def raw(conv):
    """Return what spectral normalization divides."""
    return conv.parametrizations.weight.original


def check_normal(weight, deviation):
    """Check mean and deviation to five standard errors."""
    n = weight.numel()
    assert abs(weight.mean().item()) < 5 * deviation / sqrt(n)
    assert weight.std().item() == pytest.approx(deviation, rel=5 / sqrt(2 * n))


@pytest.mark.parametrize(
    ("how", "deviation"),
    [
        ("normal", 0.02),
        ("kaiming", sqrt(2 / (16 * 9))),
        ("xavier", sqrt(2) * sqrt(2 / (16 * 9 + 32 * 9))),
    ],
)
def test_a_convolutions_weight_has_the_asked_deviation(how, deviation):
    conv = nn.Conv2d(16, 32, 3)
    initialize(conv, how)
    check_normal(conv.weight, deviation)


@pytest.mark.parametrize(
    ("how", "deviation"),
    [("normal", 0.02), ("kaiming", sqrt(2 / 50)), ("xavier", sqrt(2) * sqrt(2 / (50 + 30)))],
)
def test_a_linear_layers_weight_has_the_asked_deviation(how, deviation):
    linear = nn.Linear(50, 30)
    initialize(linear, how)
    check_normal(linear.weight, deviation)


@pytest.mark.parametrize("how", NAMES)
def test_a_transposed_convolution_is_initialized_as_convolutions_are(how):
    transposed, conv = nn.ConvTranspose2d(16, 32, 3), nn.Conv2d(32, 16, 3)
    for layer in (transposed, conv):  # weights of one shape, (16, 32, 3, 3)
        torch.manual_seed(0)
        initialize(layer, how)
    assert torch.equal(transposed.weight, conv.weight)
    assert not transposed.bias.any()


@pytest.mark.parametrize("layer", [nn.Conv2d(8, 6, 3), nn.Linear(20, 6)])
def test_orthogonal_rows_have_the_root_of_two_as_their_length(layer):
    initialize(layer, "orthogonal")
    rows = layer.weight.flatten(1)
    torch.testing.assert_close(rows @ rows.T, 2 * torch.eye(6))


@pytest.mark.parametrize("how", NAMES)
def test_every_bias_becomes_zero_and_every_weight_new(how):
    network = nn.Sequential(ConvBlock(3, 4, 3), nn.Linear(4, 4), nn.Conv2d(4, 2, 1))
    before = {name: p.clone() for name, p in network.named_parameters()}
    initialize(network, how)
    for name, parameter in network.named_parameters():
        assert not torch.equal(parameter, before[name])
        assert parameter.any() == name.endswith("weight")


def test_a_layer_without_a_bias_is_initialized_too():
    conv = nn.Conv2d(16, 32, 3, bias=False)
    initialize(conv, "normal")
    check_normal(conv.weight, 0.02)


def test_normalizations_keep_their_parameters():
    for how in NAMES:
        for norm in [LayerNorm(4), nn.BatchNorm2d(4)]:
            for parameter in norm.parameters():
                nn.init.uniform_(parameter, 0.1, 0.9)
            before = [p.clone() for p in norm.parameters()]
            initialize(nn.Sequential(norm, nn.PReLU()), how)
            assert all(torch.equal(p, b) for p, b in zip(norm.parameters(), before, strict=True))


def test_default_leaves_all_as_it_was():
    network = MultiScaleDiscriminator(3, 2, 2, 2, norm="spectral")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    initialize(network, "default")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_spectrally_normalized_convolutions_are_initialized():
    network = MultiScaleDiscriminator(3, 16, 3, 1, norm="spectral")
    initialize(network, "normal")
    for block in network.scales[0][1:-1]:
        check_normal(raw(block.conv), 0.02)
        assert not block.conv.bias.any()


def test_skip_spectral_leaves_just_those_convolutions_alone():
    network = MultiScaleDiscriminator(3, 16, 3, 1, norm="spectral")
    first, *blocks, head = network.scales[0]
    before = [(raw(block.conv).clone(), block.conv.bias.clone()) for block in blocks]
    initialize(network, "normal", skip_spectral=True)
    for block, (weight, bias) in zip(blocks, before, strict=True):
        assert torch.equal(raw(block.conv), weight)
        assert torch.equal(block.conv.bias, bias)
        assert bias.all()
    for conv in (first.conv, head):
        check_normal(conv.weight, 0.02)
        assert not conv.bias.any()


@pytest.mark.parametrize("how", ["gaussian", "Kaiming", ""])
def test_an_unknown_initialization_is_refused_with_the_names_there_are(how):
    with pytest.raises(ValueError, match="normal, xavier, kaiming, orthogonal, default"):
        initialize(nn.Linear(2, 2), how)


def test_module_starts_with_kaiming_generators_and_normal_discriminators():
    module = MUNITModule(
        generator={"dim": 4, "mlp_dim": 16, "num_res_blocks": 1},
        discriminator={"dim": 4, "num_scales": 2},
    )
    for gen in (module.gen_a, module.gen_b):
        for layer in weighted(gen).values():
            check_normal(layer.weight, sqrt(2 / layer.weight[0].numel()))
        for block in gen.decoder.up_blocks:
            assert 0 <= block.norm.gamma.min() < block.norm.gamma.max() < 1
    for dis in (module.dis_a, module.dis_b):
        for layer in weighted(dis).values():
            check_normal(layer.weight, 0.02)
    for name, parameter in module.named_parameters():
        assert not name.endswith("bias") or not parameter.any()


def test_module_starts_as_it_is_asked_to():
    module = MUNITModule(
        generator={"dim": 2, "mlp_dim": 8, "num_res_blocks": 1},
        discriminator={"dim": 8, "num_layers": 3, "num_scales": 1, "norm": "spectral"},
        initialization={
            "generator": "normal",
            "discriminator": "kaiming",
            "skip_spectral": True,
        },
    )
    for layer in weighted(module.gen_b).values():
        check_normal(layer.weight, 0.02)
    first, *blocks, _ = module.dis_b.scales[0]
    check_normal(first.conv.weight, sqrt(2 / (3 * 16)))
    assert all(block.conv.bias.all() for block in blocks)


def test_both_domains_start_with_their_own_weights():
    module = MUNITModule(generator={"dim": 2, "num_res_blocks": 1}, discriminator={"dim": 2})
    for a, b in ((module.gen_a, module.gen_b), (module.dis_a, module.dis_b)):
        for name, layer in weighted(a).items():
            assert not torch.equal(layer.weight, weighted(b)[name].weight)
