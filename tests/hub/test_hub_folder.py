import json
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from munit_pl import MUNIT, MUNITModule, Translator
from munit_pl.hub import weights
from munit_pl.hub.card import Facts


@pytest.fixture
def networks(tiny):
    return MUNIT(input_channels_b=1, **tiny)


def equal(network, other):
    ours, theirs = network.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("norm", ["none", "spectral", "batch"])
def test_networks_that_are_saved_are_read_again(tiny, tmp_path, norm):
    tiny["discriminator"]["norm"] = norm
    networks = MUNIT(input_channels_b=1, **tiny)
    networks.save_pretrained(tmp_path)
    again = MUNIT.from_pretrained(tmp_path)
    assert equal(networks, again)
    assert not again.training
    x = torch.rand(1, 1, 32, 32)
    for ours, theirs in zip(networks.eval().dis_b(x), again.dis_b(x), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_module_for_training_reads_the_same_folder(networks, tmp_path):
    networks.save_pretrained(tmp_path)
    assert equal(networks, MUNITModule.from_pretrained(tmp_path))


def test_the_folder_translates(networks, tmp_path):
    networks.save_pretrained(tmp_path)
    translator = Translator.load(tmp_path, device="cpu")
    x, z = torch.rand(2, 3, 16, 16) * 2 - 1, torch.randn(2, 8)
    with torch.no_grad():
        expected = networks.translate(x, z)
    torch.testing.assert_close(translator.translate(x, z[:, None])[:, 0], expected)


def test_half_precision_takes_half_and_is_read_as_float32_of_rounded_weights(networks, tmp_path):
    networks.save_pretrained(tmp_path / "whole")
    networks.save_pretrained(tmp_path / "half", half=True)
    sizes = [(tmp_path / f / "model.safetensors").stat().st_size for f in ("whole", "half")]
    numbers = sum(w.numel() for w in networks.state_dict().values())
    assert sizes[0] - sizes[1] == pytest.approx(2 * numbers, abs=300)  # of the header's spelling
    again = MUNIT.from_pretrained(tmp_path / "half").state_dict()
    for name, weight in networks.state_dict().items():
        assert torch.equal(again[name], weight.half().float())


def test_weights_that_half_precision_does_not_hold_are_refused(networks, tmp_path):
    with torch.no_grad():
        networks.gen_a.decoder.mlp[0].bias[0] = 1e5
    with pytest.raises(ValueError, match=r"gen_a\.decoder\.mlp\.0\.bias"):
        networks.save_pretrained(tmp_path, half=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("half", [False, True])
def test_weights_that_diverged_are_not_saved(networks, tmp_path, half):
    with torch.no_grad():
        networks.gen_b.decoder.mlp[0].bias[0] = torch.nan
    with pytest.raises(ValueError, match=r"gen_b\.decoder\.mlp\.0\.bias holds NaN"):
        networks.save_pretrained(tmp_path, half=half)
    assert not list(tmp_path.iterdir())


def test_others_can_read_what_was_saved(networks, tmp_path):
    networks.save_pretrained(tmp_path)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {
        (tmp_path / "README.md").stat().st_mode & 0o077
    }


def test_the_configuration_holds_every_argument_defaults_too(tmp_path, tiny):
    MUNIT(**tiny).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())["munit"]
    assert config["generator"]["activation"] == "relu"
    assert config["discriminator"] == tiny["discriminator"] | {
        "norm": "none",
        "activation": "lrelu",
        "padding_mode": "reflect",
        "global_discriminator": False,
    }
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        described = json.loads(file.metadata()["munit_pl"])
    assert described["gen_a"]["arguments"] == config["generator"] | {"in_channels": 3}


def edit(folder, **changes):
    """Change arguments in a saved configuration; a dot leads into a mapping."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name, value in changes.items():
        first, _, second = name.partition("__")
        if second:
            config["munit"][first][second] = value
        else:
            config["munit"][first] = value
    path.write_text(json.dumps(config))


def test_a_configuration_that_the_tensors_belie_is_refused(networks, tmp_path):
    for changes, message in [
        ({"generator__dim": 10**9}, "dim is 1000000000, but its tensors are fewer or smaller"),
        ({"generator__dim": 5}, "size mismatch"),
        ({"generator__num_res_blocks": 10**9}, "tensors are fewer"),
        ({"generator__activation": "os.system"}, "activation is 'os.system'"),
        ({"discriminator__num_scales": 10**6}, "tensors are fewer"),
        ({"discriminator__dim": [3]}, "dim is a list"),
        ({"discriminator__other": 1}, "no argument 'other'"),
        ({"input_channels_a": 10**12}, "in_channels is 1000000000000"),
        ({"input_channels_a": "3"}, "describes no MUNIT"),
        ({"generator": None}, "describes no MUNIT"),
        ({"generator__in_channels": 3}, "describes no MUNIT"),
        ({"initialization": {}}, "describes no MUNIT"),
    ]:
        networks.save_pretrained(tmp_path)
        edit(tmp_path, **changes)
        with pytest.raises(ValueError, match=message) as told:
            MUNIT.from_pretrained(tmp_path)
        assert "\n" not in str(told.value)


def test_tensors_that_no_network_has_are_refused(networks, tmp_path):
    networks.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    save_file({**load_file(path), "more": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="there is a 'more', which the networks do not have"):
        MUNIT.from_pretrained(tmp_path)


def test_weights_that_are_no_numbers_are_refused(networks, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "check_finite_weights", lambda _: None)  # by another program
    with torch.no_grad():
        networks.dis_a.scales[0][0].conv.weight[0, 0, 0, 0] = torch.nan
    networks.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"dis_a.*NaN"):
        MUNIT.from_pretrained(tmp_path)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(networks, tmp_path, missing):
    networks.save_pretrained(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no {missing}"):
        MUNIT.from_pretrained(tmp_path)


def test_a_configuration_that_is_none_is_refused(networks, tmp_path):
    networks.save_pretrained(tmp_path)
    for text, message in (("{", "broken JSON"), ("[]", "no MUNIT"), (" " * 2**21, "1 MiB")):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            MUNIT.from_pretrained(tmp_path)


def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        MUNIT.from_pretrained(tmp_path / "none")


def test_the_card_says_what_was_given(networks, tmp_path):
    facts = Facts("cats and dogs", {"FID": 12.3456}, "on 500 photos", "mit")
    networks.save_pretrained(tmp_path, facts)
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: munit_pl\n")
    assert '\nlicense: "mit"\n---\n' in card
    assert "Trained on: cats and dogs." in card
    assert "Measured on 500 photos:" in card
    assert "| FID | 12.35 |" in card
    assert "MUNIT.from_pretrained" in card
