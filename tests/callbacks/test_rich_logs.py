import json
import math
import time
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger

from munit_pl.callbacks.rich_logs import log_checkpoint, log_grid, log_histograms
from munit_pl.reports.grid import draw_grid


def trainer(*loggers, step=7):
    return SimpleNamespace(loggers=loggers, global_step=step, is_global_zero=True)


ROWS = [("input", torch.zeros(2, 3, 16, 16)), ("style 1", torch.ones(2, 3, 16, 16))]


class Client:
    """MLflow's, as far as it is used."""

    def __init__(self):
        self.images = []

    def log_image(self, run_id, image, artifact_file):
        self.images.append((run_id, image.size, artifact_file))


class Mlflow(MLFlowLogger):
    experiment = Client()
    run_id = "r"

    def __init__(self):
        pass


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    """A logger that is offline; what it made is in a folder."""
    package = pytest.importorskip("wandb", reason="W&B is logged to")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = WandbLogger(save_dir=str(tmp_path), project="test", id="abc")
    yield logger
    package.finish()


def written(file, parts, seconds=60):
    """Return which parts a file has by the time it has all, or time is up.

    W&B's own process, which writes it, may take its time after `finish`.
    """
    end = time.monotonic() + seconds
    while True:
        sent = file.read_bytes()
        found = {part for part in parts if part in sent}
        if len(found) == len(parts) or time.monotonic() > end:
            return found
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.filterwarnings("error:.*training goes on")
def test_wandb_takes_tables_pictures_histograms_and_checkpoints_offline(wandb, tmp_path):
    log_grid(trainer(wandb), "a2b", ROWS, draw_grid(ROWS))
    log_histograms(trainer(wandb), {"histogram/style_a": torch.tensor([0.0, 0.0, 1.0])})
    (tmp_path / "00000007.ckpt").write_bytes(b"x" * 1000)
    log_checkpoint(trainer(wandb), tmp_path / "00000007.ckpt")
    wandb.experiment.finish()
    files = next((tmp_path / "wandb").glob("offline-run-*-abc")) / "files"
    (table,) = (files / "media/table/table").glob("a2b_*.json")
    assert json.loads(table.read_text())["columns"] == ["iteration", "input", "style 1"]
    assert len(list((files / "media/images/grid").iterdir())) == 1
    parts = (b"table/a2b", b"grid/a2b", b"histogram/style_a", b"checkpoint-abc")
    assert set(parts) == written(files.parent / "run-abc.wandb", parts)


def test_a_row_of_wandbs_table_is_an_input_and_its_translations(monkeypatch):
    package = pytest.importorskip("wandb", reason="W&B is logged to")
    logger, given = WandbLogger(), {}
    monkeypatch.setattr(logger, "log_metrics", lambda values, step: given.update(values))
    log_grid(trainer(logger), "a2b", ROWS, draw_grid(ROWS))
    table = given["table/a2b"]
    assert table.columns == ["iteration", "input", "style 1"]
    assert [row[0] for row in table.data] == [7, 7]
    cells = [cell for row in table.data for cell in row[1:]]
    assert all(isinstance(cell, package.Image) for cell in cells)
    assert [cell.image.getpixel((8, 8))[0] for cell in cells] == [128, 255, 128, 255]


def test_wandbs_histograms_have_the_counts_between_the_edges(monkeypatch):
    pytest.importorskip("wandb", reason="W&B is logged to")
    logger, given = WandbLogger(), {}
    monkeypatch.setattr(logger, "log_metrics", lambda values, step: given.update(values))
    log_histograms(trainer(logger), {"x": torch.tensor([0.0, 0.0, 1.0])})
    counts, edges = list(given["x"].histogram), list(given["x"].bins)
    assert (counts[0], counts[-1], sum(counts)) == (2, 1, 3)
    assert (edges[0], edges[-1], len(edges)) == (0, 1, len(counts) + 1)


class Given:
    """Stand in for a run of W&B, which tells nothing of artifacts that were given to it."""

    id = "abc"

    def __init__(self):
        self.artifacts = []

    def log_artifact(self, artifact, aliases):
        self.artifacts.append((artifact, aliases))


def test_checkpoints_are_versions_of_one_artifact_with_bytes_of_their_own(tmp_path):
    pytest.importorskip("wandb", reason="W&B is logged to")
    run, file = Given(), tmp_path / "00000007.ckpt"
    logger = WandbLogger(experiment=run)
    file.write_bytes(b"first")
    log_checkpoint(trainer(logger), file)
    file.unlink()  # as keep_last does
    ((artifact, aliases),) = run.artifacts
    assert (artifact.name, artifact.type) == ("checkpoint-abc", "model")
    assert artifact.metadata == {"iteration": 7}
    assert aliases == ["latest", "00000007"]
    with open(artifact.manifest.entries["00000007.ckpt"].local_path, "rb") as copy:
        assert copy.read() == b"first"


def test_mlflow_gets_the_picture_as_a_file():
    logger = Mlflow()
    log_grid(trainer(logger), "b2a", ROWS, picture := draw_grid(ROWS))
    assert logger.experiment.images == [("r", picture.size, "grids/00000007_b2a.png")]


def test_a_logger_that_fails_does_not_end_the_run():
    class Failing(Mlflow):
        @property
        def experiment(self):
            raise ConnectionError("no server")

    with pytest.warns(UserWarning, match="Failing failed, training goes on: no server"):
        log_grid(trainer(Failing()), "a2b", ROWS, draw_grid(ROWS))


class Writer:
    def __init__(self):
        self.given = []

    def add_histogram_raw(self, name, **about):
        self.given.append((name, about))


class Board(TensorBoardLogger):
    def __init__(self):
        self.writer = Writer()

    @property
    def experiment(self):
        return self.writer


def test_histograms_have_the_values_moments_and_leave_out_what_is_not_finite():
    values = torch.tensor([-1.0, 0.5, 3.0, math.nan, math.inf])
    log_histograms(trainer(board := Board()), {"x": values})
    ((name, about),) = board.writer.given
    assert (name, about["min"], about["max"], about["num"]) == ("x", -1, 3, 3)
    assert about["sum"] == pytest.approx(2.5)
    assert about["sum_squares"] == pytest.approx(10.25)
    assert (sum(about["bucket_counts"]), about["bucket_limits"][-1]) == (3, 3)
    assert about["bucket_counts"][24] == 1  # 0.5, in bins of a sixteenth from -1 on


@pytest.mark.parametrize("values", [[], [2.0, 2.0], [math.nan]])
def test_histograms_of_nothing_and_of_one_value_can_be_had(values):
    log_histograms(trainer(board := Board()), {"x": torch.tensor(values)})
    ((_, about),) = board.writer.given
    assert sum(about["bucket_counts"]) == max(1, len(values))
    assert about["min"] < about["max"]
