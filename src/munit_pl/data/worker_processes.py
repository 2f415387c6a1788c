"""Signals, progress and crashes of the loader's worker processes.

A scheduler signals all processes of a job at once. The main process then finishes its iteration and
saves, for which it needs its workers; PyTorch raises in mid-iteration when one of them dies.
"""

import ctypes
import math
import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Sequence
from multiprocessing import RawArray, parent_process
from multiprocessing.process import BaseProcess

_GRACE = 60  # seconds that a worker outlives SIGTERM
_PREFETCHED = 2  # batches of each worker, PyTorch's default
_SHARED_MEMORY = "/dev/shm"


class _Slot(ctypes.Structure):
    _fields_ = (
        ("pid", ctypes.c_int64),
        ("since", ctypes.c_double),  # on the system's clock, which all processes share
        ("file", ctypes.c_char * 4096),
    )


_slot: _Slot | None = None  # this process's, if it is a worker


class WorkerMonitor:
    """Which file each worker is reading, in memory shared with the main process.

    It is a `DataLoader`'s ``worker_init_fn``: called in each new worker.

    Args:
        num_workers: How many workers there are.
    """

    def __init__(self, num_workers: int) -> None:
        # Without a lock, which a killed worker would never release.
        self._slots = RawArray(_Slot, num_workers)

    def __call__(self, worker: int) -> None:
        """Set up the process that calls this as worker number ``worker``."""
        global _slot
        _slot = self._slots[worker]
        _slot.pid = os.getpid()
        if (run := parent_process()) is not None:
            _ignore_signals(run)
            threading.Thread(target=_exit_with, args=(run,), daemon=True).start()

    def reading(self, pid: int | None = None) -> list[tuple[float, str]]:
        """Return which worker has been reading which file since when, of one process or of all."""
        return [
            (slot.since, f"worker {worker}, which was reading {os.fsdecode(slot.file)!r}")
            for worker, slot in enumerate(self._slots)
            if slot.file and pid in (None, slot.pid)
        ]


def note_reading(file: str) -> None:
    """Record which file this process, if it is a worker, is about to read; "" when it is done."""
    if _slot is not None:
        _slot.file = os.fsencode(file)[:4095]
        _slot.since = time.time()


def _ignore_signals(run: BaseProcess) -> None:
    for name in ("SIGINT", "SIGUSR1"):  # Windows has no SIGUSR1
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # macOS has none
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_delay_sigterm, args=(run,), daemon=True).start()


def _delay_sigterm(run: BaseProcess) -> None:
    """Exit ``_GRACE`` seconds after SIGTERM; at once if the main process sent it.

    In a thread, since a signal handler is not told the sender and runs only between bytecodes.
    """
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != run.pid:
        signal.alarm(signal.alarm(0) or _GRACE)  # a second one takes no more time
    os._exit(0)


def _exit_with(run: BaseProcess) -> None:
    """Exit once the main process is gone, even if it was killed.

    PyTorch's workers watch the process that forked them. A fork server, the default on Linux from
    Python 3.14 on, lives as long as its workers: neither would ever exit.
    """
    run.join()
    os._exit(1)


def explain(message: str, monitors: Sequence[WorkerMonitor]) -> str | None:
    """Explain PyTorch's message about its workers; return None if it is about something else.

    Args:
        message: Of the error that a `DataLoader`, or its handler of signals, raised.
        monitors: Of all loaders' workers.
    """
    if late := re.match(r"DataLoader timed out after ([\d.]+) seconds", message):
        reading = [entry for watch in monitors for entry in watch.reading()]
        who = min(reading)[1] if reading else "no worker was reading a file"
        return (
            f"no images came for {late[1]} seconds: {who}; see whether its disk or network "
            "answers, or raise data.timeout"
        )
    full = f"{_SHARED_MEMORY} is full: give a container more (--shm-size), or take"
    if re.search(r"unable to (?:allocate|open|write|mmap|resize) .*(?:\(shm\)|</torch_)", message):
        return f"{full} fewer workers (num_workers) or smaller batches"
    dead = re.match(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) ([^.]+)", message)
    if dead is None:
        return None
    pids = [int(pid) for pid in dead[1].split(",")]
    reading = [entry for watch in monitors for pid in pids for entry in watch.reading(pid)]
    who = "; ".join(worker for _, worker in reading) or "a worker, which was reading no file"
    remedy = full if "Bus error" in dead[2] else "if memory ran out, take"
    return f"{who}, {dead[2].strip()}: {remedy} fewer workers (num_workers)"


def warn_of_little_shared_memory(num_workers: int, batch_bytes: int) -> None:
    """Warn if the batches that workers have prefetched may not fit into shared memory."""
    try:
        free = os.statvfs(_SHARED_MEMORY)
    except (OSError, AttributeError):  # a system without
        return
    needed = num_workers * _PREFETCHED * batch_bytes
    if needed <= free.f_bavail * free.f_frsize:
        return
    enough = free.f_bavail * free.f_frsize // (_PREFETCHED * batch_bytes)
    warnings.warn(
        f"{num_workers} workers hand over up to {math.ceil(needed / 2**20)} MiB through "
        f"{_SHARED_MEMORY}, which has {free.f_bavail * free.f_frsize // 2**20} MiB left: give a "
        f"container more (--shm-size), or set data.num_workers to {enough} or less",
        stacklevel=2,
    )
