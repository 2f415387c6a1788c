import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from munit_pl import MUNITModule
from munit_pl.models.components.discriminators import MultiScaleDiscriminator, downsample
from munit_pl.models.munit.networks import AdaINGenerator

TINY = {"dim": 2, "style_dim": 3, "mlp_dim": 4, "num_res_blocks": 2}


def size(*networks):
    return sum(p.numel() for network in networks for p in network.parameters())


def accepts(network, *sides):
    try:
        network.check_size(*sides)
    except ValueError:
        return False
    return True


def give_biases(network):
    """Leave no bias at 0."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()


@pytest.fixture(scope="module")
def published():
    with torch.device("meta"):  # no memory, no time, the real sizes
        return MUNITModule()


def test_published_network_has_the_originals_parameter_count(published):
    for part, parameters in [
        ("gen_a.style_encoder", 2_764_936),
        ("gen_a.content_encoder", 5_385_856),
        ("gen_a.decoder.mlp", 1_120_768),
        ("gen_a", 15_026_187),
        ("gen_b", 15_026_187),
        ("dis_a.scales.0", 2_757_057),
        ("dis_a.scales.2", 2_757_057),
        ("dis_a", 8_271_171),
        ("dis_b", 8_271_171),
    ]:
        assert size(published.get_submodule(part)) == parameters


def test_published_module_has_the_originals_parameter_count(published):
    decoder = published.gen_a.decoder
    assert size(decoder) - size(decoder.mlp) == 5_754_627
    assert size(published) == 46_594_716


@pytest.mark.parametrize("num_downsample", [0, 1, 3])
def test_style_encoder_is_the_same_whatever_the_content_encoders_depth(num_downsample):
    def shapes(depth):
        encoder = AdaINGenerator(**TINY, num_downsample=depth).style_encoder
        return {name: parameter.shape for name, parameter in encoder.named_parameters()}

    assert shapes(num_downsample) == shapes(2)
    assert sum(name.endswith("conv.weight") for name in shapes(2)) == 5


def test_style_is_the_head_of_the_mean_over_the_image():
    encoder = AdaINGenerator(**TINY).style_encoder
    x = torch.randn(2, 3, 32, 48)
    mean = encoder.layers(x).mean((2, 3))
    assert encoder.layers(x).shape == (2, 8, 2, 3)
    expected = F.linear(mean, encoder.head.weight[:, :, 0, 0], encoder.head.bias)
    torch.testing.assert_close(encoder(x), expected)


def test_nothing_normalizes_the_style_encoder():
    encoder = AdaINGenerator(**TINY).style_encoder
    x = torch.randn(1, 3, 16, 16)  # without biases, what only rectifies is homogeneous
    for name, parameter in encoder.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    torch.testing.assert_close(encoder(3 * x), 3 * encoder(x))


def test_numbers_of_the_perceptron_reach_their_layer_and_slot():
    """By residual block, then convolution; within each all shifts, then all scales."""
    decoder, width = AdaINGenerator(**TINY).decoder, 8
    give_biases(decoder)
    numbers = torch.linspace(-2, 2, 2 * 2 * 2 * width)
    decoder.mlp.register_forward_hook(lambda *_: numbers[None])
    content = torch.randn(1, width, 4, 4)
    seen = []
    decoder.up_blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    decoder(content, torch.zeros(1, 3))

    def convolve(x, i, j):
        layer = decoder.get_submodule(f"res_blocks.{i}.conv{j}.conv")
        y = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), layer.weight, layer.bias)
        first = (2 * i + j - 1) * 2 * width
        shift, scale = numbers[first : first + width], numbers[first + width : first + 2 * width]
        return F.instance_norm(y) * scale[:, None, None] + shift[:, None, None]

    h = content
    for i in (0, 1):
        h = h + convolve(convolve(h, i, 1).relu(), i, 2)
    torch.testing.assert_close(seen[0], h, atol=1e-5, rtol=1e-5)


def test_style_reaches_the_image():
    generator = AdaINGenerator(**TINY)
    content, _ = generator.encode(torch.randn(1, 3, 16, 16))
    first, second = (generator.decode(content, torch.randn(1, 3)) for _ in range(2))
    assert (first - second).abs().max() > 1e-3


def test_each_sample_is_decoded_in_its_own_style():
    generator = AdaINGenerator(**TINY)
    content, style = torch.randn(2, 8, 4, 4), torch.randn(2, 3)
    is_whole_batch = [generator.decode(content[i : i + 1], style[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(generator.decode(content, style), torch.cat(is_whole_batch))


def test_two_decodes_before_one_backward_give_the_gradients_of_two_passes():
    generator = AdaINGenerator(**TINY)
    content, styles = torch.randn(1, 8, 4, 4), torch.randn(2, 1, 3)

    def gradients(*losses):
        generator.zero_grad()
        for loss in losses:
            loss.backward()
        return [p.grad.clone() for p in generator.decoder.parameters() if p.grad is not None]

    separate = gradients(*(generator.decode(content, style).square().mean() for style in styles))
    images = [generator.decode(content, style) for style in styles]
    together = gradients(sum(image.square().mean() for image in images))
    assert any(gradient.any() for gradient in separate)
    torch.testing.assert_close(together, separate)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))]
)
@pytest.mark.parametrize("network", [AdaINGenerator, MultiScaleDiscriminator])
def test_a_network_can_be_duplicated_after_a_forward_pass(network, duplicate):
    sizes = TINY if network is AdaINGenerator else {"dim": 2, "num_scales": 1}
    original = network(**sizes)
    x = torch.randn(1, 3, 16, 16)
    expected = original(x)
    torch.testing.assert_close(duplicate(original)(x), expected)


def test_decoding_leaves_nothing_behind():
    generator = AdaINGenerator(**TINY)
    content, styles = torch.randn(1, 8, 4, 4), torch.randn(2, 1, 3)
    attributes = {name: set(vars(m)) for name, m in generator.named_modules()}
    state = copy.deepcopy(generator.state_dict())
    first = generator.decode(content, styles[0])
    generator.decode(content, styles[1])
    assert torch.equal(generator.decode(content, styles[0]), first)
    assert {name: set(vars(m)) for name, m in generator.named_modules()} == attributes
    assert generator.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in generator.state_dict().items())


def test_generator_is_the_same_in_training_and_in_evaluation():
    generator, x = AdaINGenerator(**TINY), torch.randn(2, 3, 16, 16)
    assert torch.equal(generator.train()(x), generator.eval()(x))


def test_generator_gives_codes_and_images_of_the_promised_shapes():
    for channels in [1, 3, 4]:
        for depth in [1, 2, 3]:
            for height, width in [(16, 16), (16, 40), (32, 24)]:
                generator = AdaINGenerator(channels, **TINY, num_downsample=depth)
                content, style = generator.encode(torch.randn(2, channels, height, width))
                assert content.shape == (2, 2 * 2**depth, height // 2**depth, width // 2**depth)
                assert style.shape == (2, 3)
                image = generator.decode(content, torch.randn(2, 3))
                assert image.shape == (2, channels, height, width)
                assert image.abs().max() <= 1


def test_generator_accepts_just_the_sizes_that_it_gives_back():
    for depth in [0, 1, 2, 3, 4]:
        for side in [8, 12, 14, 15, 16, 17, 18, 20, 24, 28, 31, 32, 34, 48, 66]:
            generator = AdaINGenerator(1, 1, 1, 1, depth, 1)

            def gives_back(*sides):
                try:
                    return generator(torch.randn(1, 1, *sides)).shape[2:] == sides
                except (RuntimeError, ValueError):
                    return False

            for sides in ((side, 32), (32, side)):
                assert accepts(generator, *sides) == gives_back(*sides)


def test_generator_says_why_it_refuses_a_size():
    for sides, message in [
        ((66, 64), "images of 66x64 .* both sides must be multiples of 4"),
        ((64, 66), "images of 64x66 .* multiples of 4"),
        ((12, 64), "images of 12x64 are too small for the generator: .* at least 16"),
    ]:
        with pytest.raises(ValueError, match=message):
            AdaINGenerator(**TINY).check_size(*sides)


def test_an_impossible_argument_is_refused_by_name():
    for network, argument, value in (
        [(AdaINGenerator, name, 0) for name in ("in_channels", "dim", "style_dim", "mlp_dim")]
        + [(AdaINGenerator, "num_res_blocks", 0), (AdaINGenerator, "num_downsample", -1)]
        + [
            (MultiScaleDiscriminator, name, 0)
            for name in ("in_channels", "dim", "num_layers", "num_scales")
        ]
        + [
            (network, "activation", "swish")
            for network in (AdaINGenerator, MultiScaleDiscriminator)
        ]
        + [
            (network, "padding_mode", "wrap")
            for network in (AdaINGenerator, MultiScaleDiscriminator)
        ]
        + [(MultiScaleDiscriminator, "norm", "group")]
    ):
        with pytest.raises(ValueError, match=f"{argument} is {value!r}, but must"):
            network(**{argument: value})


def test_biases_before_an_instance_norm_change_no_output():
    for padding_mode in ["reflect", "zeros"]:
        for part in ["content_encoder", "decoder.res_blocks"]:
            generator = AdaINGenerator(**TINY, padding_mode=padding_mode)
            x, style = torch.randn(1, 3, 32, 32), torch.randn(1, 3)

            def outputs():
                content, _ = generator.encode(x)
                return content, generator.decode(content, style)

            before = outputs()
            give_biases(generator.get_submodule(part))
            torch.testing.assert_close(outputs(), before, atol=1e-4, rtol=1e-4)


def test_other_biases_of_the_generator_do_change_its_outputs():
    generator, x = AdaINGenerator(**TINY), torch.randn(1, 3, 32, 32)
    before = generator.encode(x)[1], generator(x)
    give_biases(generator.style_encoder)
    give_biases(generator.decoder.to_image)
    after = generator.encode(x)[1], generator(x)
    assert all((b - a).abs().max() > 1e-2 for b, a in zip(before, after, strict=True))


@pytest.mark.parametrize(("height", "width"), [(256, 256), (64, 128)])
def test_discriminator_gives_one_map_of_logits_per_scale(height, width):
    with torch.device("meta"):
        logits = MultiScaleDiscriminator()(torch.empty(2, 3, height, width))
    sides = [(height // 2**i, width // 2**i) for i in (4, 5, 6)]
    assert [tuple(scale.shape) for scale in logits] == [(2, 1, *side) for side in sides]


def test_discriminator_reads_images_of_any_channels():
    for channels in [1, 3, 4]:
        logits = MultiScaleDiscriminator(channels, 2, num_layers=2)(
            torch.randn(2, channels, 32, 48)
        )
        assert [tuple(scale.shape[2:]) for scale in logits] == [(8, 12), (4, 6), (2, 3)]


def test_halving_keeps_a_constant_image_constant_to_its_corners():
    for side in [8, 9]:
        y = downsample(torch.full((1, 1, side, side), 0.7))
        torch.testing.assert_close(y, torch.full((1, 1, (side + 1) // 2, (side + 1) // 2), 0.7))


def test_halving_averages_the_pixels_around():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    # Rows of 4: a corner sees 0, 1, 4, 5; the next to the right 1 to 3 and 5 to 7.
    expected = torch.tensor([[2.5, 4.0], [8.5, 10.0]]).view(1, 1, 2, 2)
    torch.testing.assert_close(downsample(x), expected)


def test_each_scale_judges_the_image_halved_once_more():
    discriminator, x = MultiScaleDiscriminator(3, 2, 2, 3), torch.randn(1, 3, 32, 32)
    halved = x
    for scale, logits in zip(discriminator.scales, discriminator(x), strict=True):
        torch.testing.assert_close(logits, scale(halved))
        halved = downsample(halved)


def test_scales_are_independent_networks():
    discriminator, x = MultiScaleDiscriminator(3, 2, 2, 3), torch.randn(1, 3, 32, 32)
    discriminator(x)[1].sum().backward()
    moved = [any(p.grad is not None for p in scale.parameters()) for scale in discriminator.scales]
    assert moved == [False, True, False]
    weights = [scale[0].conv.weight for scale in discriminator.scales]
    assert not torch.equal(weights[0], weights[1])


def test_logits_are_not_bounded():
    discriminator = MultiScaleDiscriminator(3, 2, 2, 1)
    nn.init.constant_(discriminator.scales[0][-1].bias, 100.0)
    assert discriminator(torch.zeros(1, 3, 16, 16))[0].mean() > 50


@pytest.mark.parametrize(
    ("norm", "kind"),
    [
        ("none", "Identity"),
        ("batch", "BatchNorm2d"),
        ("instance", "InstanceNorm2d"),
        ("layer", "LayerNorm"),
        ("spectral", "Identity"),
    ],
)
def test_discriminator_with_any_norm_passes_a_gradient_and_leaves_its_first_layer_bare(norm, kind):
    discriminator = MultiScaleDiscriminator(3, 4, 3, 2, norm=norm)
    for scale in discriminator.scales:
        names = [type(block.norm).__name__ for block in scale[:-1]]
        assert names == ["Identity", kind, kind]
        spectral = [hasattr(block.conv, "parametrizations") for block in scale[:-1]]
        assert spectral == [False, norm == "spectral", norm == "spectral"]
    x = torch.randn(2, 3, 32, 32, requires_grad=True)
    torch.stack([logits.square().mean() for logits in discriminator(x)]).sum().backward()
    weights = [p for p in discriminator.parameters() if p.dim() == 4]
    for tensor in (x, *weights):
        assert tensor.grad.isfinite().all()
        assert tensor.grad.any()


def test_spectral_normalization_brings_the_largest_singular_value_to_one():
    discriminator = MultiScaleDiscriminator(3, 4, 3, 1, norm="spectral")
    with torch.no_grad():
        for block in discriminator.scales[0][1:-1]:
            block.conv.parametrizations.weight.original.mul_(7)
        for _ in range(30):
            discriminator(torch.randn(1, 3, 16, 16))
        for block in discriminator.scales[0][1:-1]:
            used = torch.linalg.matrix_norm(block.conv.weight.flatten(1), ord=2)
            assert used.item() == pytest.approx(1, abs=0.02)


def test_discriminator_accepts_just_the_sizes_that_it_can_judge():
    for norm in ["none", "layer"]:
        for layers, scales in [(1, 1), (2, 1), (4, 1), (2, 2), (2, 3), (4, 3)]:
            discriminator = MultiScaleDiscriminator(1, 1, layers, scales, norm)
            shortest = (2**layers - 1) * 2 ** (scales - 1) + 1

            def judges(*sides):
                try:
                    discriminator(torch.randn(1, 1, *sides))
                except (RuntimeError, ValueError):
                    return False
                return True

            for side in (shortest - 2, shortest - 1, shortest, shortest + 1, 2 * shortest):
                for sides in ((side, 64), (64, side)):
                    assert accepts(discriminator, *sides) == judges(*sides) == (side >= shortest)


def test_instance_norm_needs_more_than_one_pixel_to_the_last():
    """Over one pixel it would give 0 whatever the image, and PyTorch refuses."""
    for layers, scales in [(1, 1), (2, 1), (2, 2), (3, 3)]:
        discriminator = MultiScaleDiscriminator(1, 1, layers, scales, "instance").eval()
        for side in range(2, 40):
            try:
                discriminator(torch.randn(1, 1, side, side))
            except (RuntimeError, ValueError):
                assert not accepts(discriminator, side, side)
            else:
                assert accepts(discriminator, side, side)


def test_published_discriminator_refuses_60_pixels(published):
    published.check_size(64, 64)
    published.dis_a.check_size(61, 61)
    with pytest.raises(ValueError, match=r"60x64 are too small .* at least 61"):
        published.check_size(60, 64)


def test_batches_judged_at_once_are_judged_apart():
    for norm in ["none", "batch", "instance", "layer"]:
        dis = MultiScaleDiscriminator(3, 4, 2, 2, norm)
        x, y, smaller = (
            torch.randn(2, 3, 32, 32),
            torch.randn(2, 3, 32, 32),
            torch.randn(2, 3, 24, 32),
        )
        for batches in ((x, y), (x, smaller)):
            for logits, batch in zip(dis.score_batches(*batches), batches, strict=True):
                for scale, expected in zip(logits, dis(batch), strict=True):
                    torch.testing.assert_close(scale, expected)


def test_judged_at_once_is_one_pass_where_samples_are_independent(monkeypatch):
    passes = []
    monkeypatch.setattr(
        MultiScaleDiscriminator, "forward", lambda self, x: passes.append(len(x)) or [x]
    )
    x = torch.zeros(2, 3, 8, 8)
    MultiScaleDiscriminator(3, 4, 2, 2).score_batches(x, x)
    MultiScaleDiscriminator(3, 4, 2, 2, norm="batch").score_batches(x, x)
    assert passes == [4, 2, 2]
