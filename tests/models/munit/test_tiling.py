import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.flop_counter import FlopCounterMode

from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.models.munit.tiling import decode_tiled, encode_content_tiled, encode_style_tiled

EXACT = {
    torch.float64: {"atol": 1e-10, "rtol": 1e-10},
    torch.float32: {"atol": 1e-5, "rtol": 1e-5},
}


def make_generator(dtype=torch.float64, **options):
    generator = AdaINGenerator(dim=2, style_dim=3, mlp_dim=4, num_res_blocks=2, **options)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("beta"):
                parameter.normal_()
    return generator.to(dtype)


@torch.no_grad()
def in_one_piece(generator, x):
    content, style = generator.encode(x)
    return content, style, generator.decode(content, style)


def in_tiles(generator, x, tile):
    content = encode_content_tiled(generator.content_encoder, x, tile)
    style = encode_style_tiled(generator.style_encoder, x, tile)
    return content, style, decode_tiled(generator.decoder, content, style, tile)


def assert_the_same(generator, x, tile=16):
    pieces = zip(in_tiles(generator, x, tile), in_one_piece(generator, x), strict=True)
    for tiled, whole in pieces:
        torch.testing.assert_close(tiled, whole, **EXACT[x.dtype])


def test_tiles_make_up_what_the_networks_give():
    for padding_mode in ["reflect", "replicate", "zeros"]:
        for num_downsample in [0, 1, 2, 3]:
            generator = make_generator(num_downsample=num_downsample, padding_mode=padding_mode)
            assert_the_same(generator, torch.rand(2, 3, 72, 40, dtype=torch.float64) * 2 - 1)


def test_every_activation_is_applied_once():
    for activation in ["lrelu", "prelu", "selu", "tanh", "none"]:
        generator = make_generator(activation=activation, num_downsample=1)
        assert_the_same(generator, torch.rand(1, 3, 40, 24, dtype=torch.float64) * 2 - 1)


def test_styles_are_whitened_in_eval_mode():
    generator = make_generator(whiten_styles=True, num_downsample=1).eval()
    for _ in range(99):
        generator.track_styles(torch.randn(4, 3, dtype=torch.float64) * 0.1 + 2)
    x = torch.rand(1, 3, 40, 24, dtype=torch.float64) * 2 - 1
    assert_the_same(generator, x)
    whitened = encode_style_tiled(generator.style_encoder, x, 16)
    assert not torch.allclose(whitened, encode_style_tiled(generator.style_encoder.train(), x, 16))


def test_any_tile_fits_any_size_from_the_smallest_on():
    for tile in [16, 17, 32, 1000]:
        for size in [(16, 16), (16, 100), (52, 32)]:
            generator = make_generator(num_downsample=2)
            generator.check_size(*size)
            assert_the_same(generator, torch.rand(1, 3, *size, dtype=torch.float64) * 2 - 1, tile)


def test_sides_that_no_halving_divides_are_tiled_as_well():
    assert_the_same(make_generator(), torch.rand(1, 3, 37, 51, dtype=torch.float64) * 2 - 1)


def test_single_precision_differs_by_rounding_alone():
    assert_the_same(make_generator(torch.float32), torch.rand(2, 3, 72, 40) * 2 - 1)


def test_tiles_on_their_own_would_not_make_up_the_same():
    """Not even in the last column, which sees nothing beyond its tile but by the statistics."""
    generator, x = make_generator(), torch.rand(1, 3, 64, 64, dtype=torch.float64) * 2 - 1
    x[..., 32:] /= 4  # the right half is duller than the left
    content, style, shown = in_one_piece(generator, x)
    with torch.no_grad():
        content_alone = generator.content_encoder(x[..., 32:])
        shown_alone = generator.decoder(content[..., 8:], style)
    assert (content_alone[..., -1] - content[..., -1]).abs().max() > 0.1
    assert (shown_alone[..., -1] - shown[..., -1]).abs().max() > 0.01


def test_statistics_lose_no_digits_where_the_mean_is_far_from_zero():
    """The mean's square is 10**15 and 10**7 times the variance, more than either type holds.

    Normalizations take away what all channels have in common, so without it the outputs are the
    same.
    """
    generator = make_generator()
    blocks = [*generator.content_encoder.layers, *generator.decoder.up_blocks]
    x = torch.rand(1, 3, 72, 40, dtype=torch.float64) * 2 - 1

    def shift(by):
        for block in blocks:
            nn.init.constant_(block.conv.bias, by)

    shift(0.0)
    exact = in_one_piece(generator, x)
    for dtype, mean, fraction in ((torch.float64, 1e7, 1e-5), (torch.float32, 1e3, 2e-2)):
        shift(mean)
        for tiled, expected in zip(
            in_tiles(generator.to(dtype), x.to(dtype), 16), exact, strict=True
        ):
            assert (tiled.double() - expected).norm() < fraction * expected.norm()


def test_no_convolution_gives_more_than_a_tile(monkeypatch):
    conv2d, seen, given = F.conv2d, [], []

    def watched(x, *args):
        seen.append(max(x.shape[2:]))
        y = conv2d(x, *args)
        given.append(max(y.shape[2:]))
        return y

    generator = make_generator(torch.float32)
    monkeypatch.setattr(F, "conv2d", watched)
    in_tiles(generator, torch.rand(1, 3, 88, 104), 20)
    assert max(given) == 20
    assert max(seen) == 2 * 19 + 4  # by a kernel of 4 with a step of 2


def test_tiles_of_64_pixels_take_at_most_an_eighth_more_arithmetic_to_decode():
    """A tile of a doubled map is 32 values wide, beside a margin of one on each side: 34 / 32."""
    decoder, content, style = (
        make_generator(torch.float32).decoder,
        torch.randn(1, 8, 48, 48),
        torch.randn(1, 3),
    )
    with torch.no_grad(), FlopCounterMode(display=False) as whole:
        decoder(content, style)
    with FlopCounterMode(display=False) as tiled:
        decode_tiled(decoder, content, style, 64)
    assert tiled.get_total_flops() <= (34 / 32) ** 2 * whole.get_total_flops()


def test_inputs_are_left_as_they_are():
    generator = make_generator(torch.float32)
    x, content, style = torch.randn(1, 3, 24, 24), torch.randn(1, 8, 24, 24), torch.randn(1, 3)
    before = [t.clone() for t in (x, content, style)]
    in_tiles(generator, x, 16)
    decode_tiled(generator.decoder, content, style, 16)
    for after, expected in zip((x, content, style), before, strict=True):
        assert torch.equal(after, expected)


def test_no_gradient_is_recorded():
    outputs = in_tiles(make_generator(torch.float32), torch.rand(1, 3, 24, 24), 16)
    assert not any(output.requires_grad for output in outputs)


def test_autocast_gives_the_types_and_nearly_the_values_of_the_networks():
    generator, x = make_generator(torch.float32), torch.rand(1, 3, 72, 40) * 2 - 1
    exact = in_one_piece(generator, x)
    with torch.autocast("cpu", torch.bfloat16):
        tiled, whole = in_tiles(generator, x, 16), in_one_piece(generator, x)
    for y, same, expected in zip(tiled, whole, exact, strict=True):
        assert y.dtype == same.dtype == torch.bfloat16
        # As far from single precision as the networks themselves.
        error, usual = ((t - expected).square().mean().sqrt() for t in (y, same))
        assert error < 1.5 * usual + 1e-3


def test_spectral_normalization_moves_on_by_one_iteration():
    encoder = make_generator().content_encoder
    for block in encoder.layers:
        spectral_norm(block.conv)
    twin, x = copy.deepcopy(encoder), torch.rand(1, 3, 40, 40, dtype=torch.float64)
    with torch.no_grad():
        whole = twin(x)
    torch.testing.assert_close(encode_content_tiled(encoder, x, 16), whole, **EXACT[x.dtype])
    for name, buffer in twin.named_buffers():
        assert torch.equal(encoder.get_buffer(name), buffer)


def test_a_tile_of_less_than_16_pixels_is_refused():
    for tile in [15, 0, -16]:
        generator, x = make_generator(torch.float32), torch.rand(1, 3, 16, 16)
        content, style, _ = in_one_piece(generator, x)
        for call in (
            lambda: encode_content_tiled(generator.content_encoder, x, tile),
            lambda: encode_style_tiled(generator.style_encoder, x, tile),
            lambda: decode_tiled(generator.decoder, content, style, tile),
        ):
            with pytest.raises(ValueError, match=f"tile is {tile} pixels, but must be at least 16"):
                call()


def test_an_image_that_halving_leaves_nothing_of_is_refused():
    encoder = make_generator(torch.float32, padding_mode="zeros").style_encoder
    with pytest.raises(ValueError, match="the image is too small"):
        encode_style_tiled(encoder, torch.rand(1, 3, 8, 40), 16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_computes_tiles_of_maps_that_stay_on_the_host():
    generator, x = make_generator(), torch.rand(1, 3, 72, 40, dtype=torch.float64)
    expected = in_one_piece(generator, x)
    generator.cuda()
    for tiled, whole in zip(in_tiles(generator, x, 16), expected, strict=True):
        assert tiled.device.type == "cpu"
        torch.testing.assert_close(tiled, whole, atol=1e-8, rtol=1e-8)
    for tiled in in_tiles(generator, x.cuda(), 16):
        assert tiled.device.type == "cuda"
