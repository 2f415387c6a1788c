import os
import re
import signal
import sys
import time

import pytest

from munit_pl.data import isolated_processes as crashproof
from munit_pl.data.isolated_processes import BYTES, run_all, run_alone

pytestmark = pytest.mark.process


def squared(number):
    return number * number


def squared_unless_killed(number):
    """A decoder that crashes at multiples of 7, and takes its time at one of them."""
    if number % 7 == 0:
        time.sleep(0.05 * (number == 14))
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def matched(text):
    """A library that hangs without giving Python a chance."""
    return bool(re.match("(a+)+$", text))


def allocated(gigabytes):
    try:
        return len(bytearray(gigabytes << 30))
    except MemoryError:
        return "MemoryError"


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_order(workers):
    assert list(run_all(squared, range(20), workers)) == [n * n for n in range(20)]


@pytest.mark.parametrize("workers", [1, 2])
def test_only_what_ends_its_process_has_no_result(workers):
    expected = [n * n if n % 7 else None for n in range(1, 23)]
    assert list(run_all(squared_unless_killed, range(1, 23), workers)) == expected


def test_workers_leave_interrupts_to_the_parent():
    (handler,) = run_all(signal.getsignal, [signal.SIGINT], 1)
    assert handler is signal.SIG_IGN


def test_who_stops_asking_does_not_wait_for_the_rest():
    results = run_all(time.sleep, [0, *[0.2] * 200], 2)
    next(results)
    start = time.perf_counter()
    results.close()
    assert time.perf_counter() - start < 10  # 20 seconds of work are left


def test_what_takes_too_long_has_no_result(monkeypatch):
    monkeypatch.setattr(crashproof, "SECONDS", 1)
    texts = ["a", "a" * 50 + "b", "b"]
    assert list(run_all(matched, texts, 1)) == [True, None, False]
    assert run_alone(matched, texts[0]) is True


@pytest.mark.skipif(sys.platform != "linux", reason="no other system holds such a limit")
def test_what_takes_too_much_memory_is_told_so():
    assert list(run_all(allocated, [1, (BYTES >> 30) + 1], 1)) == [1 << 30, "MemoryError"]
