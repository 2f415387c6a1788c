import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from runs import DDP, SMALL, Run, load

from munit_pl import DrawnDataModule
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.stop_request import RunStopped, request_stop
from munit_pl.callbacks.stopping import GracefulStop, final_metrics
from munit_pl.data.skipped_files import StopReason
from munit_pl.testing.fault_injection import FaultInjection


@pytest.fixture
def make_trainer(tmp_path):
    def make(*callbacks, **options):
        return Trainer(
            accelerator="cpu",
            max_steps=4,
            logger=False,
            enable_checkpointing=True,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[GracefulStop(), Checkpoints(tmp_path / "checkpoints"), *callbacks],
            **options,
        )

    return make


def data():
    return DrawnDataModule(size=(16, 16), length=4, test_length=2)


def saved_steps(folder):
    return [load(file)["global_step"] for file in sorted((folder / "checkpoints").glob("0*.ckpt"))]


@pytest.mark.parametrize(
    ("kind", "status"), [("sigterm", 143), ("sigint", 130), ("sigusr1", 128 + signal.SIGUSR1)]
)
def test_a_signal_ends_the_run_after_its_iteration_saved_and_with_its_own_status(
    make_trainer, method, tmp_path, kind, status
):
    before = signal.getsignal(signal.SIGTERM)
    trainer = make_trainer(FaultInjection(kind, step=2), limit_val_batches=0)
    with pytest.raises(RunStopped, match=r"SIG\w+: stopped after iteration 2, saved") as stopped:
        trainer.fit(method.make(), data())
    assert stopped.value.code == status
    assert saved_steps(tmp_path) == [2]
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("method", ["munit"], indirect=True)
def test_a_signal_during_the_first_validation_counts(make_trainer, method, tmp_path):
    class During(FaultInjection):
        def on_validation_batch_start(self, *_):
            os.kill(os.getpid(), signal.SIGTERM)

    trainer = make_trainer(During("exception", step=100), num_sanity_val_steps=1)
    with pytest.raises(RunStopped):
        trainer.fit(method.make(), data())
    assert saved_steps(tmp_path) == [1]


@pytest.mark.parametrize("method", ["munit"], indirect=True)
def test_a_signal_ends_the_final_metrics_at_once_with_the_run_saved(make_trainer, method, tmp_path):
    class Computes(Callback):
        computed = 0

        def __init__(self, early):
            self.early = early

        def on_train_batch_start(self, trainer, *_):
            if self.early and trainer.global_step == 3:
                os.kill(os.getpid(), signal.SIGTERM)

        def on_train_end(self, trainer, *_):
            with final_metrics(trainer):
                self.computed += 1
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
                self.computed += 1

    for early, computed in ((False, 1), (True, 0)):
        computes = Computes(early)
        trainer = make_trainer(computes, limit_val_batches=0)
        with pytest.raises(
            RunStopped, match="SIGTERM: all 4 iterations are saved, no metrics"
        ) as end:
            trainer.fit(method.make(), data())
        assert (end.value.code, computes.computed) == (143, computed)
        assert saved_steps(tmp_path) == [4]


@pytest.mark.parametrize("method", ["munit"], indirect=True)
def test_data_that_gives_a_reason_to_stop_ends_the_run_saved(make_trainer, method, tmp_path):
    class TooManyBad(DrawnDataModule):
        stop_reason = StopReason(65, "3 of 5 images are bad")

    datamodule = TooManyBad(size=(16, 16), length=4, test_length=2)
    with pytest.raises(RunStopped, match="3 of 5 images are bad: stopped after iteration 1") as end:
        make_trainer().fit(method.make(), datamodule)
    assert end.value.code == 65
    assert saved_steps(tmp_path) == [1]


@pytest.mark.parametrize("method", ["munit"], indirect=True)
def test_the_first_request_counts(make_trainer, method):
    class Asks(FaultInjection):
        def on_train_batch_start(self, trainer, *_):
            request_stop(trainer, 70, "first")
            request_stop(trainer, 74, "second")

    with pytest.raises(RunStopped, match="first") as stopped:
        make_trainer(Asks("exception", step=100)).fit(method.make(), data())
    assert stopped.value.code == 70


def test_a_request_without_anyone_to_hear_it_is_an_error(method):
    with pytest.raises(RuntimeError, match="too many"):
        request_stop(Trainer(accelerator="cpu", logger=False), 65, "too many")


def test_lightning_still_has_the_poll_that_is_taken_away():
    """Its broadcast hangs where not all processes got the signal; see `GracefulStop`."""
    assert callable(_TrainingEpochLoop._broadcast_sigterm_tensor)


def settings(method, folder, *others):
    return [*SMALL, *method.overrides, "trainer.max_steps=100000", f"output_dir={folder}", *others]


def wait_for(file):
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def send(processes, pause):
    for process in processes:
        os.kill(process.pid, signal.SIGTERM)
        time.sleep(pause)


@pytest.mark.process
@pytest.mark.parametrize("method", ["munit"], indirect=True)
@pytest.mark.parametrize(
    ("ranks", "pause"),
    [
        ([0], 0),
        ([1], 0),
        ([0, 1], 0.03),
        pytest.param([0, 1], 0, marks=pytest.mark.slow),
        pytest.param([1, 0], 0.03, marks=pytest.mark.slow),
    ],
)
def test_two_processes_stop_at_the_same_iteration_whichever_gets_the_signal(
    method, tmp_path, ranks, pause
):
    folder = tmp_path / "run"
    every = "callbacks.checkpoints.every_n_steps=5"
    run = Run(tmp_path, settings(method, folder, every, *DDP), processes=2)
    wait_for(folder / "checkpoints/last.ckpt")
    send([run.processes[rank] for rank in ranks], pause)
    statuses, said = run.wait(60)
    assert statuses == [143, 143], said
    last = load(folder / "checkpoints/last.ckpt")
    assert f"stopped after iteration {last['global_step']}, saved" in "".join(said)
    assert all(w.isfinite().all() for w in last["state_dict"].values())


@pytest.mark.process
@pytest.mark.parametrize("method", ["munit"], indirect=True)
@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_command_that_starts_its_processes_itself_leaves_with_the_signals_status(
    method, tmp_path, rank
):
    """Lightning's launcher kills the first process when another leaves with a status.

    Processes learn after an iteration what was asked for before it, so it ends with the next one.
    """
    faults = [
        "callbacks=[default,fault_injection]",
        "callbacks.fault.kind=sigterm",
        "callbacks.fault.step=2",
    ]
    given = settings(method, tmp_path / "run", *faults, f"callbacks.fault.rank={rank}", *DDP)
    command = [sys.executable, "-m", "munit_pl.commands.train", *given, "run=x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 143, done.stderr
    assert "SIGTERM: stopped after iteration 3, saved" in done.stderr
    assert (
        done.stdout.count(" output_dir=run ckpt_path=last")
        == done.stdout.count("munit-translate ")
        == 1
    )
    assert load(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 3


@pytest.mark.process
@pytest.mark.parametrize("method", ["munit"], indirect=True)
def test_a_second_ctrl_c_ends_the_process_at_once_and_touches_no_file(method, tmp_path):
    fault = ["callbacks=[default,fault_injection]", "callbacks.fault.kind=sigint_twice"]
    run = Run(tmp_path, settings(method, tmp_path / "run", *fault, "callbacks.fault.step=3"))
    statuses, _ = run.wait()
    assert statuses == [130]
    assert not list((tmp_path / "run").glob("checkpoints/*.ckpt"))


def test_weights_after_a_stop_are_those_of_the_iteration(make_trainer, method, tmp_path):
    """What is saved is no half of an iteration."""

    def fit(*callbacks, steps):
        torch.manual_seed(0)
        module = method.make()
        trainer = make_trainer(*callbacks, limit_val_batches=0)
        trainer.fit_loop.epoch_loop.max_steps = steps
        with suppress(RunStopped):
            trainer.fit(module, data())
        return [p.detach().clone() for p in module.parameters()]

    stopped, whole = fit(FaultInjection("sigterm", step=2), steps=4), fit(steps=2)
    assert all(torch.equal(a, b) for a, b in zip(stopped, whole, strict=True))
