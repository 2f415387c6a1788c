import os
import signal
import time
import warnings
from multiprocessing import get_context, set_forkserver_preload
from types import SimpleNamespace

import pytest
from runs import SERVER

from munit_pl.data import worker_processes as workers
from munit_pl.data.worker_processes import (
    WorkerMonitor,
    explain,
    note_reading,
    warn_of_little_shared_memory,
)

FORK = get_context("fork")


def work(watch, worker, file, ready, leave):
    watch(worker)
    note_reading(file)
    ready.set()
    leave.wait(60)


class Worker:
    """A process that works as worker 1 of 2, until the test is through."""

    def __init__(self, context=FORK, file="a/1.png"):
        self.watch = WorkerMonitor(2)
        self.ready, self.leave = context.Event(), context.Event()
        arguments = (self.watch, 1, file, self.ready, self.leave)
        self.process = context.Process(target=work, args=arguments, daemon=True)
        self.process.start()
        assert self.ready.wait(60)

    def end(self):
        self.leave.set()
        self.process.join(20)
        return self.process.exitcode


def send_from_another_process(pid, number):
    """As a scheduler does."""
    sender = FORK.Process(target=os.kill, args=(pid, number))
    sender.start()
    sender.join()


# What a server forks is given its arguments as a spawned process is, and starts sooner.
@pytest.mark.process
@pytest.mark.parametrize("context", [FORK, SERVER])
def test_a_worker_tells_what_it_is_reading_however_it_was_started(context):
    worker = Worker(context, os.fsdecode(b"a/\xff.png"))
    ((since, told),) = worker.watch.reading()
    assert abs(time.time() - since) < 60
    assert told == "worker 1, which was reading 'a/\\udcff.png'"
    assert worker.watch.reading(worker.process.pid) == [(since, told)]
    assert worker.watch.reading(worker.process.pid + 1) == []
    assert worker.end() == 0


def test_a_worker_lives_on_when_all_processes_of_a_job_are_signalled():
    worker = Worker()
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM):
        send_from_another_process(worker.process.pid, number)
    worker.process.join(0.3)
    assert worker.end() == 0


def test_a_worker_does_not_live_on_for_ever(monkeypatch):
    monkeypatch.setattr(workers, "_GRACE", 1)
    worker = Worker()
    send_from_another_process(worker.process.pid, signal.SIGTERM)
    worker.process.join(20)
    assert worker.process.exitcode == -signal.SIGALRM


@pytest.mark.process
@pytest.mark.parametrize("context", [FORK, SERVER])
def test_a_worker_ends_at_once_when_the_main_process_says_so(context):
    worker = Worker(context)
    worker.process.terminate()
    worker.process.join(20)
    assert worker.process.exitcode == 0


def follow(watch, alive):
    watch(0)
    alive.send("ready")
    time.sleep(60)


def lead(method, alive):
    """Be a main process that has a worker, until it is killed."""
    set_forkserver_preload([])  # of a server of its own, which need not know how to train
    get_context(method).Process(target=follow, args=(WorkerMonitor(1), alive)).start()
    alive.close()
    time.sleep(60)


# What forks the worker is the main process itself, or a server.
@pytest.mark.process
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_a_worker_ends_with_a_main_process_that_is_killed(method):
    ours, theirs = SERVER.Pipe(duplex=False)
    main = SERVER.Process(target=lead, args=(method, theirs))
    main.start()
    theirs.close()
    assert ours.recv() == "ready"
    main.kill()
    assert ours.poll(20)
    with pytest.raises(EOFError):  # nobody holds the other end
        ours.recv()


def test_outside_of_workers_nothing_is_noted():
    watch = WorkerMonitor(1)
    note_reading("a/1.png")
    assert watch.reading() == []


def noted(*entries):
    """A watch whose workers read these files, of processes 100, 101 and so on."""
    watch = WorkerMonitor(len(entries))
    for number, (slot, (since, file)) in enumerate(zip(watch._slots, entries, strict=True)):
        slot.pid, slot.since, slot.file = 100 + number, since, file
    return watch


def test_of_stuck_workers_the_one_that_reads_for_longest_is_named():
    monitors = [noted((30.0, b"x"), (0.0, b"")), noted((40.0, b"z"), (20.0, b"y"))]
    told = explain("DataLoader timed out after 300 seconds", monitors)
    assert told.startswith("no images came for 300 seconds: worker 1, which was reading 'y'; ")
    assert told.endswith("or raise data.timeout")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "DataLoader worker (pid 101) is killed by signal: Killed. ",
            "worker 1, which was reading 'y', is killed by signal: Killed: if memory",
        ),
        (
            "DataLoader worker (pid(s) 100, 101) exited unexpectedly",
            "worker 0, which was reading 'x'; worker 1, which was reading 'y', exited unexp",
        ),
        (
            "DataLoader worker (pid 5) exited unexpectedly with exit code 1. Details are lost",
            "a worker, which was reading no file, exited unexpectedly with exit code 1: if",
        ),
        (
            "DataLoader worker (pid 100) is killed by signal: Bus error. It is possible that",
            "worker 0, which was reading 'x', is killed by signal: Bus error: /dev/shm is full",
        ),
    ],
)
def test_dead_workers_are_named_with_what_to_do(message, told):
    explained = explain(message, [noted((1.0, b"x"), (2.0, b"y"))])
    assert explained.startswith(told)
    assert explained.endswith("fewer workers (num_workers)")


def test_full_shared_memory_is_told_with_what_to_do():
    for said in (
        "unable to allocate shared memory(shm) for file </torch_2_3_0>: No space left on device",
        "unable to mmap 400 bytes from file </torch_2_3_0>: Cannot allocate memory (12)",
        "unable to write to file </torch_2_3_0>: No space left on device (28)",
    ):
        caught = f"Caught RuntimeError in DataLoader worker process 0.\nRuntimeError: {said}"
        assert explain(caught, []).startswith("/dev/shm is full: give a container more")
    assert explain("unable to write to file 'x.png'", []) is None


@pytest.fixture
def shared_memory(monkeypatch):
    """64 MiB, as a container has by default."""
    free = SimpleNamespace(f_bavail=2**14, f_frsize=2**12)
    monkeypatch.setattr(workers.os, "statvfs", lambda path: free, raising=False)


def test_too_little_shared_memory_is_warned_of_with_the_workers_that_fit(shared_memory):
    # 8 workers, 2 batches each of 5 MiB: 80 MiB. Of 10 MiB a worker, 6 fit.
    message = "8 workers hand over up to 80 MiB through /dev/shm, which has 64 MiB left: .* to 6 or"
    with pytest.warns(UserWarning, match=message):
        warn_of_little_shared_memory(8, 5 * 2**20)


@pytest.mark.parametrize(("num_workers", "batch_bytes"), [(8, 4 * 2**20), (0, 2**40)])
def test_enough_shared_memory_is_no_matter(shared_memory, num_workers, batch_bytes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_little_shared_memory(num_workers, batch_bytes)
