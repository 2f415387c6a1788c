import pytest
import torch

from munit_pl import DrawnDataModule, Translator, random_styles
from munit_pl.evaluation.measuring import measure
from munit_pl.evaluation.protocols.drawn_ground_truth import Drawn
from munit_pl.evaluation.task import EvaluationTask
from munit_pl.hub.model_lookup import find_model
from munit_pl.hub.pretrained import PRETRAINED, find_pretrained
from munit_pl.inference.generator_loading import read_generators


def test_the_drawn_shoes_come_with_the_package_in_three_megabytes():
    path = find_pretrained("drawn-shoes")
    assert path.stat().st_size <= 3_000_000
    translator = Translator.pretrained("drawn-shoes", device="cpu")
    x = torch.ones(1, 3, 64, 64)
    shown = translator.translate(x, random_styles(2, translator.style_dim("b"), seed=0))
    assert shown.shape == (1, 2, 3, 64, 64)
    assert shown.isfinite().all()


def test_its_weights_are_computed_with_in_full_precision():
    gens = read_generators(PRETRAINED["drawn-shoes"])
    assert {p.dtype for gen in gens for p in gen.parameters()} == {torch.float32}


@pytest.mark.slow
def test_it_keeps_shapes_and_follows_examples():
    datamodule = DrawnDataModule(size=(64, 64))
    domains = [datamodule.make_domains(split) for split in ("train", "test")]
    task = EvaluationTask(Translator.pretrained(device="cpu"), *domains)
    metrics = {f.key: f.value for f in measure(Drawn(inputs=16), task).metrics}
    assert metrics["a2b/silhouette_iou"] > 0.6
    assert metrics["a2b/guided_error"] < 0.8 * metrics["a2b/chance_error"]


def test_a_name_that_nothing_has_is_told_with_those_there_are():
    with pytest.raises(ValueError, match="no model 'boots' comes with munit_pl, but drawn-shoes"):
        Translator.pretrained("boots")


def test_files_of_the_users_own_come_before_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_model("drawn-shoes") == PRETRAINED["drawn-shoes"]
    (tmp_path / "drawn-shoes").mkdir()
    with pytest.raises(FileNotFoundError, match=r"folder drawn-shoes has no model\.safetensors"):
        find_model("drawn-shoes")
    (tmp_path / "drawn-shoes/model.json").touch()
    assert find_model("drawn-shoes").name == "model.json"
    (tmp_path / "drawn-shoes/model.safetensors").touch()
    assert find_model("drawn-shoes").name == "model.safetensors"
