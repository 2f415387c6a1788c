"""The networks against the published sizes and against their description, written out once more."""

from math import sqrt

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from training import images

from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.bicyclegan.networks import (
    BicycleGANGenerator,
    BranchDiscriminators,
    ResnetEncoder,
    UNetTranslator,
    small_xavier,
)


def size(network):
    return sum(p.numel() for p in network.parameters())


def small(**arguments):
    sizes = {"dim": 4, "style_dim": 3, "num_downsample": 3, "encoder_dim": 4}
    sizes |= {"num_res_blocks": 1, "encoder_downsample": 2}
    return BicycleGANGenerator(**sizes | arguments)


def conv(before, after, side):
    return before * after * side**2 + after


@pytest.mark.parametrize("where", ["input", "all"])
def test_unet_has_the_published_size(where):
    """That of pix2pix, known as 54.414 million, and 4x4 more weights for each style component.

    pix2pix normalizes batches, with two weights for each of 4928 channels instead of one bias, and
    has no bias in the first and the lowest convolution, of 64 and 512 channels.
    """
    with torch.device("meta"):
        network = UNetTranslator(3, 3, 64, 8, 8, where)
    styled = [64] if where == "input" else [64, 128, 256] + [512] * 5
    pix2pix = size(network) - 8 * 16 * sum(styled) + 4928 - (64 + 512)
    assert pix2pix == 54_413_955
    assert size(network) == {"input": 54_417_795, "all": 54_794_627}[where]


@pytest.mark.parametrize("blocks", [4, 5])
def test_encoder_has_the_published_size(blocks):
    with torch.device("meta"):
        network = ResnetEncoder(3, 64, 8, blocks)
    expected = conv(3, 64, 4) + 2 * conv(256, 8, 1)
    for before, after in [(64, 128), (128, 192), (192, 256), (256, 256)][: blocks - 1]:
        expected += conv(before, before, 3) + conv(before, after, 3) + conv(before, after, 1)
    assert size(network) == expected == {4: 1_344_080, 5: 2_590_032}[blocks]


def test_the_defaults_are_the_published_networks():
    with torch.device("meta"):
        gen, dis = BicycleGANGenerator(), BranchDiscriminators()
    assert size(gen.decoder) == 54_794_627
    assert size(gen.style_encoder) == 2_590_032
    # For either branch, patches of 70x70 pixels at two scales, 64 channels wide and 32.
    assert size(dis) == 2 * (2_764_737 + 694_241)


def described(network, x, z, depth=0):
    """The U-Net as nested blocks, each given the image or map above it and returning both."""
    maps = z[:, :, None, None] * torch.ones_like(x[:, :1])
    wide = torch.cat([x, maps], 1) if depth == 0 or network.where == "all" else x
    down, up = network.down[depth][0], network.up[depth][1]
    lowest = depth == len(network.down) - 1
    y = F.conv2d(wide if depth == 0 else F.leaky_relu(wide, 0.2), down.weight, down.bias, 2, 1)
    if not lowest:
        y = described(network, y if depth == 0 else F.instance_norm(y), z, depth + 1)
    y = F.conv_transpose2d(F.relu(y), up.weight, up.bias, 2, 1)
    return torch.tanh(y) if depth == 0 else torch.cat([F.instance_norm(y), x], 1)


@pytest.mark.parametrize("where", ["input", "all"])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_unet_is_as_described(where, depth):
    network = UNetTranslator(3, 2, 2, 4, depth, where).double()
    x, z = torch.randn(2, 3, 32, 64).double(), torch.randn(2, 4).double()
    y = network(x, z)
    assert y.shape == (2, 2, 32, 64)
    torch.testing.assert_close(y, described(network, x, z))


def test_unet_gives_the_style_to_the_layers_it_names():
    everywhere, at_input = (UNetTranslator(3, 3, 4, 8, 4, where) for where in ("all", "input"))
    assert [down[0].in_channels for down in everywhere.down] == [3 + 8, 4 + 8, 8 + 8, 16 + 8]
    assert [down[0].in_channels for down in at_input.down] == [3 + 8, 4, 8, 16]


def test_dropout_lies_between_maps_of_full_width_and_in_training_alone():
    network = UNetTranslator(3, 3, 2, 8, 8, dropout=0.5)
    drops = [i for i, up in enumerate(network.up) if isinstance(up[-1], nn.Dropout)]
    assert drops == [4, 5, 6]  # of the authors' eight levels
    x, z = images(1, side=256), torch.randn(1, 8)
    assert not torch.equal(network(x, z), network(x, z))
    network.eval()
    assert torch.equal(network(x, z), network(x, z))


def test_unet_widens_eightfold_at_most():
    network = UNetTranslator(3, 3, 2, 8, 6, "input")
    assert [down[0].out_channels for down in network.down] == [2, 4, 8, 16, 16, 16]


def test_a_map_of_one_pixel_is_not_normalized_away():
    network = UNetTranslator(3, 3, 4, 2, 3)
    x, z = images(1, side=8), torch.randn(1, 2)
    y = network(x, z)
    with torch.no_grad():
        network.down[-1][0].weight.zero_()
    assert not torch.allclose(y, network(x, z))


def test_encoder_is_as_described():
    network = ResnetEncoder(3, 4, 5, 3).double()
    x = torch.randn(2, 3, 16, 24).double()
    first, *blocks, _ = network.layers
    y = F.conv2d(x, first.weight, first.bias, 2, 1)
    for block in blocks:
        inner, outer, short = block.layers[2].conv, block.layers[3], block.shortcut
        h = F.leaky_relu(F.instance_norm(y), 0.2)
        h = F.leaky_relu(F.instance_norm(F.conv2d(h, inner.weight, inner.bias, padding=1)), 0.2)
        h = F.avg_pool2d(F.conv2d(h, outer.weight, outer.bias, padding=1), 2)
        y = h + F.conv2d(F.avg_pool2d(y, 2), short.weight, short.bias)
    features = F.leaky_relu(y, 0.2).mean((2, 3))
    mean, log_variance = network.distribution(x)
    torch.testing.assert_close(mean, features @ network.mean.weight.T + network.mean.bias)
    expected = features @ network.log_variance.weight.T + network.log_variance.bias
    torch.testing.assert_close(log_variance, expected)
    assert torch.equal(network(x), mean)


@pytest.mark.parametrize(
    "options", [{}, {"inject": "input"}, {"network": "resnet"}], ids=["all", "input", "resnet"]
)
def test_a_translation_depends_on_image_and_style(options):
    gen = small(in_channels=3, other_channels=1, **options)
    x, z = images(channels=1), torch.randn(2, 3)
    y = gen.decode(x, z)
    assert y.shape == (2, 3, 16, 16)
    assert y.abs().max() <= 1
    assert not torch.allclose(y, gen.decode(x, -z))
    assert not torch.allclose(y, gen.decode(-x, z))


@pytest.mark.parametrize("network", ["unet", "resnet"])
def test_samples_do_not_depend_on_their_neighbors(network):
    gen = small(network=network).double()
    x, z = images(3).double(), torch.randn(3, 3).double()
    torch.testing.assert_close(gen.decode(x, z)[1:2], gen.decode(x[1:2], z[1:2]))
    torch.testing.assert_close(gen.style_encoder(x)[1:2], gen.style_encoder(x[1:2]))


def test_content_is_the_image_and_style_the_mean():
    gen, x = small(), images()
    content, style = gen.encode(x)
    assert torch.equal(content, x)
    assert torch.equal(style, gen.style_encoder.distribution(x)[0])


@pytest.mark.parametrize("network", ["unet", "resnet"])
def test_arguments_make_another_of_the_kind(network):
    gen = small(other_channels=1, network=network, inject="input")
    another = DomainGenerator.kinds["BicycleGANGenerator"](**gen.arguments)
    another.load_state_dict(gen.state_dict())
    x, z = images(1, channels=1), torch.randn(1, 3)
    assert torch.equal(another.decode(x, z), gen.decode(x, z))


@pytest.mark.parametrize(
    ("options", "multiple", "shortest"),
    [
        ({"num_downsample": 4}, 16, 16),
        ({"num_downsample": 2, "encoder_downsample": 3}, 4, 8),
        ({"network": "resnet"}, 4, 8),
        ({"network": "resnet", "encoder_downsample": 4}, 4, 16),
    ],
    ids=str,
)
def test_images_of_the_shortest_side_pass_and_no_others(options, multiple, shortest):
    gen = small(**options)
    assert (gen.size_divisor, gen.min_size) == (multiple, shortest)
    gen.check_size(shortest, shortest)
    x = images(1, side=shortest).requires_grad_()
    y = gen.decode(x, gen.style_encoder(x))
    assert y.shape == x.shape
    assert y.isfinite().all()
    with pytest.raises(ValueError, match=f"multiples of {multiple}"):
        gen.check_size(shortest, shortest + 1)
    if shortest > multiple:
        with pytest.raises(ValueError, match=f"at least {shortest}"):
            gen.check_size(shortest - multiple, shortest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "vit"}, "network is 'vit', but must be one of unet, resnet"),
        ({"inject": "none"}, "inject is 'none', but must be one of all, input"),
        ({"style_dim": 0}, "style_dim is 0, but must be at least 1"),
        ({"encoder_downsample": 0}, "encoder_downsample is 0, but must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_small_xavier_draws_by_the_number_of_connections():
    network = UNetTranslator(24, 24, 32, 8, 2)
    small_xavier(network)
    (first, _), (_, last, *_) = network.down[0], network.up[0]
    # 16 weights for each pair of channels: 32 in and out, and 64 in, 24 out.
    assert first.weight.std().item() == pytest.approx(0.02 * sqrt(2 / (16 * 64)), rel=0.03)
    assert last.weight.std().item() == pytest.approx(0.02 * sqrt(2 / (16 * 88)), rel=0.03)
    assert not first.bias.any()
    assert not last.bias.any()


def test_each_branch_has_a_discriminator_of_its_own():
    dis = BranchDiscriminators(1, dim=2, num_layers=2)
    names = {name.split(".")[0] for name, _ in dis.named_parameters()}
    assert names == {"encoded", "random"}
    x = images(1, channels=1, side=32)
    assert len(dis.encoded(x)) == len(dis.random(x)) == 2
    assert not torch.equal(dis.encoded(x)[0], dis.random(x)[0])
    dis.check_size(23, 23)
    with pytest.raises(ValueError, match="at least 23"):
        dis.check_size(22, 64)
