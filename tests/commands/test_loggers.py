import warnings

import pytest
from lightning.pytorch.loggers import CSVLogger

from munit_pl.commands.loggers import shield


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
