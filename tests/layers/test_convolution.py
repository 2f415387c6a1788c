"""Convolutions in cheaper forms give what the plain ones give, and so do their gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from munit_pl.layers import upsampling
from munit_pl.layers.convolution import conv_by_fours, convolve
from munit_pl.layers.upsampling import upsample_conv

MODES = ["reflect", "replicate", "zeros"]


def plainly(x, weight, bias, mode):
    doubled = F.interpolate(x, scale_factor=2.0, mode="nearest")
    padded = F.pad(doubled, (2, 2, 2, 2), "constant" if mode == "zeros" else mode)
    return F.conv2d(padded, weight, bias)


@pytest.fixture(params=[False, True], ids=["as here", "as on a GPU"])
def launches(request, monkeypatch):
    monkeypatch.setattr(upsampling, "_few_launches_count", lambda x: request.param)


def random(*shape, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, requires_grad=True)


def assert_same(ours, theirs, inputs, tolerance):
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    upstream = torch.randn_like(ours)
    ours, theirs = (torch.autograd.grad(y, inputs, upstream) for y in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_the_upsampling_convolution_is_exact_to_the_corners(launches):
    for mode in MODES:
        for height, width in [(2, 2), (2, 5), (3, 3), (4, 4), (6, 4), (4, 7), (5, 5)]:
            inputs = random(2, 3, height, width), random(4, 3, 5, 5), random(4)
            assert_same(upsample_conv(*inputs, mode), plainly(*inputs, mode), inputs, 1e-12)


def test_the_upsampling_convolution_goes_without_a_bias(launches):
    for mode in MODES:
        inputs = random(1, 2, 5, 4), random(3, 2, 5, 5)
        ours, theirs = (made(*inputs, None, mode) for made in (upsample_conv, plainly))
        assert_same(ours, theirs, inputs, 1e-12)


def test_the_upsampling_convolution_rounds_like_the_plain_one_in_fp32(launches):
    inputs = [random(2, 32, 16, 16, dtype=torch.float32), random(16, 32, 5, 5, dtype=torch.float32)]
    exact = plainly(*(t.double() for t in inputs), None, "reflect")
    errors = [
        (made(*inputs, None, "reflect") - exact).norm() / exact.norm()
        for made in (upsample_conv, plainly)
    ]
    assert errors[0] < 2 * errors[1] < 4e-6  # 800 products of 24 bits each, in whatever order


def test_the_upsampling_convolution_takes_nine_products_of_twenty_five():
    x, weight = torch.randn(1, 8, 64, 64), torch.randn(4, 8, 5, 5)
    counts = []
    for made in (upsample_conv, plainly):
        with FlopCounterMode(display=False) as counter:
            made(x, weight, None, "reflect")
        counts.append(counter.get_total_flops())
    assert 9 / 25 < counts[0] / counts[1] < 1.05 * 9 / 25  # the border takes the rest


def test_the_upsampling_convolution_for_gpus_can_be_differentiated_again(monkeypatch):
    monkeypatch.setattr(upsampling, "_few_launches_count", lambda x: True)
    inputs = random(2, 2, 4, 5), random(3, 2, 5, 5), random(3)
    found = []
    for made in (upsample_conv, plainly):
        y = made(*inputs, "reflect").square().sum()
        grads = torch.autograd.grad(y, inputs, create_graph=True)
        found.append(torch.autograd.grad(sum(g.square().sum() for g in grads), inputs))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


def test_the_upsampling_convolution_for_gpus_knows_autocast_and_frozen_weights(monkeypatch):
    x, weight = random(2, 8, 6, 6, dtype=torch.float32), random(4, 8, 5, 5, dtype=torch.float32)
    bias = torch.randn(4)
    found = []
    for few in (False, True):
        monkeypatch.setattr(upsampling, "_few_launches_count", lambda x, few=few: few)
        with torch.autocast("cpu", torch.bfloat16):
            y = upsample_conv(x, weight, bias, "reflect")
        assert y.dtype is torch.bfloat16
        grads = torch.autograd.grad(y.float().square().sum(), (x, weight))
        assert [grad.dtype for grad in grads] == [torch.float32] * 2
        found.append((y.detach().float(), *grads))
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).norm() < 0.01 * theirs.norm()


def test_four_pixels_at_a_time_are_the_plain_convolution():
    for side in [3, 7]:
        for bias in [True, False]:
            inputs = [random(2, 5, side + 3, side + 5), random(3, 5, side, side), random(3)]
            inputs = inputs if bias else inputs[:2]
            ours = conv_by_fours(*inputs, *([] if bias else [None]))
            assert_same(ours, F.conv2d(*inputs), inputs, 1e-12)


def test_a_layers_convolution_is_the_layers_but_for_the_bias():
    for out_channels in [1, 3, 8]:
        for size in [(8, 8), (7, 8)]:
            for mode in MODES:
                conv = nn.Conv2d(
                    4, out_channels, 7, padding=3, padding_mode=mode, dtype=torch.float64
                )
                x = random(2, 4, *size)
                parameters = (x, conv.weight, conv.bias)
                assert_same(convolve(conv, x, conv.bias), conv(x), parameters, 1e-12)
                without = convolve(conv, x, None) + conv.bias[:, None, None]
                torch.testing.assert_close(without, conv(x), rtol=1e-12, atol=1e-12)


def test_a_strided_layer_keeps_its_stride():
    conv = nn.Conv2d(4, 3, 4, stride=2, padding=1, padding_mode="reflect", dtype=torch.float64)
    x = random(2, 4, 8, 6)
    assert_same(convolve(conv, x, conv.bias), conv(x), (x, conv.weight, conv.bias), 1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_upsampling_convolution_is_exact_on_cuda():
    for height, width in [(4, 4), (4, 7), (16, 8)]:
        shapes = (2, 3, height, width), (4, 3, 5, 5), (4,)
        inputs = [random(*shape).detach().cuda().requires_grad_() for shape in shapes]
        ours, theirs = (made(*inputs, "reflect") for made in (upsample_conv, plainly))
        assert_same(ours, theirs, inputs, 1e-12)
