from contextlib import ExitStack, contextmanager, suppress

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from methods import METHODS
from ranks import in_two_processes
from torch import nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import spectral_norm
from training import fit, images

from munit_pl.callbacks.flat_ddp import FlatDDPStrategy
from munit_pl.layers import weight_casts
from munit_pl.layers.autocast import without_autocast
from munit_pl.layers.weight_casts import WeightCasts
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.recipes.r1 import gradient_penalty

BF16 = torch.bfloat16
ROUNDING = 2.0**-6  # two roundings to bf16's 8 bits


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch):
    monkeypatch.setattr(weight_casts, "DEVICES", ("cpu",))


@contextmanager
def cast(*networks, dtype=BF16):
    with torch.autocast("cpu", dtype, cache_enabled=False), ExitStack() as stack:
        for network in networks:
            stack.enter_context(WeightCasts(network).in_use())
        yield


def test_a_layer_reads_casts_and_everyone_else_its_parameters():
    layer = nn.Linear(3, 2)
    weight, names = layer.weight, list(layer.state_dict())
    with suppress(LookupError), cast(layer):
        assert layer.weight.dtype is layer.bias.dtype is BF16
        assert next(layer.parameters()) is weight
        assert layer.state_dict()["weight"].dtype is torch.float32
        with without_autocast(weight):
            assert layer.weight is weight
        raise LookupError
    assert layer.weight is weight
    assert list(layer.state_dict()) == names


def test_a_cast_made_under_no_grad_does_not_hide_a_gradient():
    """The trap of autocast's own cache: the first use is not differentiated, the second is."""
    layer, x = nn.Linear(3, 2), torch.randn(4, 3)
    with cast(layer):
        with torch.no_grad():
            layer(x)
        layer(x).sum().backward()
    torch.testing.assert_close(layer.weight.grad, x.sum(0).expand(2, 3), rtol=0.02, atol=0.02)
    assert torch.equal(layer.bias.grad, torch.full((2,), 4.0))


def test_weights_are_cast_as_they_are_and_gradients_of_uses_added_up_in_fp32_weights():
    layer, x = nn.Conv2d(1, 1, 1, bias=False), torch.ones(1, 1, 2, 2)
    for value in (1.0, 2.0):
        nn.init.constant_(layer.weight, value)
        layer.zero_grad()
        with cast(layer):
            assert layer(x).max() == value
            (layer(x).sum() + 2 * layer(x).sum()).backward()
        assert layer.weight.grad.item() == 3 * 4
        assert layer.weight.grad.dtype is torch.float32


def test_what_is_not_used_or_frozen_has_no_gradient():
    """Adam would let weight decay move a weight whose gradient is zeros."""
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1), nn.Linear(2, 2))
    used, frozen, unused = network
    frozen.requires_grad_(False)
    with cast(network):
        assert not frozen.weight.requires_grad
        frozen(used(torch.ones(1, 2))).sum().backward()
    assert used.weight.grad is not None
    assert frozen.weight.grad is unused.weight.grad is unused.bias.grad is None


def test_where_autocast_is_off_or_a_network_is_compiled_nothing_is_cast(monkeypatch):
    network = nn.Sequential(nn.Linear(2, 1))
    (layer,) = network
    with WeightCasts(network).in_use():
        assert layer.weight.dtype is torch.float32
    for part in (network, layer):
        with monkeypatch.context() as compiled:
            compiled.setattr(part, "_compiled_call_impl", part.forward)
            with cast(network):
                assert layer.weight.dtype is torch.float32
    with cast(network):
        assert layer.weight.dtype is BF16


def test_other_weights_put_in_place_are_used_and_the_own_ones_are_back():
    layer, x = nn.Linear(2, 1, bias=False), torch.ones(1, 2)
    weight, other = layer.weight, torch.full((1, 2), 3.0, requires_grad=True)
    with cast(layer):
        y = functional_call(layer, {"weight": other}, (x,))
        y.sum().backward()
        assert layer.weight.dtype is BF16
    assert y.item() == 6
    assert other.grad is not None
    assert weight.grad is None
    assert layer.weight is weight


def test_weights_that_a_layer_computes_with_first_stay_fp32():
    """Sums of kernels, singular vectors."""
    gen = AdaINGenerator(3, 4, mlp_dim=8, num_res_blocks=1)
    normalized = nn.Sequential(spectral_norm(nn.Conv2d(1, 1, 3)))
    with cast(gen, normalized):
        assert gen.decoder.up_blocks[0].conv.weight.dtype is torch.float32
        assert normalized[0].weight.dtype is torch.float32
        assert gen.decoder.to_image.conv.weight.dtype is BF16


def test_the_penalty_beyond_autocast_has_the_gradient_of_fp32():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 1, 3))
    x = torch.randn(2, 1, 8, 8)
    grads = []
    for context in (ExitStack(), cast(network)):
        network.zero_grad()
        with context:
            gradient_penalty(lambda images: [network(images)], x).sum().backward()
        grads.append([p.grad for p in network.parameters()])
    for plain, under in zip(*grads, strict=True):
        assert (plain is None and under is None) or torch.equal(plain, under)


class Gradients(Callback):
    """The first iteration's and the last one's."""

    def on_train_batch_end(self, trainer, module, *_):
        self.last = {
            name: None if p.grad is None else p.grad.clone()
            for name, p in module.named_parameters()
        }
        if trainer.global_step == 1:
            self.first = self.last


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("munit", {}),
        ("munit", {"checkpoint_activations": True, "accumulate": 2}),
        ("munit", {"weights": {"cycle": 1.0}, "recipes": {"r1": {"every": 1}}}),
        ("munit", {"generator": {"spectral": True}, "discriminator": {"norm": "spectral"}}),
        ("unit", {}),
        ("cyclegan", {}),
        ("bicyclegan", {}),
    ],
)
def test_training_has_the_gradients_of_autocasts_own_casts(name, options, monkeypatch):
    found = []
    for devices in ((), ("cpu",)):
        monkeypatch.setattr(weight_casts, "DEVICES", devices)
        torch.manual_seed(0)
        module, gradients = METHODS[name].make(**options), Gradients()
        fit(module, 1, precision="bf16-mixed", callbacks=[gradients])
        found.append(gradients.first)
    for weight, plain in found[0].items():
        once = found[1][weight]
        assert (once is None) == (plain is None), weight
        if plain is not None:
            assert once.dtype is torch.float32
            assert (once - plain).norm() <= ROUNDING * plain.norm(), weight


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_has_them_on_cuda(monkeypatch):
    found = []
    for devices in ((), ("cuda",)):
        monkeypatch.setattr(weight_casts, "DEVICES", devices)
        torch.manual_seed(0)
        module, gradients = METHODS["munit"].make(), Gradients()
        fit(module, 1, accelerator="gpu", precision="bf16-mixed", callbacks=[gradients])
        flat = [g.flatten() for g in gradients.first.values() if g is not None]
        found.append(torch.cat(flat))
    assert (found[1] - found[0]).norm() <= ROUNDING * found[0].norm()


def gradients_of_two_processes(rank):
    outcomes = {}
    for devices in ((), ("cpu",)):
        weight_casts.DEVICES = devices
        for strategy in ("ddp_find_unused_parameters_true", FlatDDPStrategy()):
            torch.manual_seed(rank)
            module, gradients = METHODS["munit"].make(), Gradients()
            options = {"devices": 2, "strategy": strategy, "use_distributed_sampler": False}
            pairs = [(images(2, rank), images(2, rank + 2))] * 2
            fit(module, 2, pairs=pairs, precision="bf16-mixed", callbacks=[gradients], **options)
            outcomes[bool(devices), type(strategy).__name__] = gradients.first, gradients.last
    return outcomes


@pytest.mark.process
def test_processes_average_the_same_gradients(tmp_path):
    first, second = in_two_processes(gradients_of_two_processes, tmp_path)
    plain, _ = first[False, "str"]
    assert any(grad is None for grad in plain.values())  # biases that a norm subtracts
    for case, (grads, last) in first.items():
        for name, grad in grads.items():
            if plain[name] is None:
                assert grad is last[name] is None, (case, name)
                continue
            assert torch.equal(second[case][1][name], last[name]), (case, name)
            assert (grad - plain[name]).norm() <= ROUNDING * plain[name].norm(), (case, name)
