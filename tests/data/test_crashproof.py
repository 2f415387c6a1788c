import os
import signal
import time

import pytest

from munit_pl.data.crashproof import run_all

pytestmark = pytest.mark.process


def squared(number):
    return number * number


def squared_unless_killed(number):
    """A decoder that crashes at multiples of 7, and takes its time at one of them."""
    if number % 7 == 0:
        time.sleep(0.05 * (number == 14))
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


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
