"""Checkpoints written before the modules lay where they lie now (at commit 21a5404)."""

import pytest
import torch
from methods import METHODS
from recorded import REFERENCE
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from training import fit, images, make_trainer, pairs_of

from munit_pl.inference.generator_loading import read_generators

FOLDER = REFERENCE / "before_layout"  # README.md there says how they were made


@pytest.mark.parametrize("name", ["munit", "unit", "cyclegan"])
def test_an_earlier_checkpoint_loads_translates_and_goes_on(name):
    path, module = FOLDER / f"{name}.ckpt", METHODS[name].module
    loaded = module.load_from_checkpoint(path, weights_only=True).eval()
    z = torch.linspace(-1, 1, loaded.style_dim)[None]
    expected = load_file(FOLDER / "translations.safetensors")[name]
    with torch.no_grad():
        torch.testing.assert_close(loaded.translate(images(1), z), expected, atol=1e-5, rtol=0)
    read = read_generators(path)[1].eval().state_dict()
    torch.testing.assert_close(read, loaded.gen_b.state_dict(), atol=0, rtol=0)
    loop = make_trainer(max_steps=3, max_epochs=-1)
    loop.fit(loaded.train(), DataLoader(pairs_of(3), None), ckpt_path=path, weights_only=True)
    assert loop.global_step == 3


def test_an_earlier_bicyclegan_translates_but_has_other_discriminators():
    path = FOLDER / "bicyclegan.ckpt"
    with pytest.raises(ValueError, match=r"does not load as BicycleGANModule: .*scales\.1"):
        METHODS["bicyclegan"].module.load_from_checkpoint(path)
    gen_b = read_generators(path)[1].eval()
    z = torch.linspace(-1, 1, gen_b.style_dim)[None]
    expected = load_file(FOLDER / "translations.safetensors")["bicyclegan"]
    with torch.no_grad():
        torch.testing.assert_close(gen_b.decode(images(1), z), expected, atol=1e-5, rtol=0)


def test_settings_are_known_by_their_former_names():
    path = FOLDER / "munit.ckpt"
    noted = torch.load(path, weights_only=True)["hyper_parameters"]
    assert noted["diffaugment"] == ["colour"]
    settings = METHODS["munit"].module.load_from_checkpoint(path).hparams
    assert settings["weights"] == {}
    assert settings["recipes"] == {
        "ada": {"augmentations": ["color"], "target": 0.6, "length": 500_000},
        "r1": {"weight": 1.0, "every": 16},
        "consistency": {"weight": 1.0},
        "mode_seeking": {"weight": 1.0},
    }
    assert settings["initialization"] == noted["initialisation"]
    assert "initialisation" not in settings


def test_hyper_parameters_that_are_none_are_passed_over(tmp_path):
    path = tmp_path / "x.ckpt"
    module = METHODS["munit"].make()
    fit(module, 1).save_checkpoint(path)
    torch.save(torch.load(path, weights_only=True) | {"hyper_parameters": 3}, path)
    loop = make_trainer(max_steps=2, max_epochs=-1)
    loop.fit(module, DataLoader(pairs_of(2), None), ckpt_path=path, weights_only=True)
    assert loop.global_step == 2
    for held in ([1], {"state_dict": {}}, {"state_dict": {}, "hyper_parameters": 3}):
        torch.save(held, path)
        with pytest.raises(ValueError, match="does not load as MUNITModule"):
            METHODS["munit"].module.load_from_checkpoint(path)
