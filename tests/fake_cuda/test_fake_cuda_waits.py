import pytest
from composing import composed
from fake_cuda.loop import train_on_fake_cuda
from lightning.pytorch.loggers import CSVLogger
from training import LEAST

from munit_pl import MUNITModule
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.commands.config.building import build


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train with all default callbacks, of which none saves or draws within a few iterations."""
    monkeypatch.setattr(Checkpoints, "save", lambda *_, **__: True)

    def run(*choices, **options):
        cfg = composed("train", "callbacks=[default,ema]", f"output_dir={tmp_path}", *choices)
        return train_on_fake_cuda(
            lambda: MUNITModule(**LEAST),
            truth=True,  # an average begins with weights that are finite
            callbacks=build(cfg.callbacks).values(),
            logger=CSVLogger(tmp_path),
            enable_progress_bar=True,
            enable_checkpointing=True,
            **options,
        )

    return run


def test_the_host_waits_for_the_device_once_in_iterations_that_are_logged_and_in_no_others(train):
    often = ["callbacks.speed.every_n_steps=2", "callbacks.divergence.patience=5"]
    seen = train(*often, steps=6, log_every_n_steps=2)
    assert [[wait.what for wait in each.waits] for each in seen] == [
        ["cpu to cuda", "cpu to cuda"],  # two counts
        ["cuda to cpu"],
        [],
        ["cuda to cpu"],
        ["_local_scalar_dense"] * 4,  # the guard's look at both counts
        ["cuda to cpu"],
    ]
