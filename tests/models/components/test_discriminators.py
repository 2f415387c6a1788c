"""The judge of the whole image beside the patches; the patches are tested with the networks."""

from itertools import pairwise
from math import prod

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from training import fit, images, moved, weights

from munit_pl import MUNIT, MUNITModule
from munit_pl.layers.initialization import initialize
from munit_pl.losses.adversarial import ADVERSARIAL_LOSSES
from munit_pl.models.components.discriminators import GlobalDiscriminator, MultiScaleDiscriminator
from munit_pl.recipes.r1 import gradient_penalty

NORMS = ["none", "batch", "instance", "layer", "spectral"]


def judge_of(**options):
    return MultiScaleDiscriminator(3, 4, 2, 2, global_discriminator=True, **options)


def convolutions(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def test_without_it_weights_and_random_numbers_are_the_patches_alone():
    torch.manual_seed(5)
    dis = MultiScaleDiscriminator(3, 4, 2, 2)
    after = torch.rand(3)
    torch.manual_seed(5)
    layers = [nn.Conv2d(*sides) for _ in range(2) for sides in ((3, 4, 4), (4, 8, 4), (8, 1, 1))]
    assert torch.equal(torch.rand(3), after)
    tensors = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    for own, expected in zip(dis.state_dict().values(), tensors, strict=True):
        assert torch.equal(own, expected)
    parts = [(scale, layer) for scale in (0, 1) for layer in ("0.conv", "1.conv", "2")]
    names = [f"scales.{i}.{n}.{kind}" for i, n in parts for kind in ("weight", "bias")]
    assert list(dis.state_dict()) == names


def test_with_it_the_patches_are_what_they_were():
    torch.manual_seed(5)
    patches = MultiScaleDiscriminator(3, 4, 2, 2)
    torch.manual_seed(5)
    dis, x = judge_of(), torch.randn(2, 3, 32, 48)
    *of_patches, _ = dis(x)
    for logits, expected in zip(of_patches, patches(x), strict=True):
        assert torch.equal(logits, expected)


@pytest.mark.parametrize(("height", "width"), [(256, 256), (64, 128), (301, 77)])
def test_it_adds_one_logit_for_each_image_of_any_size(height, width):
    with torch.device("meta"):
        x = torch.empty(2, 3, height, width)
        *patches, whole = MultiScaleDiscriminator(global_discriminator=True)(x)
        is_whole_batch = MultiScaleDiscriminator()(x)
    assert whole.shape == (2, 1, 1, 1)
    assert [scale.shape for scale in patches] == [scale.shape for scale in is_whole_batch]


def test_by_default_it_is_as_deep_and_as_wide_as_the_papers():
    """Iizuka et al., 2017: six strided convolutions, here of 4x4; 256 pixels become 4."""
    with torch.device("meta"):
        score_batches = MultiScaleDiscriminator(global_discriminator=True).global_discriminator
        assert score_batches.layers(torch.empty(1, 3, 256, 256)).shape == (1, 512, 4, 4)
    sides = [3, 64, 128, 256, 512, 512, 512]
    *layers, hidden, head = convolutions(score_batches)
    assert [layer.weight.shape for layer in layers] == [
        (after, before, 4, 4) for before, after in pairwise(sides)
    ]
    assert [prod(layer.weight.shape) for layer in (hidden, head)] == [512 * 512, 512]


@pytest.mark.parametrize("sides", [(32, 32), (37, 50)])
def test_its_logit_depends_on_every_pixel(sides):
    x = torch.randn(1, 1, *sides, dtype=torch.float64, requires_grad=True)
    score_batches = (
        MultiScaleDiscriminator(1, 4, 2, 2, global_discriminator=True).double().global_discriminator
    )
    score_batches(x).sum().backward()
    assert x.grad.ne(0).all()


def test_its_logit_is_no_mean_of_patches_logits():
    """Of features p and -p a mean is 0; lrelu(z) + lrelu(-z) is 0.8 |z|."""
    score_batches = GlobalDiscriminator(3, 4, 3, "none", "lrelu", "reflect")
    initialize(score_batches, "kaiming")  # without biases
    hidden, head = score_batches.head[0].conv, score_batches.head[1]
    p = torch.randn(1, 16, 1, 1)
    expected = head.weight.flatten(1) @ (0.8 * (hidden.weight.flatten(1) @ p.flatten()).abs())
    torch.testing.assert_close((score_batches.head(p) + score_batches.head(-p)).flatten(), expected)
    assert expected.abs() > 0.1


def test_it_takes_just_the_sizes_that_it_can_judge():
    for norm in ["none", "layer", "instance"]:
        for layers, scales in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2)]:
            dis = MultiScaleDiscriminator(1, 1, layers, scales, norm, global_discriminator=True)
            deep = layers + scales - 1
            shortest = 2**deep * (2 if norm == "instance" and deep > 1 else 1)
            for side in (shortest - 1, shortest, shortest + 1, 2 * shortest):
                # Of a map of one row an instance normalization has a deviation, if a poor one.
                for sides in ((side, side),) if norm == "instance" else ((side, 64), (64, side)):
                    try:
                        dis(torch.randn(2, 1, *sides))
                    except (RuntimeError, ValueError):
                        judged = False
                    else:
                        judged = True
                    assert judged == (side >= shortest)
                    if not judged:
                        with pytest.raises(
                            ValueError, match=f"and global_discriminator .* at least {shortest}"
                        ):
                            dis.check_size(*sides)
                    else:
                        dis.check_size(*sides)


@pytest.mark.parametrize("norm", NORMS)
def test_any_norm_passes_a_gradient_and_spares_what_has_one_pixel(norm):
    dis, x = judge_of(norm=norm), torch.randn(2, 3, 32, 32, requires_grad=True)
    dis(x)[-1].square().sum().backward()
    for tensor in (x, *(p for p in dis.global_discriminator.parameters() if p.dim() == 4)):
        assert tensor.grad.isfinite().all()
        assert tensor.grad.any()
    assert isinstance(dis.global_discriminator.head[0].norm, nn.Identity)


def test_spectral_normalization_is_of_all_but_its_first_and_last_layer():
    score_batches = judge_of(norm="spectral").global_discriminator
    initialize(score_batches, "normal")
    layers = convolutions(score_batches)
    assert [is_parametrized(layer) for layer in layers] == [False, True, True, True, False]
    with torch.no_grad():
        for _ in range(30):
            score_batches(torch.randn(1, 3, 16, 16))
        for layer in layers[1:-1]:
            largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
            assert largest.item() == pytest.approx(1, abs=0.02)


def test_all_its_weights_are_drawn_as_asked():
    score_batches = MultiScaleDiscriminator(
        3, 16, 2, 2, global_discriminator=True
    ).global_discriminator
    initialize(score_batches, "normal")
    for layer in convolutions(score_batches):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.2)
        assert not layer.bias.any()


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_a_loss_counts_it_as_one_scale_more(name):
    loss, dis = ADVERSARIAL_LOSSES[name], judge_of()
    real, fake = dis.score_batches(torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32))
    for of, logits in ((loss.discriminator, (real, fake)), (loss.generator, (fake,))):
        patches = of(*(scales[:-1] for scales in logits))
        whole = of(*(scales[-1:] for scales in logits))
        torch.testing.assert_close(of(*logits), patches + whole)


def test_batches_judged_at_once_are_judged_apart():
    dis, x, y = judge_of(), torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32)
    for logits, batch in zip(dis.score_batches(x, y), (x, y), strict=True):
        torch.testing.assert_close(logits[-1], dis(batch)[-1])


def test_the_gradient_penalty_is_of_its_logit_too():
    dis, x = judge_of(), images()
    with torch.no_grad():
        for scale in dis.scales:
            scale[-1].weight.zero_()  # patches' scores are flat
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(dis.global_discriminator(leaf).sum(), leaf)
    expected = gradient.square().flatten(1).sum(1) / 2
    torch.testing.assert_close(gradient_penalty(dis, x).detach(), expected)


def test_it_learns_as_discriminators_do(tiny):
    tiny["discriminator"]["global_discriminator"] = True
    module = MUNITModule(**tiny, recipes={"diffaugment": {}, "r1": {"every": 2}})
    judges = module.dis_a.global_discriminator, module.dis_b.global_discriminator
    before = [weights(score_batches) for score_batches in judges]
    fit(module, steps=2)
    assert all(
        moved(old, weights(score_batches))
        for old, score_batches in zip(before, judges, strict=True)
    )


def test_what_is_saved_with_it_is_read_with_it(tiny, tmp_path):
    tiny["discriminator"]["global_discriminator"] = True
    networks, x = MUNIT(**tiny), images()
    networks.save_pretrained(tmp_path)
    for ours, theirs in zip(
        networks.dis_a(x), MUNIT.from_pretrained(tmp_path).dis_a(x), strict=True
    ):
        assert torch.equal(ours, theirs)
