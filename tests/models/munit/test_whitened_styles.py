"""Generators that whiten styles in eval mode, as ``generator.whiten_styles`` has them."""

import pytest
import torch
from runs import load
from training import LEAST, fit, images, weights

from munit_pl import MUNITModule, Translator
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.ema import WeightAverage
from munit_pl.inference.generator_loading import start_from
from munit_pl.models.base.description import export_generators


@pytest.fixture
def whitened(tiny):
    tiny["generator"]["whiten_styles"] = True
    return tiny


def trained(arguments, **options):
    torch.manual_seed(0)
    module = MUNITModule(**arguments)
    fit(module, **options)
    return module


def whitenings(module):
    return [gen.style_encoder.whitening for gen in (module.gen_a, module.gen_b)]


def test_training_is_what_it_is_without(tiny):
    plain = trained(tiny, steps=3)
    whitened = trained({**tiny, "generator": {**tiny["generator"], "whiten_styles": True}}, steps=3)
    for ours, theirs in zip(weights(plain), weights(whitened), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_training_takes_in_each_domains_styles_of_real_images_once_an_iteration(
    whitened, monkeypatch, accumulate
):
    torch.manual_seed(0)
    module = MUNITModule(**whitened, accumulate=accumulate)
    seen = []
    for gen in (module.gen_a, module.gen_b):
        monkeypatch.setattr(gen, "track_styles", seen.append)
    x_a, x_b = images(2, 0), images(2, 1)
    with torch.no_grad():
        expected = module.encode(x_a, "a")[1], module.encode(x_b, "b")[1]
    fit(module, steps=1, pairs=[(x_a, x_b)])
    assert len(seen) == 2
    for ours, theirs in zip(seen, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
        assert not ours.requires_grad


def test_validation_takes_nothing_in(whitened):
    module = MUNITModule(**whitened).eval()
    module.log_dict = lambda *args, **options: None
    with torch.no_grad():
        module.validation_step((images(2, 0), images(2, 1)), 0)
    for whitening in whitenings(module):
        assert torch.equal(whitening.scale, torch.eye(8))


def test_in_eval_mode_styles_are_whitened_and_an_images_own_gives_it_back_as_before(whitened):
    module = trained(whitened, steps=3)
    x = images(2, 5)
    with torch.no_grad():
        content, raw = module.encode(x, "b")
        before = module.decode(content, raw, "b")
        module.eval()
        content, style = module.encode(x, "b")
        after = module.decode(content, style, "b")
    whitening = whitenings(module)[1]
    torch.testing.assert_close(style, whitening.whiten(raw))
    assert not torch.allclose(style, raw, atol=1e-3)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)


def test_styles_drawn_in_eval_mode_are_colored(whitened):
    module = trained(whitened, steps=3)
    x, z = images(1, 5), torch.randn(1, 8)
    with torch.no_grad():
        content = module.encode(x, "a")[0]
        expected = module.decode(content, whitenings(module)[1].color(z), "b")
        torch.testing.assert_close(module.eval().translate(x, z), expected)


def test_a_checkpoint_its_average_an_export_and_a_folder_hold_it(tmp_path):
    torch.manual_seed(0)
    generator = {**LEAST["generator"], "whiten_styles": True}
    module = MUNITModule(**{**LEAST, "generator": generator})
    checkpoints = Checkpoints(tmp_path)
    fit(module, 4, callbacks=[WeightAverage(0.5), checkpoints], enable_checkpointing=True)
    checkpoint = load(tmp_path / "last.ckpt")
    for gen, whitening in zip(("gen_a", "gen_b"), whitenings(module), strict=True):
        assert not torch.equal(whitening.scale, torch.eye(8))
        for part in ("style_encoder", "decoder"):
            key = f"{part}.whitening.scale"
            assert torch.equal(checkpoint["averaged"][gen][key], whitening.scale)
            assert torch.equal(checkpoint["state_dict"][f"{gen}.{key}"], whitening.scale)

    x, z = images(1), torch.randn(1, 1, 8)
    expected = Translator.load(tmp_path / "last.ckpt", device="cpu").translate(x, z)
    again = MUNITModule.load_from_checkpoint(tmp_path / "last.ckpt")
    again.save_pretrained(tmp_path / "folder")
    export_generators(tmp_path / "export.safetensors", again.gen_a, again.gen_b)
    for form in ("folder", "export.safetensors"):
        translator = Translator.load(tmp_path / form, device="cpu")
        torch.testing.assert_close(translator.translate(x, z), expected)


def test_training_that_starts_from_a_model_without_it_begins_statistics_anew(tiny, tmp_path):
    trained = MUNITModule(**tiny)
    export_generators(tmp_path / "plain.safetensors", trained.gen_a, trained.gen_b)
    module = MUNITModule(**{**tiny, "generator": {**tiny["generator"], "whiten_styles": True}})
    start_from(module, tmp_path / "plain.safetensors")
    for ours, theirs in zip(weights(module.gen_b), weights(trained.gen_b), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(whitenings(module)[1].scale, torch.eye(8))
