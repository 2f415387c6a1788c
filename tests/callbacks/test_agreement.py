import time
from types import SimpleNamespace

import pytest
from ranks import in_two_processes
from torch import distributed

from munit_pl.callbacks.agreement import Agreement, agreement_of


def test_who_is_alone_learns_at_once():
    agreement, numbers = Agreement(SimpleNamespace(world_size=1)), [1]
    agreement.join("x", lambda: numbers[0])
    agreement.begin()
    numbers[0] = 5
    assert agreement.maximum("x") == 5


def test_callbacks_of_a_trainer_share_one():
    trainer, other = SimpleNamespace(world_size=1), SimpleNamespace(world_size=1)
    assert agreement_of(trainer) is agreement_of(trainer)
    assert agreement_of(trainer) is not agreement_of(other)


def exchanged(rank, folder):
    distributed.init_process_group("gloo")
    agreement = Agreement(SimpleNamespace(world_size=2))
    numbers = {"x": 10 + rank, "y": 7 - rank}
    for name in numbers:
        agreement.join(name, lambda name=name: numbers[name])
    begun = folder / "begun"
    deadline = time.monotonic() + 30
    while rank and not begun.exists():  # it begins when the other has done so, and gone on
        assert time.monotonic() < deadline
        time.sleep(0.01)
    agreement.begin()
    begun.touch()
    numbers["x"] = 100  # of the next exchange
    agreement.begin()
    first = agreement.maximum("x"), agreement.maximum("y")
    agreement.begin()
    return first, agreement.maximum("x")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return in_two_processes(exchanged, folder, folder, seconds=60)


@pytest.mark.process
def test_to_begin_waits_for_nobody_and_all_learn_the_largest_of_when_they_began(two):
    assert [first for first, _ in two] == [(11, 7)] * 2


@pytest.mark.process
def test_what_is_said_meanwhile_counts_in_the_next_exchange(two):
    assert [second for _, second in two] == [100, 100]
