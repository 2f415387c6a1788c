"""Padding by this package's own kernels is PyTorch's, and so are its gradients."""

import pytest
import torch
import torch.nn.functional as F

from munit_pl.layers import padding
from munit_pl.layers.padding import pad

SHAPES = [(1, 2, 2), (1, 5, 4), (2, 3, 3), (3, 4, 6)]


def test_padding_and_its_gradient_are_pytorchs(monkeypatch):
    for mode in ["reflect", "replicate"]:
        for n, height, width in SHAPES:
            monkeypatch.setattr(padding, "LARGE", 0)
            x = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
            ours, theirs = pad(x, n, mode), F.pad(x, (n, n, n, n), mode)
            assert torch.equal(ours, theirs)
            upstream = torch.randn_like(ours)
            (ours,), (theirs,) = (torch.autograd.grad(y, x, upstream) for y in (ours, theirs))
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_the_gradient_has_a_gradient_as_often_as_one_is_asked_for(monkeypatch):
    for mode in ["reflect", "replicate"]:
        for n, height, width in SHAPES:
            monkeypatch.setattr(padding, "LARGE", 0)
            x = torch.randn(1, 2, height, width, dtype=torch.float64, requires_grad=True)
            assert torch.autograd.gradgradcheck(lambda x: pad(x, n, mode).pow(3), x)


def test_zeros_are_added_where_asked():
    assert pad(torch.ones(1, 1, 1, 1), 1, "zeros").tolist() == [[[[0, 0, 0], [0, 1, 0], [0, 0, 0]]]]


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize("large", [0, padding.LARGE])
def test_autocast_leaves_the_type_as_it_is(mode, large, monkeypatch):
    monkeypatch.setattr(padding, "LARGE", large)
    x = torch.randn(1, 2, 4, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert F.pad(x, (1, 1, 1, 1), mode).dtype == torch.float32  # why there is this module
        assert pad(x, 1, mode).dtype == torch.bfloat16


def test_a_map_too_small_to_be_reflected_is_refused():
    with pytest.raises(RuntimeError, match=r"[Pp]adding size should be less than"):
        pad(torch.ones(1, 1, 2, 5), 2, "reflect")


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_a_compiled_program_pads_alike(mode):
    x = torch.randn(1, 2, 4, 4)
    padded = torch.export.export(Padded(mode), (x,)).module()
    assert torch.equal(padded(x + 1), pad(x + 1, 1, mode))


class Padded(torch.nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.mode = mode

    def forward(self, x):
        return pad(x, 1, self.mode)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_gradients_are_to_be_had_on_cuda_where_all_must_be_deterministic(mode):
    x = torch.randn(1, 2, 5, 4, device="cuda", requires_grad=True)
    torch.use_deterministic_algorithms(True)
    try:
        (gradient,) = torch.autograd.grad(pad(x, 2, mode).square().sum(), x)
    finally:
        torch.use_deterministic_algorithms(False)
    on_cpu = x.detach().cpu().requires_grad_()
    (expected,) = torch.autograd.grad(pad(on_cpu, 2, mode).square().sum(), on_cpu)
    torch.testing.assert_close(gradient.cpu(), expected)
