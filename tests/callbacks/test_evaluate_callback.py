import csv
import inspect
import json
from math import nan
from pathlib import Path

import pytest
import torch
import yaml
from composing import composed
from methods import METHODS
from torch import nn

from munit_pl import DrawnDataModule, MUNITModule
from munit_pl.callbacks import evaluate as evaluate_file
from munit_pl.callbacks.evaluate import Evaluate
from munit_pl.commands.errors import InputError
from munit_pl.commands.train import train
from munit_pl.evaluation.feature_extractors import FeatureExtractors, load_feature_extractors
from munit_pl.evaluation.protocols.drawn_ground_truth import Drawn
from munit_pl.evaluation.report import MetricValue, Report
from munit_pl.metrics.lpips import FeatureDistance

CONF = Path(__file__).parents[2] / "conf" / "callbacks" / "evaluate.yaml"
TINY = [
    "data.size=[16,16]",
    "data.length=8",
    "data.test_length=4",
    *METHODS["munit"].sizes,
    "trainer.accelerator=cpu",
    "trainer.max_steps=4",
    "callbacks.grid.every_n_steps=1000",
    "callbacks.checkpoints.every_n_steps=2",
    "~callbacks.bar",
]
EVALUATED = [
    "callbacks=[default,evaluate]",
    "callbacks.evaluate.every_n_steps=2",
    "callbacks.evaluate.limit=2",
]
MONITOR = "a2b/guided_error"


@pytest.fixture
def run(tmp_path):
    """Train a tiny model; return its trainer and the folder of the run."""

    def trained(*overrides, folder="run"):
        output = f"output_dir={tmp_path / folder}"
        cfg = composed("train", output, *TINY, *overrides)
        return train(cfg), tmp_path / folder

    return trained


@pytest.fixture
def measured(monkeypatch):
    """Let evaluations have given values, one after the other."""

    def give(*values):
        coming = iter(values)

        def evaluate(protocol, *_):
            metrics = [MetricValue(MONITOR, "x", next(coming), "")]
            return Report("drawn v1", {}, [], metrics, {}, {}, {}, {}, 0, 0.0)

        monkeypatch.setattr(evaluate_file, "evaluate", evaluate)

    return give


def load(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def best_step(folder):
    path = folder / "evaluation" / "best.ckpt"
    return load(path)["global_step"] if path.exists() else None


def states_of(trainer):
    """All that training has changed."""
    return trainer.model.state_dict(), [optimizer.state_dict() for optimizer in trainer.optimizers]


class Run:
    global_rank, world_size, is_global_zero, global_step = 0, 1, True, 2

    def __init__(self, datamodule):
        self.datamodule = datamodule
        self.callbacks = []


def callback(folder, **settings):
    return Evaluate(folder, **{"protocol": "drawn", "monitor": MONITOR, "mode": "min"} | settings)


def test_reports_lie_in_folders_of_their_iterations_and_nothing_of_the_training_changes(run):
    plain, _ = run(folder="plain")
    untouched = torch.get_rng_state()
    evaluated, folder = run(*EVALUATED)
    assert torch.equal(torch.get_rng_state(), untouched)
    torch.testing.assert_close(states_of(evaluated), states_of(plain), rtol=0, atol=0)
    # Lightning does not put back what a callback leaves in evaluation mode.
    assert all(module.training for module in evaluated.model.modules())

    names = {path.name for path in (folder / "evaluation").iterdir()}
    assert names - {"best.ckpt.sha256"} == {"00000002", "00000004", "best.ckpt"}
    reports = [
        json.loads((folder / "evaluation" / f"0000000{step}" / "metrics.json").read_text())
        for step in (2, 4)
    ]
    for step, report in zip((2, 4), reports, strict=True):
        assert report["checkpoint"] == {"iteration": str(step)}
        assert report["deviations"] == ["inputs 2 instead of 64"]
        assert list(report["metrics"]) == Drawn().keys()

    better = min((2, 4), key=lambda step: reports[step // 2 - 1]["metrics"][MONITOR]["value"])
    weights = load(folder / "evaluation" / "best.ckpt")["state_dict"]
    there = load(folder / "checkpoints" / f"0000000{better}.ckpt")["state_dict"]
    torch.testing.assert_close(weights, there, rtol=0, atol=0)

    logged = {}
    with (folder / "csv" / "version_0" / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            if row[f"eval/{MONITOR}"]:
                logged[int(row["step"])] = float(row[f"eval/{MONITOR}"])
    values = {step: reports[step // 2 - 1]["metrics"][MONITOR]["value"] for step in (2, 4)}
    assert logged == pytest.approx(values)


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_any_precision_is_evaluated_in_fp32(run, precision):
    trainer, folder = run(*EVALUATED, "trainer.max_steps=2", f"trainer.precision={precision}")
    assert best_step(folder) == 2
    kept = {"64-true": torch.float64, "bf16-true": torch.bfloat16, "bf16-mixed": torch.float32}
    assert {p.dtype for p in trainer.model.parameters()} == {kept[precision]}


@pytest.mark.parametrize(
    ("mode", "values", "best"),
    [
        ("min", (3.0, 5.0), 2),
        ("min", (5.0, 3.0), 4),
        ("max", (3.0, 5.0), 4),
        ("max", (5.0, 3.0), 2),
        ("max", (5.0, 5.0), 2),  # no better, so the former stays
        ("min", (nan, 5.0), 4),
        ("max", (nan, -5.0), 4),
        ("max", (5.0, nan), 2),
        ("min", (nan, nan), None),
    ],
)
def test_the_best_checkpoint_is_that_of_the_best_metric(run, measured, mode, values, best):
    measured(*values)
    _, folder = run(*EVALUATED, f"callbacks.evaluate.mode={mode}")
    assert best_step(folder) == best


@pytest.mark.parametrize(("later", "best"), [((4.0, 4.0), 4), ((4.0, 2.0), 8)])
def test_a_resumed_run_remembers_the_best(run, measured, later, best):
    measured(5.0, 3.0, *later)
    run(*EVALUATED)
    _, folder = run(*EVALUATED, "trainer.max_steps=8", "ckpt_path=last")
    assert best_step(folder) == best


def test_a_run_says_when_nothing_has_improved_for_long(run, measured):
    measured(5.0, 3.0, *[4.0] * 5, nan)
    _, folder = run(*EVALUATED, "trainer.max_steps=16", "callbacks.grid.every_n_steps=2")
    told = f"{MONITOR} was best at iteration 4: 3; 5 evaluations since were no better"
    (line,) = (x for x in (folder / "train.log").read_text().splitlines() if "no better" in x)
    assert line.endswith(f"{told}; {folder / 'evaluation/best.ckpt'} is of then")
    page = (folder / "index.html").read_text()
    assert f"{MONITOR} was best at iteration 4: 3; 6 evaluations since were no better" in page


def test_the_best_by_another_metric_says_nothing(tmp_path):
    by_shape = callback(tmp_path, monitor="a2b/silhouette_iou", mode="max")
    by_shape.best.value = 0.9
    for monitor, best in (("a2b/silhouette_iou", 0.9), (MONITOR, None)):
        resumed = callback(tmp_path, monitor=monitor, mode="max")
        resumed.load_state_dict(by_shape.state_dict())
        assert resumed.best.value == best


class Colors(nn.Linear):
    """Has weights, which are no business of the model that is trained."""

    name, classes = "colors", ("red", "green", "blue")

    def __init__(self):
        super().__init__(3, 3)

    def forward(self, x):
        return super().forward(x.mean((2, 3)))

    def features_and_logits(self, x):
        return self(x), self(x)


def test_networks_that_see_are_not_trained_and_in_no_checkpoint(run, monkeypatch):
    asked = []

    def extractors(**arguments):
        asked.append(arguments)
        distance = FeatureDistance(lambda x: [x], None, "pixels")
        return FeatureExtractors(Colors(), distance, {}, arguments["device"])

    monkeypatch.setattr(evaluate_file, "load_feature_extractors", extractors)
    monitor = "callbacks.evaluate.monitor=a2b/diversity"
    protocol = "callbacks.evaluate.protocol=munit2018"
    trainer, folder = run(*EVALUATED, protocol, monitor, "callbacks.evaluate.networks.alexnet=x")
    given = dict.fromkeys(inspect.signature(load_feature_extractors).parameters)
    given |= {"features": "auto", "distance": "auto", "alexnet": "x", "download": False}
    assert asked == [given | {"device": torch.device("cpu")}]
    report = json.loads((folder / "evaluation/00000004/metrics.json").read_text())
    assert report["protocol"] == "munit2018 v1"
    assert report["networks"] == {"features": "colors", "distance": "pixels"}

    expected = MUNITModule(**trainer.model.hparams).state_dict().keys()
    assert trainer.model.state_dict().keys() == expected
    assert load(folder / "evaluation/best.ckpt")["state_dict"].keys() == expected
    assert len(list(trainer.model.parameters())) == len(expected)


def test_of_very_many_training_images_some_are_compared_with_evenly_spread():
    class Numbers:
        def __len__(self):
            return 25

        def load(self, index, rng):
            return index

    for most, kept in ((10, range(0, 25, 3)), (25, range(25)), (100, range(25))):
        some = evaluate_file._Some(Numbers(), most)
        assert [some.load(i, None) for i in range(len(some))] == list(kept)


def test_an_unknown_metric_is_refused_before_training(run, tmp_path):
    message = r"monitor is a2b/iou, but must be one of a2b/silhouette_iou, .*, b2a/paired_error$"
    with pytest.raises(InputError, match=message):
        run(*EVALUATED, "callbacks.evaluate.monitor=a2b/iou")
    assert not list((tmp_path / "run" / "checkpoints").glob("*.ckpt"))


def test_data_that_do_not_do_are_refused_before_training(tiny, tmp_path):
    module = MUNITModule(**tiny)
    with pytest.raises(TypeError, match="this package's data modules"):
        callback(tmp_path).on_fit_start(Run(None), module)
    few = DrawnDataModule(size=(16, 16), test_length=3)
    few.setup()
    with pytest.raises(ValueError, match="takes 64 test images of domain a, but there are 3"):
        callback(tmp_path).on_fit_start(Run(few), module)
    callback(tmp_path, limit=3).on_fit_start(Run(few), module)
    assert all(part.training for part in module.modules())


def test_there_is_no_evaluation_between_its_iterations(tiny, tmp_path):
    callback(tmp_path / "x", every_n_steps=3).on_train_batch_end(Run(None), MUNITModule(**tiny))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "least"}, "mode is 'least', but must be one of min, max"),
        ({"every_n_steps": 0}, "every_n_steps"),
        ({"protocol": "fid"}, "there is no protocol fid: there are drawn"),
        ({"limit": 1}, "the limit is 1"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        callback(tmp_path, **settings)


def test_the_configuration_lists_every_setting_with_its_default():
    listed = yaml.safe_load(CONF.read_text())["evaluate"]
    arguments = inspect.signature(Evaluate).parameters
    assert set(listed) - {"_target_"} == set(arguments)
    for name in ("every_n_steps", "limit"):
        assert listed[name] == arguments[name].default
    networks = inspect.signature(load_feature_extractors).parameters
    defaults = {name: a.default for name, a in networks.items() if name != "device"}
    assert listed["networks"] == defaults
    assert listed["monitor"] in Drawn().keys()  # noqa: SIM118
