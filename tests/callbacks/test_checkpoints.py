import errno
import json
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from math import nan
from typing import NamedTuple

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import DummyLogger
from runs import load
from training import fit_least

from munit_pl import MUNITModule
from munit_pl.callbacks import checkpoints as checkpoints_file
from munit_pl.callbacks.checkpoint_io import DurableCheckpointIO, SaveError
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.evaluate import Evaluate
from munit_pl.exits import ExitCode
from munit_pl.io.checkpoint_files import newest_valid, verify


class NoSpace(DurableCheckpointIO):
    """A disk that is full at some of the saves."""

    def __init__(self, failing):
        self.failing = set(failing)
        self.saves = 0

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        self.saves += 1
        if self.saves in self.failing:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        super().save_checkpoint(checkpoint, path)


def fit(steps, *callbacks, io=None, **options):
    options = {"plugins": [io or DurableCheckpointIO()], "enable_checkpointing": True, **options}
    return fit_least(steps, *callbacks, **options)


def steps_in(folder):
    return sorted(int(path.stem) for path in folder.glob("0*.ckpt"))


def metrics(monkeypatch, *values):
    """Let validations have given metrics, one after the other."""
    coming = iter(values)

    def validation_step(self, batch, batch_idx):
        self.log("val/x", next(coming))

    monkeypatch.setattr(MUNITModule, "validation_step", validation_step)


VALIDATED = {"limit_val_batches": 1, "val_check_interval": 1, "check_val_every_n_epoch": None}


def test_every_checkpoint_is_whole_and_only_the_newest_stay(tmp_path):
    fit(7, Checkpoints(tmp_path, every_n_steps=2, keep_last=2))
    assert steps_in(tmp_path) == [6, 7]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        name + end
        for name in ("00000006.ckpt", "00000007.ckpt", "last.ckpt")
        for end in ("", ".sha256")
    }
    for path in tmp_path.glob("*.ckpt"):
        verify(path)
    assert load(tmp_path / "last.ckpt")["global_step"] == 7
    assert newest_valid(tmp_path) == (tmp_path / "00000007.ckpt", [])


def test_nothing_is_removed_for_a_checkpoint_that_did_not_reach_the_disk(
    tmp_path, monkeypatch, caplog
):
    def damaged(path):
        raise ValueError(f"{path} is damaged")

    fit(2, Checkpoints(tmp_path, every_n_steps=1, keep_last=1))
    assert steps_in(tmp_path) == [2]
    monkeypatch.setattr(checkpoints_file, "verify", damaged)
    resumed = Checkpoints(tmp_path, every_n_steps=1, keep_last=1)
    fit(4, resumed, ckpt_path=tmp_path / "last.ckpt")
    assert steps_in(tmp_path) == [2, 3, 4]
    assert "NOT SAVED" in caplog.text


class Tick(Callback):
    """A clock by which an iteration takes a minute."""

    now = 0.0

    def on_train_batch_end(self, *_):
        self.now += 60.0


class Clock(NamedTuple):
    """Stands for the module `time`."""

    monotonic: Callable[[], float]


def test_time_decides_too(tmp_path, monkeypatch):
    tick = Tick()
    monkeypatch.setattr(checkpoints_file, "time", Clock(lambda: tick.now))
    fit(5, tick, Checkpoints(tmp_path, every_n_minutes=2))
    assert steps_in(tmp_path) == [2, 4, 5]


def test_a_failed_save_is_told_and_training_goes_on(tmp_path, caplog):
    io = NoSpace({2, 3})
    callback = Checkpoints(tmp_path, every_n_steps=1)
    trainer = fit(5, callback, io=io)
    assert trainer.global_step == 5
    assert steps_in(tmp_path) == [1, 4, 5]
    told = [line for line in caplog.messages if "NOT SAVED" in line]
    assert len(told) == 2
    for line, step, row in zip(told, (2, 3), (1, 2), strict=True):
        assert f"0000000{step}.ckpt: OSError: [Errno 28] No space left on device" in line
        assert f"({row} in a row); training goes on until it is 3" in line


def test_too_many_failures_in_a_row_stop_the_run(tmp_path, monkeypatch, caplog):
    asked = []
    monkeypatch.setattr(checkpoints_file, "request_stop", lambda trainer, *args: asked.append(args))
    # A success between them begins the row anew.
    fit(6, Checkpoints(tmp_path, every_n_steps=1, max_failures=2), io=NoSpace({2, 4, 5}))
    assert asked == [(ExitCode.CANNOT_SAVE, "2 checkpoints in a row could not be saved")]
    told = [line for line in caplog.messages if "NOT SAVED" in line]
    assert ["training goes on" in line for line in told] == [True, True, False]
    assert "00000005.ckpt: OSError" in told[2]
    assert told[2].endswith("(2 in a row); the run stops")


def test_a_run_whose_end_cannot_be_saved_does_not_end_well(tmp_path, caplog):
    with pytest.raises(SaveError, match="the run's end, iteration 3, could not be saved"):
        fit(3, Checkpoints(tmp_path, every_n_steps=2), io=NoSpace({2}))
    assert "goes on" not in caplog.text
    assert steps_in(tmp_path) == [2]


def test_the_end_is_tried_again_where_its_save_failed(tmp_path):
    fit(2, Checkpoints(tmp_path, every_n_steps=2), io=NoSpace({1}))
    assert steps_in(tmp_path) == [2]


def test_a_state_that_is_not_finite_never_becomes_the_last(tmp_path, caplog):
    class Poison(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            if trainer.global_step == 3:
                next(pl_module.gen_a.parameters()).data.view(-1)[0] = nan

    with pytest.raises(SaveError):
        fit(3, Poison(), Checkpoints(tmp_path, every_n_steps=2))
    assert load(tmp_path / "last.ckpt")["global_step"] == 2
    assert "values that are not finite in state_dict.gen_a." in caplog.text


def test_saving_again_does_nothing_and_tells_whether_there_is_a_checkpoint(tmp_path):
    found = []

    class Stop(Callback):
        def on_train_end(self, trainer, pl_module):
            saver = Checkpoints(tmp_path / "other")
            io.failing = {io.saves + 1}
            found.extend((saver.save(trainer), saver.save(trainer), saver.save(trainer)))
            found.append(io.saves)

    io = NoSpace(())
    fit(1, Stop(), Checkpoints(tmp_path), io=io)
    assert found == [False, True, True, 2]


def test_a_folder_that_cannot_be_written_to_is_told_before_training(tmp_path):
    (tmp_path / "file").touch()
    trained = []

    class Watch(Callback):
        def on_train_batch_start(self, *_):
            trained.append(1)

    message = rf"^checkpoints cannot be written to {tmp_path}/file/x: Not a directory$"
    with pytest.raises(OSError, match=message):
        fit(1, Watch(), Checkpoints(tmp_path / "file" / "x"))
    assert not trained


def test_leftovers_of_a_killed_run_go_when_the_next_begins(tmp_path):
    (tmp_path / f".00000001.tmp-{os.getpid()}.ckpt").touch()
    fit(1, Checkpoints(tmp_path))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("mode", "values", "best"),
    [("min", (9.0, 3.0, 2.0, nan, 2.0), 2), ("max", (0.0, 3.0, 2.0, 5.0, nan), 3)],
)
def test_the_best_is_that_of_the_best_validation(tmp_path, monkeypatch, mode, values, best):
    """The first metric is the sanity check's, of a model that nothing has been done to."""
    metrics(monkeypatch, *values)
    fit(4, Checkpoints(tmp_path, monitor="val/x", mode=mode, keep_last=1), **VALIDATED)
    assert load(tmp_path / "best.ckpt")["global_step"] == best
    verify(tmp_path / "best.ckpt")
    assert steps_in(tmp_path) == [4]


@pytest.mark.parametrize(("later", "best"), [((4.0, 4.0), 2), ((4.0, 2.0), 4)])
def test_a_resumed_run_knows_the_best_by_its_validations(tmp_path, monkeypatch, later, best):
    metrics(monkeypatch, 0.0, 5.0, 3.0, 3.0, *later)  # the run begins with what may be missing
    fit(2, Checkpoints(tmp_path, monitor="val/x"), **VALIDATED)
    fit(
        4,
        Checkpoints(tmp_path, monitor="val/x"),
        ckpt_path=tmp_path / "last.ckpt",
        **VALIDATED,
    )
    assert load(tmp_path / "best.ckpt")["global_step"] == best


def test_an_unknown_metric_is_told_before_training_with_those_there_are(tmp_path, monkeypatch):
    metrics(monkeypatch, 1.0)
    with pytest.raises(ValueError, match=r"monitor is val/y, but must be one of val/x$"):
        fit(1, Checkpoints(tmp_path, monitor="val/y"), **VALIDATED)
    with pytest.raises(ValueError, match="monitor is val/x, but the run has no validation"):
        fit(1, Checkpoints(tmp_path, monitor="val/x"))
    assert not list(tmp_path.glob("*.ckpt"))


def test_a_checkpoint_says_what_it_was_made_with_and_differences_are_told(tmp_path, recwarn):
    fit(1, Checkpoints(tmp_path))
    noted = load(tmp_path / "last.ckpt")["munit_pl"]
    assert noted["schema"] == noted["world_size"] == 1
    assert noted["precision"] == "32-true"
    assert noted["versions"].keys() == {"python", "torch", "lightning", "munit_pl"}

    def told(**changes):
        checkpoint = load(tmp_path / "last.ckpt")
        checkpoint["munit_pl"] |= changes
        torch.save(checkpoint, tmp_path / "changed.ckpt")
        recwarn.clear()
        fit(2, Checkpoints(tmp_path / "x"), ckpt_path=tmp_path / "changed.ckpt")
        return [str(w.message) for w in recwarn if "other conditions" in str(w.message)]

    assert told() == []
    assert noted["moving average"] == "none"
    assert told(**{"moving average": "of decay 0.9999"}) == [
        "the run goes on under other conditions: moving average of decay 0.9999 became none"
    ]
    assert told(
        world_size=2, precision="16-mixed", versions=noted["versions"] | {"torch": "1"}
    ) == [
        "the run goes on under other conditions: world_size 2 became 1, precision 16-mixed became "
        f"32-true, torch 1 became {noted['versions']['torch']}"
    ]
    with pytest.raises(ValueError, match="written by a newer munit_pl"):
        told(schema=2)


def test_a_checkpoint_of_before_they_were_noted_is_resumed(tmp_path):
    fit(1, Checkpoints(tmp_path))
    checkpoint = load(tmp_path / "last.ckpt")
    del checkpoint["munit_pl"]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    assert fit(2, Checkpoints(tmp_path), ckpt_path=tmp_path / "old.ckpt").global_step == 2


class Recorder(DummyLogger):
    """Notes before which checkpoints it was flushed, and breaks at the last."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.flushed = folder, []

    def save(self):
        if sys._getframe(1).f_code.co_name == "_flush":  # Lightning flushes as well
            self.flushed.append(steps_in(self.folder))
            if len(self.flushed) == 2:
                raise RuntimeError("no route")


def test_curves_are_flushed_before_each_save_and_a_broken_logger_is_no_obstacle(tmp_path):
    logger = Recorder(tmp_path)
    with pytest.warns(UserWarning, match="Recorder could not be saved: no route"):
        fit(4, Checkpoints(tmp_path, every_n_steps=3), logger=logger)
    assert logger.flushed == [[], [3]]
    assert steps_in(tmp_path) == [3, 4]


@pytest.mark.parametrize(
    "settings",
    [
        {"every_n_steps": 0},
        {"every_n_minutes": 0},
        {"every_n_minutes": nan},
        {"keep_last": 0},
        {"max_failures": 0},
        {"monitor": "x", "mode": "least"},
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path, settings):
    with pytest.raises(ValueError, match=list(settings)[-1]):
        Checkpoints(tmp_path, **settings)


TOGETHER = {"strategy": "ddp_find_unused_parameters_true", "devices": 2}


def ranked(rank, port, folder):
    """Be one of two processes; note what came of each part."""
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    for part in (failing, timed, failing_best, failing_end, unwritable):
        (folder / part.__name__).mkdir(exist_ok=True)
        with (folder / part.__name__ / f"{rank}.txt").open("w") as said, redirect_stderr(said):
            outcome = part(folder / part.__name__, rank)
        (folder / part.__name__ / f"{rank}.json").write_text(json.dumps(outcome))


def failing(folder, _):
    fit(4, Checkpoints(folder, every_n_steps=1), io=NoSpace({2}), **TOGETHER)


def timed(folder, rank):
    """The second process's clock says that it is always time."""
    tick = Tick()
    ticks = iter(range(0, 10**9, 10**6))
    checkpoints_file.time = Clock(lambda: next(ticks) if rank else tick.now)
    fit(5, tick, Checkpoints(folder, every_n_minutes=2), **TOGETHER)
    checkpoints_file.time = time


def failing_best(folder, _):
    failures = []
    evaluate = Evaluate(folder, "drawn", "a2b/guided_error", "min", limit=2)

    class Metric(Callback):
        def on_train_batch_end(self, trainer, *_):
            value = float(-trainer.global_step)
            failures.append(evaluate.best.keep(trainer, value, folder / "best.ckpt"))

    fit(2, Metric(), Checkpoints(folder), io=NoSpace({1}), **TOGETHER)
    return failures


def failing_end(folder, _):
    try:
        fit(1, Checkpoints(folder), io=NoSpace({1}), **TOGETHER)
    except SaveError as error:
        return str(error)


def unwritable(folder, _):
    (folder / "file").touch()
    try:
        fit(1, Checkpoints(folder / "file" / "x"), **TOGETHER)
    except OSError as error:
        return str(error)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Run two processes that train together; return of a part its folder and its outcomes."""
    folder = tmp_path_factory.mktemp("two")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["munit_pl.commands.train"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = [server.Process(target=ranked, args=(rank, port, folder)) for rank in (0, 1)]
    for process in started:
        process.start()
    for process in started:
        process.join(100)
        process.kill()  # one that waits for another

    def part(name):
        here = folder / name
        return here, [json.loads((here / f"{rank}.json").read_text()) for rank in (0, 1)]

    return part


@pytest.mark.process
def test_two_processes_go_on_after_a_failed_save(two):
    folder, _ = two("failing")
    assert steps_in(folder) == [1, 3, 4]
    said = [(folder / f"{rank}.txt").read_text() for rank in (0, 1)]
    assert ["NOT SAVED" in text for text in said] == [True, False]


@pytest.mark.process
def test_the_first_process_decides_whether_it_is_time(two):
    """It looks at the clock before an iteration, which then is the one that is saved."""
    assert steps_in(two("timed")[0]) == [3, 5]


@pytest.mark.process
def test_the_best_does_not_keep_processes_waiting_for_each_other(two):
    folder, outcomes = two("failing_best")
    for first, second in outcomes:
        assert "No space left" in first
        assert second is None
    assert load(folder / "best.ckpt")["global_step"] == 2


@pytest.mark.process
def test_two_processes_end_alike_where_the_end_cannot_be_saved(two):
    assert two("failing_end")[1] == ["the run's end, iteration 1, could not be saved"] * 2


@pytest.mark.process
def test_both_processes_learn_that_a_folder_cannot_be_written_to(two):
    folder, outcomes = two("unwritable")
    assert (
        outcomes
        == [f"checkpoints cannot be written to {folder / 'file' / 'x'}: Not a directory"] * 2
    )
