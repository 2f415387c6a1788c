"""Generators that CycleGAN's authors' program saved."""

import pytest
import torch
from recorded import REFERENCE
from safetensors.torch import load_file

from munit_pl import Translator
from munit_pl.inference.generator_loading import read_generators

FOLDER = REFERENCE / "cyclegan_published"


def state_of(name):
    initial = load_file(FOLDER / "initial.safetensors")
    return {k.removeprefix(f"{name}."): w for k, w in initial.items() if k.startswith(f"{name}.")}


@pytest.fixture
def saved(tmp_path):
    for letter in "AB":
        torch.save(state_of(f"G_{letter}"), tmp_path / f"latest_net_G_{letter}.pth")
    return tmp_path / "latest_net_G_A.pth"


@torch.no_grad()
def test_both_directions_are_read_from_either_file(saved):
    inputs, forward = (load_file(FOLDER / f"{name}.safetensors") for name in ("inputs", "forward"))
    for path in (saved, saved.with_name("latest_net_G_B.pth")):
        gen_a, gen_b = read_generators(path)
        assert gen_a.arguments == gen_b.arguments
        assert gen_b.arguments["num_res_blocks"] == 9
        none = torch.empty(2, 0)
        fake_b = gen_b.eval().decode(inputs["real_A.0"], none)
        fake_a = gen_a.eval().decode(inputs["real_B.0"], none)
        torch.testing.assert_close(fake_b, forward["fake_B"], atol=1e-5, rtol=0)
        torch.testing.assert_close(fake_a, forward["fake_A"], atol=1e-5, rtol=0)
    translator = Translator.load(saved, device="cpu")
    translated = translator.translate(inputs["real_A.0"], torch.empty(1, 0))
    torch.testing.assert_close(translated.flatten(0, 1), fake_b, atol=1e-5, rtol=0)


def test_channels_that_differ_and_unused_statistics_are_read(tmp_path):
    """Of gray images to colored ones, by an early version of PyTorch."""
    for letter, out, into in (("A", 3, 1), ("B", 1, 3)):
        state = state_of("G_A")
        state["model.1.weight"] = state["model.1.weight"][:, :into]
        state |= {f"model.26.{k}": state[f"model.26.{k}"][:out] for k in ("weight", "bias")}
        state["model.2.running_mean"] = torch.zeros(4)
        torch.save(state, tmp_path / f"10_net_G_{letter}.pth")
    gen_a, gen_b = read_generators(tmp_path / "10_net_G_A.pth")
    assert (gen_a.in_channels, gen_b.in_channels) == (1, 3)


def test_what_cannot_be_read_is_told(saved):
    other = saved.with_name("latest_net_G_B.pth")
    state = state_of("G_B")
    for change, message in (
        ({"model.2.weight": torch.ones(4)}, "trained with --norm batch"),
        ({"model.26.weight": None, "model.26.bias": None}, "does not fit the networks"),
        ({"model.1.weight": None}, "holds no residual generator of CycleGAN"),
        ({"model.1.weight": 3}, "holds no weights: .model.1.weight. is 3"),
    ):
        changed = {k: w for k, w in (state | change).items() if w is not None}
        torch.save(changed, other)
        with pytest.raises(ValueError, match=message):
            read_generators(saved)


@torch.no_grad()
def test_one_file_alone_is_of_its_direction(saved):
    """That of a test model, and either of both without the other."""
    both = Translator.load(saved, device="cpu")
    x, none = torch.rand(1, 3, 16, 16) * 2 - 1, torch.empty(1, 0)
    for letter, name, to, source in (
        ("A", "10_net_G_A.pth", "b", "a"),
        ("B", "20_net_G_B.pth", "a", "b"),
        ("A", "latest_net_G.pth", "b", "a"),
    ):
        path = saved.with_name(name)
        torch.save(state_of(f"G_{letter}"), path)
        translator = Translator.load(path, device="cpu")
        assert translator.targets == (to,)
        assert torch.equal(translator.translate(x, none, to), both.translate(x, none, to))
        with pytest.raises(ValueError, match=f"translates from {source} to {to} alone"):
            translator.translate(x, none, source)
