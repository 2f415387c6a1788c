import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from munit_pl.layers.normalization import InstanceNorm2d, LayerNorm, adain, layer_norm

HALF_TYPES = [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)]


def far_from_zero(dtype):
    """Values that ``dtype`` holds exactly, of a sum that fp16 cannot hold."""
    step = {torch.float16: 0.5, torch.bfloat16: 4.0}[dtype]
    return (1000 + step * torch.randint(0, 4, (2, 3, 16, 16))).to(dtype)


def test_adain_gives_each_channel_the_asked_mean_and_deviation():
    x, shift, scale = torch.randn(2, 3, 16, 16), torch.randn(2, 3), torch.rand(2, 3) + 0.5
    y = adain(x, shift, scale)
    torch.testing.assert_close(y.mean((2, 3)), shift)
    torch.testing.assert_close(y.std((2, 3), correction=0), scale, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("shift", "scale", "expected"),
    [
        (0.0, 1.0, [-0.5, 0.5]),
        (10.0, 4.0, [8.0, 12.0]),
        (10.0, 0.0, [10.0, 10.0]),  # no 1 is added to the scale
        (0.0, -2.0, [1.0, -1.0]),
    ],
)
def test_adain_divides_by_the_root_of_the_biased_variance_plus_eps(shift, scale, expected):
    x = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)  # mean 2, biased variance 1
    y = adain(x, torch.tensor([[shift]]), torch.tensor([[scale]]), eps=3.0)
    torch.testing.assert_close(y.flatten(), torch.tensor(expected))


def test_adain_eps_is_1e_5_unless_given():
    x = 0.01 * torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)  # biased variance 1e-4
    y = adain(x, torch.zeros(1, 1), torch.ones(1, 1))
    assert y.flatten()[1].item() == pytest.approx(0.01 / (1e-4 + 1e-5) ** 0.5, rel=1e-4)


def test_adain_of_a_batch_is_that_of_its_samples():
    x, shift, scale = torch.randn(2, 3, 5, 4), torch.randn(2, 3), torch.randn(2, 3)
    alone = [adain(x[i : i + 1], shift[i : i + 1], scale[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(adain(x, shift, scale), torch.cat(alone), atol=1e-6, rtol=1e-6)


def test_layer_norm_adds_eps_to_the_unbiased_deviation():
    x = torch.tensor([8.0, 4.0, 4.0, 4.0]).view(1, 2, 1, 2)  # mean 5, unbiased deviation 2
    y = layer_norm(x, torch.tensor([3.0, 6.0]), torch.tensor([0.0, 10.0]), eps=1.0)
    torch.testing.assert_close(y.flatten(), torch.tensor([3.0, -1.0, 8.0, 8.0]))


@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_layer_norm_is_the_formula_over_each_sample(eps):
    x, gamma, beta = torch.randn(3, 2, 1, 2), torch.randn(2), torch.randn(2)
    expected = np.empty((3, 2, 1, 2), np.float32)
    for i, sample in enumerate(x.numpy().astype(np.float64)):
        mean = sample.sum() / 4
        deviation = np.sqrt(((sample - mean) ** 2).sum() / 3)
        normal = (sample - mean) / (deviation + eps)
        expected[i] = normal * gamma.numpy()[:, None, None] + beta.numpy()[:, None, None]
    torch.testing.assert_close(layer_norm(x, gamma, beta, eps), torch.from_numpy(expected))


@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_layer_norms_gradient_has_a_gradient_and_is_the_same_for_all_that(eps):
    x = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    gamma, beta = (torch.randn(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    inputs, upstream = (x, gamma, beta), torch.randn_like(x)
    assert torch.autograd.gradgradcheck(lambda *xs: layer_norm(*xs, eps), inputs)
    y = layer_norm(*inputs, eps)
    by_kernels = torch.autograd.grad(y, inputs, upstream, retain_graph=True)
    by_formula = torch.autograd.grad(y, inputs, upstream, create_graph=True)
    torch.testing.assert_close(by_formula, by_kernels, rtol=1e-10, atol=1e-10)


def test_layer_norm_of_a_batch_is_that_of_its_samples():
    x, gamma, beta = torch.randn(2, 3, 5, 4), torch.rand(3), torch.randn(3)
    alone = torch.cat([layer_norm(sample[None], gamma, beta) for sample in x])
    torch.testing.assert_close(layer_norm(x, gamma, beta), alone, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "pytorch",
    [lambda x: F.layer_norm(x, x.shape[1:]), lambda x: F.group_norm(x, 1)],
    ids=["layer_norm", "group_norm"],
)
def test_layer_norm_is_not_pytorchs(pytorch):
    """Its deviation is unbiased: over n = 4 values the ratio is the root of 3 / 4."""
    x = torch.randn(2, 2, 1, 2)
    y = layer_norm(x, torch.ones(2), torch.zeros(2))
    torch.testing.assert_close(y, 0.75**0.5 * pytorch(x), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("dtype", "tolerance"), HALF_TYPES)
def test_adain_sums_half_types_in_fp32_and_keeps_the_type(dtype, tolerance):
    x, shift, scale = far_from_zero(dtype), torch.randn(2, 3), torch.rand(2, 3) + 0.5
    y = adain(x, shift, scale)
    assert y.dtype == dtype
    expected = adain(x.float(), shift, scale)
    torch.testing.assert_close(y.float(), expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("affine_dtype", [torch.float32, None])
@pytest.mark.parametrize(("dtype", "tolerance"), HALF_TYPES)
def test_layer_norm_sums_half_types_in_fp32_and_keeps_the_type(dtype, tolerance, affine_dtype):
    x = far_from_zero(dtype)
    gamma, beta = torch.rand(2, 3).to(affine_dtype or dtype)
    y = layer_norm(x, gamma, beta)
    assert y.dtype == dtype
    expected = layer_norm(x.float(), gamma.float(), beta.float())
    torch.testing.assert_close(y.float(), expected, atol=tolerance, rtol=tolerance)


def test_layer_norms_scale_starts_uniform_below_one_and_its_shift_zero():
    norm = LayerNorm(1000)
    assert 0 <= norm.gamma.min() < 0.05
    assert 0.95 < norm.gamma.max() < 1
    assert norm.gamma.mean().item() == pytest.approx(0.5, abs=0.05)
    assert norm.gamma.unique().numel() > 900
    assert not norm.beta.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("norm", ["adain", "layer_norm"])
def test_a_constant_image_has_finite_features_and_gradients(norm, dtype):
    x = torch.ones(1, 2, 4, 4, dtype=dtype, requires_grad=True)
    scale, shift = torch.full((2,), 0.7), torch.tensor([0.5, -0.5])
    y = adain(x, shift[None], scale[None]) if norm == "adain" else layer_norm(x, scale, shift)
    torch.testing.assert_close(y.float(), shift.view(1, 2, 1, 1).expand(1, 2, 4, 4))
    (y * torch.randn_like(y)).sum().backward()
    assert x.grad.isfinite().all()


def test_an_instance_norm_is_pytorchs_but_no_view_where_it_is_differentiated():
    """A change in place of a view has autograd copy the gradient three times."""
    ours, theirs = InstanceNorm2d(3), nn.InstanceNorm2d(3)
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(2, 3, 5, 4).to(dtype).requires_grad_()
        grads = []
        for norm in (ours, theirs):
            y = norm(x)
            assert torch.equal(y, theirs(x))
            assert y._is_view() == (norm is theirs)
            grads.append(torch.autograd.grad(y.relu_().square().sum(), x)[0])
        assert torch.equal(*grads)
    with pytest.raises(ValueError, match="more than 1"):
        ours(torch.randn(1, 3, 1, 1, requires_grad=True))
