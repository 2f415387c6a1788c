"""Workers, hangs, and processes that die."""

import signal
import time
from functools import partial
from pathlib import Path

from fault_rows.checks import Row, checkpoint, ended, ensure, saved_steps, told
from fault_rows.machine import with_small_disk
from fault_rows.stage import CHECKPOINTS, DDP, Stage, fault
from fault_rows.stops import LONG


def worker(kind: str, settings: list[str], status: int, pattern: str, stage: Stage) -> None:
    stage.draw()
    chosen = ["data.num_workers=1", "trainer.max_steps=20", *settings]
    outcome = stage.train(*chosen, *fault(kind, step=12))  # workers read ahead
    ended(outcome, status, r"worker 0, which was reading '\S+\.(png|jpg)'", pattern)
    checkpoint(stage)


def small_shared_memory(stage: Stage) -> None:
    stage.draw()
    settings = ["data.num_workers=2", "data.batch_size=64", "data.resize=64", "data.crop=[64,64]"]
    command = stage.start_train(*settings, prefix=with_small_disk(Path("/dev/shm"), "4m"))
    outcome = command.wait()
    ensure("shm" in outcome.said, f"exit {outcome.status}, and shm is not said")


def watchdog(stage: Stage) -> None:
    """It ends the process, and prints where it hung."""
    stage.draw()
    outcome = stage.train(*DDP, "callbacks.watchdog.minutes=0.15", *fault("hang", step=4))
    ensure(outcome.status != 0, "exit 0")
    ensure("_hang" in outcome.said, "where it hung is not said")
    checkpoint(stage, 2)


def killed(rank: int, stage: Stage) -> None:
    stage.draw()
    command = stage.start_train(*LONG, *DDP)
    command.wait_for(CHECKPOINTS / "00000010.ckpt")
    command.send(signal.SIGKILL, rank)
    start = time.monotonic()
    outcome = command.wait()
    ensure(outcome.status != 0, "exit 0")
    ensure(time.monotonic() - start < 30, f"took {time.monotonic() - start:.0f} s to end")
    checkpoint(stage)


def exception(rank: int, stage: Stage) -> None:
    stage.draw()
    outcome = stage.train(*DDP, *fault("exception", step=4, rank=rank))
    ensure(outcome.status not in (0, 2), f"exit {outcome.status}")
    ensure("a fault was injected" in outcome.said, "the error is not said")
    ensure(saved_steps(stage) == [2], f"checkpoints of {saved_steps(stage)} are there")
    checkpoint(stage)


def out_of_memory(stage: Stage) -> None:
    stage.draw()
    outcome = stage.train(*fault("out_of_memory", step=4))
    told(outcome, 1, "memory", "batch_size|crop|accumulate")
    checkpoint(stage, 2)


_TOLD = "worker, file and remedy are told; checkpoints whole; exit"
ROWS = [
    Row("worker: killed", f"{_TOLD} 1", partial(worker, "worker_killed", [], 1, "num_workers")),
    Row(
        "worker: hangs",
        f"{_TOLD} 75",
        partial(worker, "worker_hangs", ["data.timeout=5"], 75, "5 s|timeout"),
    ),
    Row("worker: /dev/shm of 4 MB", "warned of at the start", small_shared_memory),
    Row("process: rank 0 of two hangs", "the watchdog says where; both end", watchdog),
    Row("process: rank 1 of two is killed", "all gone within 30 s", partial(killed, 1)),
    Row("process: rank 0 of two is killed", "all gone within 30 s", partial(killed, 0)),
    Row("process: an exception in rank 0 of two", "told; both end", partial(exception, 0)),
    Row("process: an exception in rank 1 of two", "told; both end", partial(exception, 1)),
    Row("process: out of the GPU's memory (injected)", "one line with the remedy", out_of_memory),
]
