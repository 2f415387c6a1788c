import subprocess
import sys

import pytest
from hydra import compose, initialize_config_module
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from methods import METHODS
from omegaconf import OmegaConf
from runs import SMALL
from training import make_trainer

from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.evaluate import Evaluate
from munit_pl.commands.errors import InputError
from munit_pl.commands.runtime import sweep
from munit_pl.commands.runtime.sweep import swept_metric

METRIC = "callbacks.evaluate.monitor=a2b/silhouette_iou"


@pytest.fixture
def multirun(tmp_path):
    """Run tiny runs, with ``tmp_path`` as their folder."""

    def run(*arguments):
        program = [sys.executable, "-m", "munit_pl.commands.train", "--multirun"]
        return subprocess.run(
            [*program, *SMALL, *METHODS["munit"].sizes, *arguments, "run=x"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


def plugin(kind, choice):
    with initialize_config_module("munit_pl.conf", version_base="1.3"):
        cfg = compose("train", [f"hydra/{kind}={choice}"], return_hydra_config=True)
    return cfg.hydra[kind]


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "submitit_slurm"])
def test_launchers_compose_and_are_there(launcher):
    name = launcher.split("_")[0]
    reason = "an extra, munit-pl[sweeps]"
    pytest.importorskip(f"hydra_plugins.hydra_{name}_launcher", reason=reason)
    target = plugin("launcher", launcher)._target_
    known = {f"{c.__module__}.{c.__name__}" for c in Plugins.instance().discover(Launcher)}
    assert target in known


def test_the_optuna_sweeper_composes_and_is_there():
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="an extra, munit-pl[sweeps]")
    node = plugin("sweeper", "optuna")
    known = {f"{c.__module__}.{c.__name__}" for c in Plugins.instance().discover(Sweeper)}
    assert node._target_ in known
    assert node.n_trials == 20


def metrics(*callbacks):
    trainer = make_trainer()
    trainer.callbacks = list(callbacks)
    return swept_metric(trainer)


def test_sweepers_compare_the_best_of_the_metric_that_is_monitored(tmp_path):
    checkpoints = Checkpoints(tmp_path, monitor="val/image")
    assert metrics(Checkpoints(tmp_path)) is None
    checkpoints.best.value = 0.5
    assert metrics(checkpoints) == 0.5
    evaluate = Evaluate(tmp_path, "drawn", "a2b/guided_error", "min")
    evaluate.best.value = 12.0
    assert metrics(evaluate, checkpoints) == 12.0


@pytest.fixture
def check_folder(tmp_path):
    """Check the folder of a run, which holds one of ``there``, for one of ``here``."""
    (tmp_path / "1/.hydra").mkdir(parents=True)
    (tmp_path / "1/checkpoints").mkdir()
    (tmp_path / "1/checkpoints/last.ckpt").touch()

    def check(there, here, asked, sweeper="BasicSweeper"):
        OmegaConf.save(OmegaConf.create(there), tmp_path / "1/.hydra/overrides.yaml")
        asked = {"hydra": {"overrides": {"task": asked}}}
        OmegaConf.save(OmegaConf.create(asked), tmp_path / "multirun.yaml")
        own = {
            "sweep": {"dir": str(tmp_path)},
            "sweeper": {"_target_": f"x.{sweeper}", "params": None},
            "overrides": {"task": here},
        }
        sweep._check_folder(tmp_path / "1", OmegaConf.create(own))

    return check


def test_a_run_of_a_sweep_does_not_go_on_with_one_of_other_values(check_folder):
    steps = ["trainer.max_steps=2", "run=x"]
    more = ["trainer.max_steps=3", "run=x"]  # what all runs share may change
    ten = ["model.weights.cycle=10.0", "~callbacks.bar=null"]
    check_folder(
        [*steps, *ten], [*more, "model.weights.cycle=10"], [*more, "model.weights.cycle=0,10"]
    )
    line = "holds a run of model.weights.cycle=10.0, and this one is of model.weights.cycle=5: name"
    five = [*more, "model.weights.cycle=5"]
    with pytest.raises(InputError, match=line):
        check_folder([*steps, *ten], five, [*more, "model.weights.cycle=0,5"])
    with pytest.raises(InputError, match="holds a run of no model"):
        check_folder(steps, five, [*more, "model.weights.cycle=0,5"])
    with pytest.raises(InputError, match=line):  # other sweepers choose values of their own
        check_folder([*more, *ten], five, more, "OptunaSweeper")


@pytest.mark.process
@pytest.mark.slow
def test_runs_of_a_multirun_have_folders_locks_and_settings_of_their_own(multirun, tmp_path):
    done = multirun("seed=3,4", "trainer.max_steps=2")
    assert done.returncode == 0, done.stderr
    runs = tmp_path / "outputs/munit/x"
    for number, seed in (("0", 3), ("1", 4)):
        for name in ("checkpoints/00000002.ckpt", "run.lock", "index.html", "csv/version_0"):
            assert (runs / number / name).exists(), name
        assert OmegaConf.load(runs / number / ".hydra/config.yaml").seed == seed
    assert not (runs / "checkpoints").exists()
    again = multirun("seed=3,4", "trainer.max_steps=2")
    assert again.returncode == 2
    assert "x/0 holds a run already" in again.stderr
    on = multirun("seed=3,4", "trainer.max_steps=3", "ckpt_path=auto")
    assert on.returncode == 0, on.stderr
    for number in "01":
        assert f"x/{number}/checkpoints/00000002.ckpt" in on.stdout
        assert (runs / number / "checkpoints/00000003.ckpt").exists()
    other = multirun("seed=3,9,4", "trainer.max_steps=3", "ckpt_path=auto")
    assert other.returncode == 2
    assert "x/1 holds a run of seed=4, and this one is of seed=9: name " in other.stderr


OPTUNA = [
    "hydra/sweeper=optuna",
    "hydra.sweeper.n_trials=2",
    "hydra.sweeper.n_jobs=1",
    "hydra.sweeper.direction=maximize",
    "model.optimizer.lr=tag(log,interval(0.0001,0.001))",
    "data.test_length=64",
    "trainer.max_steps=1",
]


@pytest.mark.process
@pytest.mark.slow
def test_optuna_compares_runs_by_the_metric_of_the_evaluation(multirun, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="an extra, munit-pl[sweeps]")
    evaluate = "callbacks.evaluate.every_n_steps=1"
    done = multirun(
        *OPTUNA, "callbacks=[default,evaluate]", METRIC, "callbacks.evaluate.mode=max", evaluate
    )
    assert done.returncode == 0, done.stderr
    results = OmegaConf.load(tmp_path / "outputs/munit/x/optimization_results.yaml")
    assert results.name == "optuna"
    assert 0 <= results.best_value <= 1
    rates = [
        OmegaConf.load(tmp_path / f"outputs/munit/x/{i}/.hydra/config.yaml").model.optimizer.lr
        for i in range(2)
    ]
    assert rates[0] != rates[1]


@pytest.mark.process
@pytest.mark.slow
def test_optuna_without_a_metric_is_refused_before_training(multirun, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="an extra, munit-pl[sweeps]")
    done = multirun(*OPTUNA)
    assert done.returncode == 2
    assert (
        "choose callbacks=[default,evaluate], or give callbacks.checkpoints.monitor" in done.stderr
    )
    assert not (tmp_path / "outputs/munit/x/0/checkpoints").exists()
