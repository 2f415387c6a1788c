from collections import Counter
from dataclasses import replace

import pytest
import torch

from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.evaluation.task import DIRECTIONS, EvaluationTask


class OnDevice:
    def __init__(self, name):
        self.device = torch.device(name)


@pytest.fixture
def task():
    train, test = (
        tuple(DrawnShoes(domain, split, n, (16, 16)) for domain in "ab")
        for split, n in (("train", 9), ("test", 5))
    )
    return EvaluationTask(OnDevice("cpu"), train, test)


def test_directions_are_called_after_their_domains():
    assert [str(direction) for direction in DIRECTIONS] == ["a2b", "b2a"]


def test_images_are_those_of_the_domain_and_split(task):
    for domain in "ab":
        assert task.test_images(domain).domain == task.train_images(domain).domain == domain
        assert task.test_images(domain, 5).split == "test"
        assert task.train_images(domain).split == "train"


def test_too_few_test_images_are_told_with_the_limit_that_would_do(task):
    with pytest.raises(
        ValueError, match=r"takes 6 test images of domain b, .* 5: .*--limit 5; .*limit=5\)"
    ):
        task.test_images("b", 6)


def test_no_process_goes_without_an_image(task):
    assert len(replace(task, world_size=5).test_images("a")) == 5
    with pytest.raises(ValueError, match="6 processes cannot share 5 test images of domain a"):
        replace(task, world_size=6).test_images("a")
    with pytest.raises(ValueError, match=r"3 processes cannot share 2 .*: start 2 at most"):
        replace(task, world_size=3).test_images("a", 2)


@pytest.mark.parametrize(("n", "world_size"), [(10, 1), (10, 3), (3, 3), (2, 3), (0, 2)])
def test_each_sample_is_in_one_share(task, n, world_size):
    processes = [replace(task, rank=rank, world_size=world_size) for rank in range(world_size)]
    shares = [list(process.share(n, "")) for process in processes]
    assert sorted(i for share in shares for i in share) == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(("n", "world_size"), [(1, 1), (7, 1), (7, 2), (7, 3), (8, 4)])
def test_values_gathered_from_the_shares_come_in_the_samples_order(task, n, world_size):
    processes = [replace(task, rank=rank, world_size=world_size) for rank in range(world_size)]
    gathered = torch.tensor([10.0 * i for process in processes for i in process.share(n, "")])
    assert processes[0].in_order(gathered) == [10.0 * i for i in range(n)]


@pytest.mark.parametrize("k", [1, 4, 5, 6, 10, 12])
def test_all_are_drawn_before_any_is_drawn_again(task, k):
    times = Counter(task.choose(5, k, "here"))
    assert sum(times.values()) == k
    assert set(times) <= set(range(5))
    assert {times[i] for i in range(5)} <= {k // 5, -(-k // 5)}


def test_what_is_drawn_is_a_function_of_seed_and_place(task):
    drawn = task.choose(100, 100, "here", 1)
    assert task.choose(100, 100, "here", 1) == drawn
    assert task.choose(100, 50, "here", 1) == drawn[:50]
    assert replace(task, rank=1, world_size=2).choose(100, 100, "here", 1) == drawn
    assert task.choose(100, 100, "here", 2) != drawn
    assert replace(task, seed=1).choose(100, 100, "here", 1) != drawn


@pytest.mark.parametrize(("where", "sums"), [("cpu", "cpu"), ("cuda:1", "cuda:1"), ("mps", "cpu")])
def test_sums_are_kept_where_float64_is(task, where, sums):
    assert replace(task, translator=OnDevice(where)).device == torch.device(sums)
