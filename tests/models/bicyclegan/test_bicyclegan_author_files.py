"""Networks that BicycleGAN's authors' program saved."""

import re

import pytest
import torch
from recorded import REFERENCE
from safetensors.torch import load_file

from munit_pl import Translator, random_styles
from munit_pl.inference.generator_loading import read_generators, start_from

FOLDER = REFERENCE / "bicyclegan_halves"
NAME = "latest_net_G.pth"


def state_of(network):
    initial = load_file(FOLDER / "initial.safetensors")
    prefix = f"{network}."
    return {k.removeprefix(prefix): w for k, w in initial.items() if k.startswith(prefix)}


def with_style_in_input(state):
    """Give a generator the names and shapes of one whose image alone is given the style."""
    changed = {}
    levels = max(name.count("submodule.") for name in state)
    for name, weight in state.items():
        level, end = name.count("submodule."), name.rpartition(".")[2]
        down = "down" in name
        if down and level and end == "weight":
            weight = weight[:, :-8].contiguous()
        if level == 0:
            ours = f"model.model.{0 if down else 3}"
        else:
            last = 1 if down else 3 if level == levels else 5
            ours = f"model.model.1.{'model.3.' * (level - 1)}model.{last}"
        changed[f"{ours}.{end}"] = weight
    return changed


@pytest.fixture
def saved(tmp_path):
    torch.save(state_of("G"), tmp_path / NAME)
    torch.save(state_of("E"), tmp_path / "latest_net_E.pth")
    return tmp_path / NAME


@torch.no_grad()
def test_translations_and_styles_are_the_recorded_ones(saved):
    inputs, forward = (load_file(FOLDER / f"{name}.safetensors") for name in ("inputs", "forward"))
    x_a, x_b = (inputs[f"real_{d}.0"][:1].float() / 127.5 - 1 for d in "AB")
    translator = Translator.load(saved, device="cpu")
    style = translator.encode_style(x_b, "b")
    torch.testing.assert_close(style, forward["mu"], atol=1e-5, rtol=0)
    for style, expected in (
        (inputs["z_random.0"], "fake_B_random"),
        (forward["z_encoded"], "fake_B_encoded"),
    ):
        shown = translator.translate(x_a, style)[:, 0]
        torch.testing.assert_close(shown, forward[expected], atol=1e-5, rtol=0)
    followed = translator(x_a, like=x_b)[:, 0]
    torch.testing.assert_close(followed, translator.translate(x_a, forward["mu"])[:, 0])


def test_a_generator_without_its_encoder_translates_under_random_styles(saved):
    x, styles = torch.rand(1, 3, 64, 96) * 2 - 1, random_styles(2, 8, 0)
    expected = Translator.load(saved, device="cpu").translate(x, styles)
    saved.with_name("latest_net_E.pth").unlink()
    translator = Translator.load(saved, device="cpu")
    assert torch.equal(translator.translate(x, styles), expected)
    assert not translator.reads_styles
    with pytest.raises(ValueError, match="this model reads no style from an image"):
        translator(x, like=x)


def test_it_is_of_one_direction(saved):
    translator = Translator.load(saved, device="cpu")
    assert translator.targets == ("b",)
    assert translator.reads_styles
    x = torch.zeros(1, 3, 64, 64)
    for translated in (
        lambda: translator(x, to="a"),
        lambda: translator.translate(x, torch.zeros(1, 0), "a"),
        lambda: translator.decode(x, torch.zeros(1, 0), "a"),
    ):
        with pytest.raises(ValueError, match="this model translates from a to b alone"):
            translated()
    with pytest.raises(ValueError, match="is of one direction, and training is of both"):
        start_from(None, saved)


def test_gray_images_and_styles_in_the_input_are_read(saved):
    state = with_style_in_input(state_of("G"))
    state["model.model.0.weight"] = state["model.model.0.weight"][:, 2:].contiguous()
    torch.save(state, saved)
    gen_a, gen_b = read_generators(saved)
    assert (gen_a.in_channels, gen_b.in_channels) == (1, 3)
    assert (gen_b.arguments["inject"], gen_b.style_dim) == ("input", 8)
    assert gen_b.decoder(torch.zeros(1, 1, 64, 64), torch.zeros(1, 8)).shape == (1, 3, 64, 64)
    saved.with_name("latest_net_E.pth").unlink()
    with pytest.raises(ValueError, match=r"how long a style is.*put the .*_net_E.pth"):
        read_generators(saved)


def test_what_cannot_be_read_is_told(saved):
    encoder, state, read = saved.with_name("latest_net_E.pth"), state_of("G"), state_of("E")
    with pytest.raises(ValueError, match=r"holds an encoder of styles: give the \*_net_G.pth"):
        read_generators(encoder)
    for file, good, change, message in (
        (
            saved,
            state,
            {"model.submodule.down.2.weight": torch.ones(4)},
            "trained with --norm batch",
        ),
        (saved, state, {"model.up.1.weight": None}, "its outermost layers are missing"),
        (saved, state, {"model.up.1.weight": 3}, "holds no weights: .model.up.1.weight. is 3"),
        (
            saved,
            state,
            {"model.up.3.weight": torch.ones(1, 1)},
            "is no U-Net .* 'model.up.3.weight'",
        ),
        (saved, state, {"model.up.1.bias": torch.ones(5)}, "size mismatch, decoder.up.0.1.bias"),
        (
            encoder,
            read,
            {"conv.9.weight": torch.ones(1)},
            "is no residual encoder .*'conv.9.weight'",
        ),
        (encoder, read, {"fc.0.weight": None}, "is no residual encoder"),
        (encoder, read, {"fc.0.weight": torch.ones(5, 12)}, "size mismatch, style_encoder.mean"),
    ):
        torch.save({k: w for k, w in (good | change).items() if w is not None}, file)
        with pytest.raises(ValueError, match=message) as raised:
            read_generators(saved)
        assert "\n" not in str(raised.value)
        torch.save(good, file)
    read_generators(saved)
    encoder.write_bytes(encoder.read_bytes()[:900])
    with pytest.raises(ValueError, match=re.escape(str(encoder))):
        read_generators(saved)
