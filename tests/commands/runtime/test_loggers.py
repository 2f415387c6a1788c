import sys
import warnings

import pytest
from lightning.pytorch.loggers import CSVLogger

from munit_pl.commands.errors import InputError
from munit_pl.commands.runtime import loggers as loggers_file
from munit_pl.commands.runtime.loggers import finishing, make_loggers, shield


@pytest.fixture
def logger(tmp_path):
    return CSVLogger(tmp_path)


def test_a_logger_that_fails_warns_and_is_given_up_after_three_times(logger, monkeypatch):
    calls = []

    def fail(*_, **__):
        calls.append(1)
        raise OSError("no space left")

    monkeypatch.setattr(logger, "log_metrics", fail)
    shield(logger)
    with pytest.warns(UserWarning, match="CSVLogger failed, training goes on: no space left"):
        logger.log_metrics({"x": 1.0}, 0)
    with pytest.warns(UserWarning, match="training goes on: no space left"):
        logger.log_metrics({"x": 1.0}, 1)
    with pytest.warns(UserWarning, match="it is not asked again: no space left"):
        logger.log_metrics({"x": 1.0}, 2)
    logger.log_metrics({"x": 1.0}, 3)
    assert len(calls) == 3


def test_values_that_come_twice_are_written_once(logger, tmp_path):
    shield(logger)
    for step, value in ((0, 1.0), (0, 1.0), (1, 1.0), (1, 2.0)):
        logger.log_metrics({"x": value}, step)
    logger.save()
    (file,) = tmp_path.rglob("metrics.csv")
    rows = [line.split(",") for line in file.read_text().splitlines()]
    found = [(row[rows[0].index("step")], row[rows[0].index("x")]) for row in rows[1:]]
    assert found == [("0", "1.0"), ("1", "1.0"), ("1", "2.0")]


def test_failures_that_pass_are_forgiven(logger, monkeypatch, tmp_path):
    works = logger.log_metrics
    results = iter([OSError("x"), OSError("x"), None, OSError("x"), OSError("x"), None])

    def sometimes(*args, **kwargs):
        if error := next(results):
            raise error
        works(*args, **kwargs)

    monkeypatch.setattr(logger, "log_metrics", sometimes)
    shield(logger)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in range(6):
            logger.log_metrics({"x": float(step)}, step)
    logger.save()
    (file,) = tmp_path.rglob("metrics.csv")
    rows = [line.split(",") for line in file.read_text().splitlines()]
    assert [row[rows[0].index("step")] for row in rows[1:]] == ["2", "5"]


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_a_logger_whose_package_is_missing_names_the_extra(config, monkeypatch, name):
    cfg = config(f"logger={name}")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"pip install 'munit-pl\[{name}\]'") as error:
        make_loggers(cfg)
    assert len(str(error.value).splitlines()) == 1


def test_mlflow_logs_beside_the_runs_or_where_the_environment_says(config, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    cfg = config("logger=mlflow", "name=n", "run=r")
    assert set(cfg.logger) == {"csv", "mlflow"}
    assert cfg.logger.mlflow.tracking_uri == "sqlite:///mlflow.db"
    assert cfg.logger.mlflow.run_name == "n-r"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert config("logger=mlflow").logger.mlflow.tracking_uri == "http://127.0.0.1:5000"


def test_a_logger_that_cannot_be_made_is_told_in_one_line(config, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no such\nstore")

    monkeypatch.setattr(loggers_file, "build", refuse)
    with pytest.raises(InputError, match=r"^a logger could not be created: no such store$"):
        make_loggers(config())


@pytest.mark.slow
def test_a_run_at_wandb_is_closed_with_the_run_and_another_goes_its_own_way(
    config, monkeypatch, tmp_path
):
    wandb = pytest.importorskip("wandb", reason="W&B is logged to")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    for folder in ("one", "two", "one"):
        loggers = make_loggers(config("logger=wandb", folder=folder))
        with finishing(loggers):
            loggers[1].log_metrics({"x": 1.0}, 0)
            assert wandb.run.id == (tmp_path / folder / "wandb_id.txt").read_text().strip()
        assert wandb.run is None
    ids = [(tmp_path / folder / "wandb_id.txt").read_text() for folder in ("one", "two")]
    assert ids[0] != ids[1]


def test_a_run_of_another_program_at_wandb_stays_open(config, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="W&B is logged to")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    theirs = wandb.init()
    with finishing(make_loggers(config("logger=wandb"))):
        pass
    assert wandb.run is theirs
    wandb.finish()
