"""Work on many files in other processes, of which some may not survive."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_all(
    task: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result | None]:
    """Apply a function to items in other processes, in order.

    Decoders have crashed before, and a system ends processes that take too much memory. Such an
    item's result is None; the others get theirs.

    Args:
        task: A function that can be pickled, and raises nothing.
        items: What it is applied to.
        workers: How many processes; 0 is this one.
    """
    if workers == 0:
        yield from map(task, items)
        return
    done = 0
    while done < len(items):
        with _processes(workers) as pool:
            futures = [pool.submit(task, item) for item in items[done:]]
            try:
                for future in futures:
                    yield future.result()
                    done += 1
            except BrokenProcessPool:  # by one of the next items
                pass
            finally:
                pool.shutdown(cancel_futures=True)
        for item in items[done : done + 2 * workers]:
            yield _run_alone(task, item)
            done += 1


def _run_alone(task: Callable[[Item], Result], item: Item) -> Result | None:
    with _processes(1) as pool, suppress(BrokenProcessPool):
        return pool.submit(task, item).result()
    return None


def _processes(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, initializer=_leave_interrupts_to_the_parent)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
