"""Every method through the commands: trained, translated with, evaluated, exported."""

import json
import re

import pytest
import torch
from composing import composed
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from munit_pl import Translator
from munit_pl.commands import evaluate as evaluate_file
from munit_pl.commands.evaluate import main as evaluate
from munit_pl.commands.train import train
from munit_pl.commands.translate import main as translate
from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.evaluation.protocols.drawn_ground_truth import Drawn
from munit_pl.evaluation.protocols.registry import PROTOCOLS
from munit_pl.evaluation.protocols.starganv2_fid_lpips import StarGANv2
from munit_pl.inference.generator_loading import read_generators
from munit_pl.metrics.lpips import FeatureDistance
from munit_pl.models.base.description import export_generators

DATA = ["data.size=[16,16]", "data.length=6", "data.test_length=2"]


@pytest.fixture(scope="module")
def run(method, tmp_path_factory):
    """The folder of a run of two iterations."""
    folder = tmp_path_factory.mktemp("run")
    settings = [
        *method.overrides,
        *DATA,
        "data.batch_size=2",
        "callbacks=[default,drawn_report]",
        "callbacks.grid.every_n_steps=2",
        "~callbacks.bar",
        "trainer.accelerator=cpu",
        "trainer.max_steps=2",
        "trainer.log_every_n_steps=1",
        f"output_dir={folder}",
    ]
    train(composed("train", *settings))
    return folder


@pytest.fixture
def checkpoint(run):
    return run / "checkpoints" / "last.ckpt"


def test_training_leaves_grids_and_the_drawn_shoes_metrics(run):
    assert sorted(path.name for path in (run / "grids").iterdir()) == [
        "00000002_a2b.png",
        "00000002_b2a.png",
    ]
    metrics = json.loads((run / "drawn.json").read_text())
    assert list(metrics) == Drawn().keys()
    assert Image.open(run / "drawn.png").width > 16


def test_each_image_is_translated_once_where_there_are_no_styles_and_else_ten_times(
    method, checkpoint, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    x = DrawnShoes("a", "test", 2, (16, 20))
    for i in range(2):
        to_pil_image(x.load(i)).save(tmp_path / f"in/{i}.png")
    assert translate([str(checkpoint), "in", "--device", "cpu"]) == 0
    styles = range(10 if "styles" in method.has else 1)
    made = sorted(path.name for path in (tmp_path / "translations").glob("[0-9]*.png"))
    assert made == [f"{i}_s{k:02}.png" for i in range(2) for k in styles]
    assert Image.open(tmp_path / "translations/1_s00.png").size == (20, 16)
    assert (tmp_path / "translations/sheet_0001.png").exists()
    assert translate([str(checkpoint), "in/0.png", "--to", "a", "--out", "back"]) == 0
    assert len(list((tmp_path / "back").glob("0_s*.png"))) == len(styles)


@pytest.fixture
def evaluated(checkpoint, tmp_path, monkeypatch):
    """Evaluate the run on two images as a protocol says; return the report and its folder."""

    def render(figure, file, **_):  # plots take most of the time, and have tests of their own
        Image.new("RGB", (9, 9)).save(file, "PNG")

    monkeypatch.setattr(Figure, "savefig", render)

    def measure(*arguments):
        data = [*DATA, "--limit", "2", "--device", "cpu"]
        evaluate([str(checkpoint), *data, "--out", str(tmp_path), *arguments])
        return json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8")), tmp_path

    return measure


def test_the_report_has_the_protocols_metrics_and_a_page_of_what_the_method_has(method, evaluated):
    report, folder = evaluated("--protocol", "drawn", "--report")
    assert list(report["metrics"]) == Drawn().keys()
    assert {path.name for path in folder.iterdir()} == {
        "metrics.json",
        "metrics.md",
        "metrics.png",
        "report.html",
    }
    page = (folder / "report.html").read_text(encoding="utf-8")
    needs = {  # in the page's order
        "styles": None,
        "examples": "examples",
        "interpolations": "styles",
        "sweeps": "styles",
        "maps": "examples",
        "codes": "examples",
        "curves": None,
        "metrics": None,
        "notes": None,
    }
    shown = [section for section, need in needs.items() if need is None or need in method.has]
    assert re.findall(r'<section id="(\w+)">', page) == shown
    heading = "Random styles" if "styles" in method.has else "Translations"
    assert f"<h2>{heading}</h2>" in page
    assert ("input 1 of domain a in style 2" in page) == ("styles" in method.has)
    assert ('<th scope="col">style 1</th>' in page) == ("styles" in method.has)
    codes = {"examples", "content"} <= method.has
    assert ("What the codes of domain b tell" in page) == codes
    assert ("encoded and decoded, error" in page) == codes


class Colors(nn.Module):
    """Sees the mean color; as a classifier, which channel is the strongest."""

    name, classes = "colors", ("red", "green", "blue")

    def features_and_logits(self, x):
        colors = x.mean((2, 3))
        return colors, colors


@pytest.mark.parametrize("method", ["cyclegan", "bicyclegan"], indirect=True)
def test_starganv2_follows_examples_or_says_why_not(method, evaluated, monkeypatch):
    distance = FeatureDistance(lambda x: [x], None, "pixels")
    extractors = FeatureExtractors(Colors(), distance, {}, torch.device("cpu"))
    monkeypatch.setattr(evaluate_file, "load_feature_extractors", lambda *_: extractors)
    monkeypatch.setitem(PROTOCOLS, "starganv2", StarGANv2(outputs=3, kernel_subset=3))
    report, _ = evaluated("--protocol", "starganv2", "data.test_length=6")
    follows = "examples" in method.has
    hows = {key.split("/")[1] for key in report["metrics"]}
    assert hows == ({"latent", "reference"} if follows else {"latent"})
    without = "no examples, since the method reads no style from an image"
    assert (without in report["deviations"]) == (not follows)


def test_an_exported_model_translates_as_its_checkpoint_does(checkpoint, tmp_path):
    gens = read_generators(checkpoint)
    export_generators(tmp_path / "x.safetensors", *gens)
    ours, theirs = (
        Translator(*read_generators(path), device="cpu")
        for path in (checkpoint, tmp_path / "x.safetensors")
    )
    x = torch.rand(2, 3, 16, 20) * 2 - 1
    for to in ("a", "b"):
        styles = torch.randn(2, ours.style_dim(to))
        assert torch.equal(theirs.translate(x, styles, to), ours.translate(x, styles, to))
    trained = torch.load(checkpoint, weights_only=True)["state_dict"]
    for name, gen in zip(("gen_a", "gen_b"), gens, strict=True):
        for key, weight in gen.state_dict().items():
            assert torch.equal(weight, trained[f"{name}.{key}"])
