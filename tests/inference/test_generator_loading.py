import json
from copy import deepcopy

import pytest
import torch
from lightning.pytorch import Trainer
from recorded import REFERENCE
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from munit_pl import MUNITModule, Translator, UNITModule
from munit_pl.callbacks.ema import WeightAverage
from munit_pl.inference.generator_loading import read_generators, start_from
from munit_pl.models.base.description import export_generators


def equal(generator, other):
    ours, theirs = generator.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.fixture
def module(tiny):
    tiny["generator"] |= {"activation": "lrelu", "padding_mode": "zeros"}
    return MUNITModule(input_channels_b=1, **tiny)


def test_a_checkpoint_of_training_gives_its_generators(module, tmp_path):
    trainer = Trainer(accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    gen_a, gen_b = read_generators(tmp_path / "last.ckpt")
    assert equal(gen_a, module.gen_a)
    assert equal(gen_b, module.gen_b)
    assert gen_a.arguments == module.gen_a.arguments
    assert gen_b.in_channels == 1


def test_a_checkpoint_with_averages_gives_these(module, tmp_path):
    trainer = Trainer(
        accelerator="cpu",
        max_steps=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[WeightAverage(decay=0.5)],
    )
    pairs = [(torch.rand(1, 3, 16, 16), torch.rand(1, 1, 16, 16))] * 3
    trainer.fit(module, DataLoader(pairs, batch_size=None))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    averaged = torch.load(tmp_path / "last.ckpt", weights_only=True)["averaged"]
    gen_a, _ = read_generators(tmp_path / "last.ckpt")
    assert all(torch.equal(w, averaged["gen_a"][key]) for key, w in gen_a.state_dict().items())
    assert not equal(gen_a, module.gen_a)


def test_a_kind_of_generator_that_nobody_knows_is_refused(module, tmp_path):
    description = {name: {"kind": "os.system", "arguments": {}} for name in ("gen_a", "gen_b")}
    torch.save({"state_dict": {}, "generators": description}, tmp_path / "c.ckpt")
    with pytest.raises(ValueError, match=r"c\.ckpt describes no gen_a that is known here: .*AdaIN"):
        read_generators(tmp_path / "c.ckpt")


def test_an_exported_model_is_the_model(module, tmp_path):
    export_generators(tmp_path / "m.safetensors", module.gen_a, module.gen_b)
    gen_a, gen_b = read_generators(tmp_path / "m.safetensors")
    assert equal(gen_a, module.gen_a)
    assert equal(gen_b, module.gen_b)
    assert gen_b.arguments == module.gen_b.arguments
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_the_originals_checkpoint_translates_as_recorded():
    case = REFERENCE / "munit_batch2"
    translator = Translator.load(next(case.glob("gen_*.pt")), device="cpu")
    module = MUNITModule.from_nvlabs(next(case.glob("gen_*.pt")))
    x, z = torch.rand(1, 3, 32, 32) * 2 - 1, torch.randn(1, translator.style_dim("b"))
    with torch.no_grad():
        expected = module.translate(x, z)
    torch.testing.assert_close(translator.translate(x, z)[:, 0], expected)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*nothing\.ckpt"):
        read_generators(tmp_path / "nothing.ckpt")


def test_files_of_other_kinds_are_told_apart(module, tmp_path):
    (tmp_path / "text").write_text("no model at all")
    with pytest.raises(ValueError, match="text is no checkpoint: it is damaged"):
        read_generators(tmp_path / "text")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="no model that munit_pl exported"):
        read_generators(tmp_path / "other.safetensors")
    export_generators(tmp_path / "cut.safetensors", module.gen_a, module.gen_b)
    whole = (tmp_path / "cut.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="no safetensors file, or a damaged one"):
        read_generators(tmp_path / "cut.safetensors")


def test_weights_of_another_size_than_described_are_refused(module, tmp_path):
    description = {
        name: {"kind": "AdaINGenerator", "arguments": module.get_submodule(name).arguments}
        for name in ("gen_a", "gen_b")
    }
    description["gen_a"]["arguments"]["dim"] = 8
    state = {
        f"{name}.{key}": tensor
        for name in ("gen_a", "gen_b")
        for key, tensor in module.get_submodule(name).state_dict().items()
    }
    save_file(state, tmp_path / "m.safetensors", {"munit_pl": json.dumps(description)})
    with pytest.raises(ValueError, match=r"m.safetensors does not fit the networks.*size mismatch"):
        read_generators(tmp_path / "m.safetensors")


@pytest.fixture
def saved(module, tmp_path):
    trainer = Trainer(accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    return tmp_path / "last.ckpt"


def test_networks_start_from_all_four_of_a_checkpoint(module, tiny, saved):
    fresh = MUNITModule(input_channels_b=1, **tiny)
    assert start_from(fresh, saved) == []
    for name in ("gen_a", "gen_b", "dis_a", "dis_b"):
        assert equal(fresh.get_submodule(name), module.get_submodule(name))


def test_discriminators_that_a_file_lacks_or_that_do_not_fit_stay_as_they_are(
    module, tiny, saved, tmp_path
):
    export_generators(tmp_path / "model.safetensors", module.gen_a, module.gen_b)
    tiny["discriminator"] |= {"num_scales": tiny["discriminator"].get("num_scales", 3) + 1}
    fresh = MUNITModule(input_channels_b=1, **tiny)
    before = deepcopy(fresh.dis_a)
    for file in (tmp_path / "model.safetensors", saved):
        assert start_from(fresh, file) == ["dis_a", "dis_b"]
        assert equal(fresh.gen_b, module.gen_b)
        assert equal(fresh.dis_a, before)


def test_a_model_of_other_sizes_or_of_another_method_is_refused_by_what_differs(
    saved, tiny, tmp_path
):
    with pytest.raises(ValueError, match=r"train it with model.input_channels_b=1$"):
        start_from(MUNITModule(**tiny), saved)
    tiny["generator"] |= {"style_dim": 3}
    with pytest.raises(ValueError, match=r"train it with model.generator.style_dim=\d$"):
        start_from(MUNITModule(input_channels_b=1, **tiny), saved)
    with pytest.raises(ValueError, match=r"is a model of MUNIT, and UNIT is to be trained$"):
        start_from(UNITModule(generator={"dim": 4, "num_res_blocks": 1}), saved)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ValueError, match="training cannot begin"):
        start_from(MUNITModule(**tiny), tmp_path / "model.json")
