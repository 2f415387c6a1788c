import pytest
import torch

from munit_pl.callbacks import progress
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.progress import IterationBar, Speed


class Run:
    def __init__(self):
        self.global_step = 0
        self.world_size = 2
        self.estimated_stepping_batches = 4
        self.loggers = []
        self.progress_bar_metrics = {
            "dis/total": 1.23456,
            "speed/images_per_second": 12.3456,
            "v_num": 0,
        }


class Module:
    def __init__(self):
        self.logged = {}

    def log(self, name, value, **_):
        self.logged[name] = value


def test_speed_counts_the_images_of_both_domains_and_all_processes(monkeypatch):
    clock = iter([100.0, 104.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    run, module, speed = Run(), Module(), Speed(every_n_steps=2)
    speed.on_train_start(run, module)
    for step in (1, 2):
        run.global_step = step
        speed.on_train_batch_end(run, module, None, (torch.zeros(3), torch.zeros(3)), 0)
    # Two iterations of 2 x 3 images in each of 2 processes, in 4 seconds.
    assert module.logged == {
        "speed/iterations_per_second": pytest.approx(0.5),
        "speed/images_per_second": pytest.approx(6.0),
    }


def test_the_bar_counts_iterations_and_shows_losses_and_speed(capsys):
    bar, run, module = IterationBar(), Run(), Module()
    run.global_step = 1  # resumed
    bar._trainer = run
    bar.on_train_start(run, module)
    for _ in range(3):
        bar.on_train_batch_end(run, module)
    bar.on_train_end(run, module)
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert "dis/total=1.23" in shown
    assert "images/s=12.3" in shown
    assert "v_num" not in shown


def test_a_disabled_bar_shows_nothing(capsys):
    bar, run = IterationBar(), Run()
    bar._trainer = run
    bar.disable()
    bar.on_train_start(run, Module())
    bar.on_train_batch_end(run, Module())
    bar.print("hello")
    bar.on_train_end(run, Module())
    assert capsys.readouterr() == ("", "")


def test_checkpoints_need_an_interval(tmp_path):
    with pytest.raises(ValueError, match="every_n_steps is 0"):
        Checkpoints(tmp_path, every_n_steps=0)
