import time
from types import SimpleNamespace

import pytest
from ranks import in_two_processes
from torch import distributed

from munit_pl.callbacks.consensus import ProcessConsensus, consensus_of


def test_who_is_alone_learns_at_once():
    consensus, numbers = ProcessConsensus(SimpleNamespace(world_size=1)), [1]
    consensus.join("x", lambda: numbers[0])
    consensus.begin()
    numbers[0] = 5
    assert consensus.maximum("x") == 5


def test_callbacks_of_a_trainer_share_one():
    trainer, other = SimpleNamespace(world_size=1), SimpleNamespace(world_size=1)
    assert consensus_of(trainer) is consensus_of(trainer)
    assert consensus_of(trainer) is not consensus_of(other)


def exchanged(rank, folder):
    distributed.init_process_group("gloo")
    consensus = ProcessConsensus(SimpleNamespace(world_size=2))
    numbers = {"x": 10 + rank, "y": 7 - rank}
    for name in numbers:
        consensus.join(name, lambda name=name: numbers[name])
    begun = folder / "begun"
    deadline = time.monotonic() + 30
    while rank and not begun.exists():  # it begins when the other has done so, and gone on
        assert time.monotonic() < deadline
        time.sleep(0.01)
    consensus.begin()
    begun.touch()
    numbers["x"] = 100  # of the next exchange
    consensus.begin()
    first = consensus.maximum("x"), consensus.maximum("y")
    consensus.begin()
    return first, consensus.maximum("x")


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
