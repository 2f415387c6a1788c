import pytest
import torch
from torch import nn

from munit_pl.layers.weight_casts import cast_weights
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.models.munit.networks import AdaINGenerator

TINY = {"dim": 4, "mlp_dim": 8, "num_res_blocks": 1}


def half(x):
    return x.to(torch.bfloat16)


def test_a_cast_made_under_no_grad_does_not_hide_a_gradient():
    """The trap of autocast's own cache: the first use is not differentiated, the second is."""
    layer, x = nn.Linear(3, 2), half(torch.randn(4, 3))
    with cast_weights([layer], torch.bfloat16):
        with torch.no_grad():
            layer(x)
        layer(x).sum().backward()
    torch.testing.assert_close(layer.weight.grad, x.float().sum(0).expand(2, 3), rtol=0.01, atol=0)
    assert torch.equal(layer.bias.grad, torch.full((2,), 4.0))


def test_a_weight_is_cast_as_it_is_when_the_context_is_entered():
    layer, x = nn.Linear(1, 1, bias=False), torch.ones(1, 1, dtype=torch.bfloat16)
    for value in (1.0, 2.0):
        nn.init.constant_(layer.weight, value)
        with cast_weights([layer], torch.bfloat16):
            nn.init.zeros_(weight := layer.weight.detach().clone())
            assert weight.dtype is torch.bfloat16
            assert layer(x).item() == value


def test_gradients_of_two_uses_are_added_up():
    layer, x = nn.Conv2d(1, 1, 1), torch.ones(1, 1, 2, 2, dtype=torch.bfloat16)
    with cast_weights([layer], torch.bfloat16):
        (layer(x).sum() + 2 * layer(x).sum()).backward()
    assert layer.weight.grad.item() == 3 * 4
    assert layer.weight.grad.dtype is torch.float32


def test_a_weight_that_is_not_used_has_no_gradient():
    """Adam would let weight decay move one whose gradient is zeros."""
    used, unused = nn.Linear(2, 2), nn.Linear(2, 2)
    with cast_weights([used, unused], torch.bfloat16):
        used(half(torch.ones(1, 2))).sum().backward()
    assert used.weight.grad is not None
    assert unused.weight.grad is None


def test_frozen_weights_get_no_gradient_and_let_one_through():
    layer = nn.Linear(2, 1).requires_grad_(False)
    x = half(torch.ones(1, 2)).requires_grad_()
    with cast_weights([layer], torch.bfloat16):
        layer(x).sum().backward()
    assert layer.weight.grad is None
    assert torch.equal(x.grad, half(layer.weight))


@pytest.mark.parametrize("error", [None, RuntimeError])
def test_the_weights_are_back_afterwards_whatever_happens(error):
    layer = nn.Linear(2, 1)
    weight, names = layer.weight, list(layer.state_dict())
    try:
        with cast_weights([layer], torch.bfloat16):
            assert layer.weight.dtype is torch.bfloat16
            if error:
                raise error
    except RuntimeError:
        pass
    assert layer.weight is weight
    assert isinstance(layer.weight, nn.Parameter)
    assert list(layer.state_dict()) == names


def test_what_networks_compute_with_is_left_in_fp32():
    """Sums of kernels, singular vectors, and all that autocast leaves alone."""
    gen = AdaINGenerator(3, **TINY, activation="prelu")
    dis = MultiScaleDiscriminator(dim=4, num_layers=2, num_scales=1, norm="spectral")
    with cast_weights([gen, dis], torch.bfloat16):
        wide = {
            name
            for network in (gen, dis)
            for name, p in network.named_parameters()
            if p.dtype is torch.float32
        }
    kinds = ("up_blocks.0.", "up_blocks.1.", "activation.weight", "original")
    assert wide
    assert all(
        any(kind in name for kind in (*kinds, "mlp.1", "mlp.3")) or "0.1.conv" in name
        for name in wide
    ), wide


def test_autocast_computes_the_same_with_cast_weights():
    gen, x = AdaINGenerator(3, **TINY), torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False), torch.no_grad():
        expected = gen(x)
        with cast_weights([gen], torch.bfloat16):
            assert torch.equal(gen(x), expected)


def test_without_a_type_nothing_is_cast():
    layer = nn.Linear(2, 1)
    with cast_weights([layer], None):
        assert layer.weight.dtype is torch.float32
