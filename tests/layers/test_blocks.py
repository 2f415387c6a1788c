from math import exp, tanh

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from munit_pl.layers.blocks import (
    AdaINResBlock,
    ConvBlock,
    ResBlock,
    UpBlock,
    make_activation,
    make_norm,
)

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def set_kernel(conv, factor):
    """Make a convolution multiply by ``factor``."""
    nn.init.dirac_(conv.weight)
    conv.weight.data.mul_(factor)
    nn.init.zeros_(conv.bias)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", [0.0, 0.0, 2.0]),
        ("lrelu", [-0.2, 0.0, 2.0]),
        ("prelu", [-0.25, 0.0, 2.0]),
        ("selu", [SELU_SCALE * SELU_ALPHA * (exp(-1) - 1), 0.0, 2 * SELU_SCALE]),
        ("tanh", [tanh(-1), 0.0, tanh(2)]),
        ("none", [-1.0, 0.0, 2.0]),
    ],
)
def test_activation_is_the_one_of_its_name(name, expected):
    y = make_activation(name)(torch.tensor([-1.0, 0.0, 2.0]))
    torch.testing.assert_close(y, torch.tensor(expected))


def standardize(x, axes, eps=1e-5):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", lambda x: x),
        ("spectral", lambda x: x),
        ("batch", lambda x: standardize(x, (0, 2, 3))),
        ("instance", lambda x: standardize(x, (2, 3))),
        ("layer", lambda x: standardize(x, (1, 2, 3), eps=0) * (59 / 60) ** 0.5),
    ],
)
def test_norm_is_the_one_of_its_name(name, expected):
    x = torch.randn(2, 3, 5, 4) + 2
    norm = make_norm(name, 3)
    if name == "layer":
        nn.init.ones_(norm.gamma)
    torch.testing.assert_close(norm(x), torch.from_numpy(expected(x.numpy())), atol=1e-4, rtol=1e-4)


def test_instance_norm_has_no_parameters_and_is_the_same_in_evaluation():
    x, norm = torch.randn(2, 3, 5, 4), make_norm("instance", 3)
    assert not norm.state_dict()
    assert torch.equal(norm.train()(x), norm.eval()(x))


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (make_activation, "relu, lrelu, prelu, selu, tanh, none"),
        (lambda name: make_norm(name, 3), "none, batch, instance, layer, spectral"),
        (lambda name: ConvBlock(3, 3, 3, padding_mode=name), "reflect, replicate, zeros"),
    ],
    ids=["activation", "norm", "padding_mode"],
)
def test_an_unknown_name_is_refused_with_the_names_there_are(make, options):
    with pytest.raises(ValueError, match=f"'swish', but must be one of {options}"):
        make("swish")


def test_conv_block_pads_as_asked_and_then_convolves():
    for kernel, stride, padding in [(3, 1, 1), (4, 2, 1), (7, 1, 3)]:
        for mode, pad in [
            ("reflect", "reflect"),
            ("replicate", "replicate"),
            ("zeros", "constant"),
        ]:
            block = ConvBlock(2, 3, kernel, stride, padding, activation="none", padding_mode=mode)
            x = torch.randn(1, 2, 8, 6)
            padded = F.pad(x, (padding,) * 4, mode=pad)
            expected = F.conv2d(padded, block.conv.weight, block.conv.bias, stride)
            torch.testing.assert_close(block(x), expected)


def test_conv_block_reflects_unless_told_otherwise():
    block, x = ConvBlock(1, 1, 3, padding=1, activation="none"), torch.randn(1, 1, 4, 4)
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    torch.testing.assert_close(block(x), F.conv2d(padded, block.conv.weight, block.conv.bias))


@pytest.mark.parametrize("norm", ["none", "batch", "instance", "layer", "spectral"])
def test_conv_block_has_a_bias_whatever_follows(norm):
    assert ConvBlock(2, 3, 3, norm=norm).conv.bias.shape == (3,)


def test_conv_block_normalizes_before_it_activates():
    block = ConvBlock(1, 1, 1, norm="instance", activation="relu")
    set_kernel(block.conv, 1.0)
    y = block(torch.tensor([-3.0, -1.0]).view(1, 1, 1, 2))
    torch.testing.assert_close(y.flatten(), torch.tensor([0.0, 1.0]), atol=1e-4, rtol=0)


def test_res_block_activates_between_its_convolutions_and_nowhere_else():
    block = ResBlock(2, norm="none", activation="relu", padding_mode="reflect")
    set_kernel(block.conv1.conv, 1.0)
    set_kernel(block.conv2.conv, -1.0)
    x = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(block(x), x.clamp(max=0))  # x - relu(x)


def test_adain_res_block_takes_shift_then_scale_of_its_first_and_then_its_second_norm():
    block = AdaINResBlock(1, activation="relu", padding_mode="reflect")
    set_kernel(block.conv1.conv, 1.0)
    set_kernel(block.conv2.conv, 1.0)
    x = torch.tensor([[1.0, 3.0], [1.0, 3.0]]).view(1, 1, 2, 2)
    # First: -1 and 1, times 3, plus 1: -2 and 4; rectified 0 and 4. Second: -1 and 1, times 5,
    # plus 7: 2 and 12. Added to 1 and 3.
    y = block(x, torch.tensor([1.0, 3.0, 7.0, 5.0]).view(4, 1, 1))
    expected = torch.tensor([[3.0, 15.0], [3.0, 15.0]]).view(1, 1, 2, 2)
    torch.testing.assert_close(y, expected, atol=1e-4, rtol=0)


def test_adain_res_block_hands_each_channel_its_own_numbers():
    block = AdaINResBlock(2, activation="none", padding_mode="reflect")
    affine = torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, 4.0], [5.0, 6.0]])[:, None]
    x = torch.randn(1, 2, 4, 4)
    y = block(x, affine)
    # The first scale is 0, so the second map is constant and only its shift is left.
    expected = x + torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(y, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("norm", "learns"), [("none", True), ("instance", False), ("layer", True)])
def test_a_bias_learns_unless_a_normalization_cancels_it(norm, learns):
    block = ConvBlock(2, 3, 3, padding=1, norm=norm)
    block(torch.randn(1, 2, 5, 4)).square().sum().backward()
    assert (block.conv.bias.grad is not None) == learns


def test_an_adain_res_block_has_no_use_for_its_biases():
    block = AdaINResBlock(2, activation="relu", padding_mode="reflect")
    x, affine = torch.randn(1, 2, 5, 4), torch.randn(4, 1, 2)
    before = block(x, affine)
    for conv in (block.conv1.conv, block.conv2.conv):
        conv.bias.data.normal_()
    assert torch.equal(block(x, affine), before)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_an_up_block_doubles_the_side_then_convolves_normalizes_and_activates(norm):
    block = UpBlock(2, 3, norm=norm, activation="relu", padding_mode="reflect")
    x = torch.randn(2, 2, 4, 3)
    doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = block.norm(block.conv(doubled)).relu()
    torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)
