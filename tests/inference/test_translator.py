import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from munit_pl.inference import execution as inference
from munit_pl.inference.precision_choice import Choice
from munit_pl.inference.styles import random_styles
from munit_pl.inference.tensor_translator import TranslatorOptions
from munit_pl.inference.translator import Translator
from munit_pl.layers.initialization import initialize
from munit_pl.models.munit.networks import AdaINGenerator

SMALL = {"dim": 4, "mlp_dim": 8, "num_res_blocks": 1}


@pytest.fixture
def gens():
    gens = AdaINGenerator(3, **SMALL), AdaINGenerator(3, **SMALL)
    for gen in gens:
        initialize(gen, "kaiming")
    return gens


@pytest.fixture
def translator(gens):
    return Translator(*gens, device="cpu")


def images(*size, n=2):
    return torch.rand(n, 3, *size) * 2 - 1


@torch.no_grad()
def test_each_image_is_shown_in_each_style_as_the_networks_alone_show_it(translator, gens):
    x, z = images(16, 24, n=3), torch.randn(5, 8)
    shown = translator.translate(x, z, "b")
    assert shown.shape == (3, 5, 3, 16, 24)
    for i in range(3):
        for k in range(5):
            alone = gens[1].decode(gens[0].content_encoder(x[i : i + 1]), z[k : k + 1])
            torch.testing.assert_close(shown[i, k], alone[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_each_image_can_have_styles_of_its_own(translator):
    x, z = images(16, 16, n=2), torch.randn(2, 3, 8)
    own = translator.translate(x, z, "a")
    for i in range(2):
        alone = translator.translate(x[i : i + 1], z[i], "a")[0]
        torch.testing.assert_close(own[i], alone, atol=1e-5, rtol=1e-5)


def test_the_content_is_encoded_once_for_all_styles(translator, gens):
    encoded = []
    gens[0].content_encoder.register_forward_hook(lambda _, inputs, __: encoded.extend(inputs[0]))
    translator.translate(images(16, 16, n=3), torch.randn(10, 8), "b")
    assert len(encoded) == 3


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_batches_change_nothing_but_rounding(gens, batch_size):
    x, z = images(16, 16, n=3), torch.randn(4, 8)
    whole = Translator(*gens, device="cpu", batch_size=12).translate(x, z)
    split = Translator(*gens, device="cpu", batch_size=batch_size).translate(x, z)
    torch.testing.assert_close(split, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (25, 33), (17, 18), (19, 40)])
def test_any_size_comes_back(translator, size):
    x, z = images(*size), torch.randn(2, 8)
    assert translator.translate(x, z).shape == (2, 2, 3, *size)
    assert translator.reconstruct(x, "a").shape == x.shape


def test_what_is_padded_is_cut_off_again_in_place(translator):
    """A picture and its mirror image in both axes are translated alike only if it is centered."""
    x, z = images(18, 22, n=1), torch.randn(1, 8)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
    whole = translator.translate(padded, z)[..., 1:-1, 1:-1]
    torch.testing.assert_close(translator.translate(x, z), whole)


@torch.no_grad()
def test_reconstruction_is_the_auto_encoder(translator, gens):
    x = images(16, 16)
    torch.testing.assert_close(translator.reconstruct(x, "b"), gens[1](x), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_an_examples_style_is_the_style_encoders(translator, gens):
    x = images(21, 35, n=9)
    torch.testing.assert_close(translator.encode_style(x, "b"), gens[1].style_encoder(x))


def test_tiles_give_the_whole_image(gens):
    x, z = images(72, 50, n=1), torch.randn(2, 8)
    whole = Translator(*gens, device="cpu")
    tiled = Translator(*gens, device="cpu", tile=16)
    torch.testing.assert_close(tiled.translate(x, z), whole.translate(x, z), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        tiled.encode_style(x, "a"), whole.encode_style(x, "a"), atol=1e-5, rtol=1e-5
    )


def test_load_passes_on_every_option_of_the_class():
    arguments = inspect.signature(Translator).parameters.values()
    options = {one.name for one in arguments if one.kind is one.KEYWORD_ONLY}
    assert TranslatorOptions.__annotations__.keys() == options


def test_auto_computes_in_what_the_device_is_faster_in_and_says_why(gens, monkeypatch):
    x, z = images(16, 16), torch.randn(2, 8)
    for bf16, name in ((True, "bf16"), (False, "fp32")):
        choice = Choice(bf16, f"{name} is faster")
        monkeypatch.setattr(inference, "choose_precision", lambda *_, c=choice, **__: c)
        translator = Translator(*gens, device="cpu", precision="auto")
        assert (translator.precision, translator.precision_reason) == (name, f"{name} is faster")
        named = Translator(*gens, device="cpu", precision=name)
        assert torch.equal(translator.translate(x, z), named.translate(x, z))
        assert named.precision_reason == ""


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_and_comes_as_float32(gens, precision):
    x, z = images(16, 16), torch.randn(2, 8)
    exact = Translator(*gens, device="cpu").translate(x, z)
    half = Translator(*gens, device="cpu", precision=precision).translate(x, z)
    assert half.dtype == torch.float32
    assert not torch.equal(half, exact)
    assert (half - exact).abs().mean() < 0.1


@torch.no_grad()
@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_weights_held_in_half_precision_give_what_autocast_gives(gens, precision, dtype):
    x, z = images(16, 24, n=1), torch.randn(1, 8)
    shown = Translator(*gens, device="cpu", precision=precision).translate(x, z)
    with torch.autocast("cpu", dtype):
        expected = gens[1].decoder(gens[0].content_encoder(x), z)
    assert torch.equal(shown[0], expected.float())
    assert all(p.dtype == torch.float32 for gen in gens for p in gen.parameters())


@torch.no_grad()
def test_in_half_precision_no_weight_is_cast_again(gens):
    class Casts(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.shapes = set()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten._to_copy.default:
                self.shapes.add(args[0].shape)
            return func(*args, **(kwargs or {}))

    x, z = images(16, 24, n=1), torch.randn(1, 8)
    weights = {p.shape for gen in gens for p in gen.parameters() if p.ndim == 4}
    with torch.autocast("cpu", torch.bfloat16), Casts() as usual:
        gens[1].decoder(gens[0].content_encoder(x), z)
    assert usual.shapes & weights
    translator = Translator(*gens, device="cpu", precision="bf16")
    with Casts() as held:
        translator.translate(x, z)
    assert not held.shapes & weights


def test_threads_that_share_a_translator_get_what_each_gets_alone(translator):
    x = images(24, 24, n=1)
    styles = [random_styles(3, 8, seed) for seed in range(8)]
    alone = [translator.translate(x, z) for z in styles]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda z: translator.translate(x, z), styles * 4))
    for i, shown in enumerate(together):
        assert torch.equal(shown, alone[i % 8])


def test_tiles_and_compiled_networks_are_one_or_the_other(gens):
    with pytest.raises(ValueError, match="tile computes layer by layer, which compile does not"):
        Translator(*gens, device="cpu", compile=True, tile=64)


def test_compiled_networks_are_those_of_the_translator(gens, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda part: compiled.append(part))
    Translator(*gens, device="cpu", compile=True)
    assert [type(part).__name__ for part in compiled] == 2 * [
        "ContentEncoder",
        "StyleEncoder",
        "Decoder",
    ]


def test_domains_may_differ_in_channels():
    gray, color = AdaINGenerator(1, **SMALL), AdaINGenerator(3, **SMALL)
    translator = Translator(gray, color, device="cpu")
    assert translator.translate(torch.zeros(1, 1, 16, 16), torch.randn(1, 8), "b").shape[2] == 3
    assert translator.translate(torch.zeros(1, 3, 16, 16), torch.randn(1, 8), "a").shape[2] == 1
    with pytest.raises(ValueError, match=r"domain a are \(N, 1, H, W\).*\(1, 3, 16, 16\)"):
        translator.translate(images(16, 16, n=1), torch.randn(1, 8), "b")


@pytest.mark.parametrize("size", [(1, 1), (15, 64), (64, 8)])
def test_an_image_too_small_for_the_networks_is_refused(translator, size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]} is too small.*at least 16 pixels"):
        translator.translate(images(*size), torch.randn(1, 8))


@pytest.mark.parametrize("shape", [(8,), (2, 7), (3, 2, 8), (1, 1, 1, 8)])
def test_styles_of_another_shape_are_refused(translator, shape):
    with pytest.raises(ValueError, match=r"styles for 2 images are \(K, 8\) or \(2, K, 8\)"):
        translator.translate(images(16, 16), torch.randn(shape))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"precision": "int8"}, "precision is 'int8', but must be auto, fp32, bf16 or fp16"),
        ({"batch_size": 0}, "batch_size is 0, but must be at least 1"),
        ({"device": "abacus"}, "there is no device 'abacus' here"),
        ({"tile": 15}, "tile is 15 pixels, but must be at least 16"),
    ],
)
def test_options_out_of_range_are_refused(gens, option, message):
    with pytest.raises(ValueError, match=message):
        Translator(*gens, **{"device": "cpu", **option})


def test_an_unknown_domain_is_refused(translator):
    with pytest.raises(ValueError, match="the domain is 'c', but must be a or b"):
        translator.translate(images(16, 16), torch.randn(1, 8), "c")


def test_on_a_cpu_one_image_is_decoded_at_a_time_unless_told_otherwise(gens):
    assert Translator(*gens, device="cpu").batch_size == 1
    assert Translator(*gens, device="cpu", batch_size=8).batch_size == 8


@pytest.fixture
def of_method(method):
    module = method.make(input_channels_a=1)
    return Translator(module.gen_a, module.gen_b, device="cpu", batch_size=2)


def test_contents_decoded_are_translations(of_method):
    x, z = torch.rand(3, 1, 16, 24) * 2 - 1, torch.randn(4, of_method.style_dim("b"))
    content = of_method.encode_content(x, "a")
    assert torch.equal(of_method.decode(content, z, "b"), of_method.translate(x, z, "b"))
    own = torch.randn(3, 2, of_method.style_dim("b"))
    assert torch.equal(of_method.decode(content, own, "b"), of_method.translate(x, own, "b"))


@pytest.mark.parametrize("method", ["munit", "unit"], indirect=True)
def test_contents_decoded_in_their_own_domain_and_style_are_reconstructions(of_method):
    x = images(16, 16)
    style = of_method.encode_style(x, "b") if of_method.reads_styles else torch.empty(2, 0)
    shown = of_method.decode(of_method.encode_content(x, "b"), style[:, None], "b")[:, 0]
    assert torch.equal(shown, of_method.reconstruct(x, "b"))


def test_contents_are_those_of_the_network_and_of_whole_images_alone(translator, gens):
    x = images(16, 24, n=3)
    with torch.no_grad():
        expected = gens[0].content_encoder(x)
    torch.testing.assert_close(translator.encode_content(x, "a"), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="multiples of 4"):  # padding would be encoded, too
        translator.encode_content(images(16, 18), "a")


def test_what_a_method_has_is_told(of_method, method):
    assert (of_method.style_dim("b") > 0) == ("styles" in method.has)
    assert of_method.reads_styles == ("examples" in method.has)
    assert of_method.reconstructs == ("content" in method.has)


@pytest.mark.parametrize(
    "method", ["unit", "cyclegan", "noisy_cyclegan", "bicyclegan"], indirect=True
)
def test_only_munits_networks_are_tiled(method):
    module = method.make()
    with pytest.raises(ValueError, match="tile is 64, but only MUNIT's networks can be tiled"):
        Translator(module.gen_a, module.gen_b, device="cpu", tile=64)


@pytest.mark.parametrize("method", ["cyclegan", "bicyclegan"], indirect=True)
def test_without_content_codes_nothing_is_reconstructed(of_method):
    with pytest.raises(ValueError, match="no codes to reconstruct from"):
        of_method.reconstruct(images(16, 16), "b")


@pytest.mark.parametrize("method", ["unit", "noisy_cyclegan"], indirect=True)
def test_without_a_style_encoder_no_style_is_read(of_method):
    with pytest.raises(ValueError, match="reads no style from an image"):
        of_method.encode_style(images(16, 16), "b")
