"""Functions applied in subprocesses, with limits of time and memory: decoders may crash."""

import faulthandler
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SECONDS = 30  # for an item; the largest images that are read take 3
BYTES = 2 << 30  # on Linux, beyond what a process has at its start; those take half
_AHEAD = 10_000  # items that wait for a process, at most: each takes a few KB
TOO_MUCH = f"takes the process that reads it more than {SECONDS} s or {BYTES >> 30} GiB, or ends it"


def run_all(
    task: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result | None]:
    """Apply a function to items in other processes, in order.

    Decoders have crashed before. The result of an item that ends its process, or takes longer than
    ``SECONDS``, is None; the others get theirs. What asks for more than ``BYTES`` gets a
    ``MemoryError``.

    Args:
        task: A function that can be pickled, and raises nothing. A process gets it once.
        items: What it is applied to.
        workers: How many processes; 0 is this one, which has no limits.
    """
    if workers == 0:
        yield from map(task, items)
        return
    done = 0
    while done < len(items):
        with _processes(workers, task) as pool:
            try:
                while done < len(items):
                    ahead = items[done : done + _AHEAD]
                    for future in [pool.submit(_timed, item) for item in ahead]:
                        yield future.result()
                        done += 1
            except BrokenProcessPool:  # by one of the next items
                pass
            finally:
                pool.shutdown(cancel_futures=True)
        for item in items[done : done + 2 * workers]:
            yield run_alone(task, item)
            done += 1


def run_alone(
    task: Callable[[Item], Result], item: Item, method: str | None = None
) -> Result | None:
    """Apply a function to one item in a process of its own, as `run_all` does.

    Args:
        task: As of `run_all`.
        item: What it is applied to.
        method: How the process is started, such as "spawn", which programs with threads need.
    """
    with _processes(1, task, method) as pool, suppress(BrokenProcessPool):
        result: Result = pool.submit(_timed, item).result()
        return result
    return None


def _processes(
    workers: int, task: Callable[[Any], Any], method: str | None = None
) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context(method), _begin, (task,))


_task: Callable[[Any], Any]  # in a process that applies one


def _begin(task: Callable[[Any], Any]) -> None:
    """Leave interrupts to the parent, and take no more than so much memory."""
    global _task
    _task = task
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":  # others have no such limit, or do not hold it
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[5])  # of data
        limit = pages * resource.getpagesize() + BYTES
        with suppress(ValueError, OSError):  # where there is a lower one
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _timed(item: object) -> Any:
    """End this process if the task takes too long, whatever code it is in."""
    with open(os.devnull, "w") as nowhere:  # for where it was
        faulthandler.dump_traceback_later(SECONDS, exit=True, file=nowhere)
        try:
            return _task(item)
        finally:
            faulthandler.cancel_dump_traceback_later()
