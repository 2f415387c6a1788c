"""The files of `sweeps/`: W&B would find out in each run what is wrong with them."""

import csv
import os
import random
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from munit_pl.commands.config.overrides import check_overrides
from munit_pl.commands.config.validation import check_config
from munit_pl.commands.errors import InputError

SWEEPS = {path.stem: path for path in (Path(__file__).parents[2] / "sweeps").glob("*.yaml")}
NAMES = pytest.mark.parametrize("name", sorted(SWEEPS))


def read(name):
    return yaml.safe_load(SWEEPS[name].read_text())


def extremes(spec):
    """The values of a parameter between which, or of which, the sweep chooses."""
    return spec["values"] if "values" in spec else [spec["min"], spec["max"]]


def draw(spec, rng):
    if "values" in spec:
        return rng.choice(spec["values"])
    low, high = spec["min"], spec["max"]
    if spec["distribution"] == "uniform":
        return rng.uniform(low, high)
    assert spec["distribution"] == "log_uniform_values"
    return low * (high / low) ** rng.random()


def command(sweep, values):
    """The agent's command line: W&B's own functions, put together as the agent does it."""
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils", reason="it is W&B's agent")
    macros = utils.create_sweep_command_args({"args": {k: {"value": v} for k, v in values.items()}})
    macros |= {"env": ["/usr/bin/env"], "program": [sweep["program"]]}
    words = []
    for word in utils.create_sweep_command(list(sweep["command"])):
        whole = word.startswith("${") and word.endswith("}")
        words += macros[word[2:-1]] if whole else [word]
    return words


def composed(name, values, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "abc")
    sweep = read(name)
    words = command(sweep, values)
    assert words[:2] == ["/usr/bin/env", "munit-train"]
    return check_overrides([*words[2:], "output_dir=x"])


def test_there_is_a_sweep_of_each_kind():
    assert {name: read(name)["method"] for name in SWEEPS} == {
        "random": "random",
        "bayes": "bayes",
        "grid": "grid",
    }


@NAMES
def test_every_parameter_is_a_setting_and_takes_all_its_values(name, monkeypatch):
    parameters = read(name)["parameters"]
    first = {key: extremes(spec)[0] for key, spec in parameters.items()}
    cfg = composed(name, first, monkeypatch)
    for which in range(max(len(extremes(spec)) for spec in parameters.values())):
        for key, spec in parameters.items():
            value = extremes(spec)[which % len(extremes(spec))]
            found = OmegaConf.select(cfg, key)
            assert found == value if which == 0 else type(found) is type(value)
            OmegaConf.update(cfg, key, value)
        check_config(cfg)


@pytest.mark.slow
def test_a_parameter_that_is_none_and_a_value_out_of_range_would_be_told(monkeypatch):
    with pytest.raises(InputError, match=r"did you mean model\.weights\.image\?"):
        composed("random", {"model.weights.imgae": 1.0}, monkeypatch)
    with pytest.raises(InputError, match=r"model\.weights\.image is -1\.0"):
        check_config(composed("random", {"model.weights.image": -1.0}, monkeypatch))


@NAMES
def test_the_metric_is_the_one_that_decides_on_the_best_checkpoint(name, monkeypatch):
    cfg = composed(name, {}, monkeypatch)
    metric = read(name)["metric"]
    assert metric["name"] == f"eval/{cfg.callbacks.evaluate.monitor}"
    assert metric["goal"] == {"min": "minimize", "max": "maximize"}[cfg.callbacks.evaluate.mode]
    assert cfg.run == "abc"
    assert "wandb" in cfg.logger


def test_the_grid_has_as_many_runs_as_it_says():
    values = [spec["values"] for spec in read("grid")["parameters"].values()]
    assert f"{len(list(product(*values)))} runs" in SWEEPS["grid"].read_text()


@pytest.mark.process
@pytest.mark.slow
@NAMES
def test_a_run_of_the_sweep_logs_the_metric_offline(name, tmp_path):
    sweep, rng = read(name), random.Random(0)
    values = {key: draw(spec, rng) for key, spec in sweep["parameters"].items()}
    words = command(sweep, values)
    program = [sys.executable, "-m", "munit_pl.commands.train"]
    words[1:2] = [shutil.which("munit-train")] if shutil.which("munit-train") else program
    small = [
        "data.size=[16,16]",
        "data.length=8",
        "data.test_length=8",
        "model.generator.dim=4",
        "model.discriminator={dim:4,num_layers:2,num_scales:1}",
        "trainer.max_steps=4",
        "trainer.accelerator=cpu",
        "trainer.precision=32-true",
        "trainer.log_every_n_steps=1",
        "callbacks.evaluate.every_n_steps=2",
        "callbacks.evaluate.limit=8",
    ]
    done = subprocess.run(
        [*words, *small],
        cwd=tmp_path,
        env={**os.environ, "WANDB_MODE": "offline", "WANDB_RUN_ID": "abc", "NETRC": "none"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = tmp_path / "outputs/demo/abc"
    (wandb,) = (run / "wandb").glob("offline-run-*-abc")
    sent = (wandb / "run-abc.wandb").read_bytes()
    name = re.escape(sweep["metric"]["name"].encode())
    assert re.search(name + rb"\x82\x01.\d+\.\d+", sent, re.DOTALL)  # a value, as it is stored
    with (run / "csv/version_0/metrics.csv").open() as file:
        logged = [row[sweep["metric"]["name"]] for row in csv.DictReader(file)]
    assert len([value for value in logged if value]) == 2
    cfg = OmegaConf.load(run / ".hydra/config.yaml")
    for key, value in values.items():
        assert OmegaConf.select(cfg, key) == pytest.approx(value)
