from collections import Counter

import pytest
import torch
from number_domains import UNDECODABLE, Numbers

from munit_pl.data.datasets import TrainingPairs, ValidationPairs
from munit_pl.data.sample_order import sample_at
from munit_pl.data.sampler import StreamSampler
from munit_pl.randomness import rng_for


def order(n, positions, domain="a", seed=0):
    return [sample_at(p, n, domain, seed) for p in positions]


def test_each_pass_reads_each_image_once_in_an_order_of_its_own():
    passes = [order(50, range(50 * i, 50 * i + 50)) for i in range(4)]
    for indices in passes:
        assert sorted(indices) == list(range(50))
    assert len({tuple(indices) for indices in passes}) == 4


def test_order_depends_on_the_seed():
    assert order(50, range(50), seed=0) != order(50, range(50), seed=1)


def test_domains_of_equal_length_are_not_paired():
    pairs = TrainingPairs(Numbers(50), Numbers(50))
    met = [(int(a[0]), int(b[0])) for a, b, *_ in (pairs[p] for p in range(200))]
    equal = sum(a == b for a, b in met)
    assert equal < 20  # 4 are expected by chance
    # The same pair seldom meets again, as it would if one order followed the other.
    assert Counter(met).most_common(1)[0][1] <= 3


def test_the_shorter_domain_is_shuffled_anew_on_each_pass():
    pairs = TrainingPairs(Numbers(3), Numbers(10))
    assert len(pairs) == 10
    read = [pairs[p] for p in range(30)]
    assert Counter(int(a[0]) for a, *_ in read) == {0: 10, 1: 10, 2: 10}
    assert Counter(int(b[0]) for _, b, *_ in read) == dict.fromkeys(range(10), 3)
    passes = {tuple(int(a[0]) for a, *_ in read[3 * i : 3 * i + 3]) for i in range(10)}
    assert len(passes) > 2


def test_augmentation_is_a_function_of_seed_domain_and_position():
    pairs = TrainingPairs(Numbers(5), Numbers(5), seed=1)
    assert torch.equal(pairs[7][0], pairs[7][0])
    draws = {
        pairs[7][0][1].item(),
        pairs[7][1][1].item(),
        pairs[8][0][1].item(),
        TrainingPairs(Numbers(5), Numbers(5), seed=2)[7][0][1].item(),
    }
    assert len(draws) == 4


def test_pairs_share_the_order_and_the_augmentation_of_domain_a():
    paired = TrainingPairs(Numbers(5), Numbers(5), seed=1, paired=True)
    unpaired = TrainingPairs(Numbers(5), Numbers(5), seed=1)
    for position in (0, 3, 7, 12):
        a, b, *_ = paired[position]
        assert torch.equal(a, b)
        assert torch.equal(a, unpaired[position][0])


def test_pairs_of_unequal_domains_are_refused():
    with pytest.raises(ValueError, match="domain a has 5 images and domain b 6, but pairs need"):
        TrainingPairs(Numbers(5), Numbers(6), paired=True)


def test_validation_reads_every_image_in_order_without_augmentation():
    pairs = ValidationPairs(Numbers(2), Numbers(3))
    read = [[x.tolist() for x in pairs[i][:2]] for i in range(len(pairs))]
    assert read == [[[i % 2, -1], [i, -1]] for i in range(3)]


def sampler(iteration=0, batch_size=2, replicas=1, rank=0, n=10):
    pairs = TrainingPairs(Numbers(n), Numbers(3))
    return StreamSampler(pairs, batch_size, lambda: iteration, replicas, rank)


def test_sampler_starts_where_the_run_is():
    assert list(sampler(0))[:4] == [0, 1, 2, 3]
    assert list(sampler(7))[:4] == [14, 15, 16, 17]


@pytest.mark.parametrize(("n", "batch_size", "batches"), [(10, 2, 5), (9, 2, 5), (1, 4, 1)])
def test_an_epoch_is_a_pass_over_the_longer_domain_in_whole_batches(n, batch_size, batches):
    s = StreamSampler(TrainingPairs(Numbers(n), Numbers(1)), batch_size, lambda: 0)
    assert len(s) == len(list(s)) == batches * batch_size


def test_batches_of_all_processes_together_are_the_next_positions():
    first, second = (iter(sampler(replicas=2, rank=rank)) for rank in (0, 1))
    together = [next(rank) for rank in (first, first, second, second) * 2]
    assert together == [0, 1, 2, 3, 4, 5, 6, 7]


def test_a_sampler_may_start_before_its_time():
    s = sampler(7)
    s.ahead = 1
    assert list(s)[:4] == [16, 17, 18, 19]


# Replacement


def position_of(index, n, domain="a", seed=0):
    return next(p for p in range(n) if sample_at(p, n, domain, seed) == index)


def test_a_replacement_is_a_function_of_seed_stream_position_and_attempt():
    n, broken = 20, 13
    position = position_of(broken, n, seed=4)
    pairs = TrainingPairs(Numbers(n, {broken: UNDECODABLE}), Numbers(3), seed=4)
    rng = rng_for(4, "substitute", "a", position, 1)
    index = int(torch.randint(n, (), generator=rng))
    assert index != broken
    expected = [index, torch.rand(1, generator=rng).item()]
    assert pairs[position][0].tolist() == pytest.approx(expected, abs=1e-7)


def test_only_the_places_of_a_broken_image_change():
    sound = TrainingPairs(Numbers(9), Numbers(9))
    broken = TrainingPairs(Numbers(9, {5: UNDECODABLE}), Numbers(9))
    for position in reversed(range(27)):  # what was read before makes no difference
        here, there = broken[position], sound[position]
        assert torch.equal(here.x_b, there.x_b)
        if there.x_a[0] == 5:
            assert here.x_a[0] != 5
            (bad,) = here.skipped
            assert (bad.domain, bad.position, bad.reason) == ("a", position, "its end is missing")
        else:
            assert torch.equal(here.x_a, there.x_a)
            assert here.skipped == []


@pytest.mark.parametrize("broken", ["a", "b"])
def test_a_pair_is_replaced_by_a_pair(broken):
    domains = {name: Numbers(9, {4: UNDECODABLE} if name == broken else None) for name in "ab"}
    pairs = TrainingPairs(domains["a"], domains["b"], paired=True)
    replaced = 0
    for position in range(27):
        x_a, x_b, *_, skipped = pairs[position]
        assert torch.equal(x_a, x_b)
        assert {bad.domain for bad in skipped} <= {broken}
        replaced += bool(skipped)
    assert replaced == 3  # once in each pass


@pytest.mark.parametrize(("paired", "of_b"), [(False, 1), (True, 3)])
def test_validation_takes_the_next_image_that_can_be_used(paired, of_b):
    faults = {1: UNDECODABLE, 2: UNDECODABLE}
    pairs = ValidationPairs(Numbers(4, faults), Numbers(4), paired)
    read = [pairs[i] for i in range(4)]
    assert [int(sample.x_a[0]) for sample in read] == [0, 3, 3, 3]
    assert int(read[1].x_b[0]) == of_b
    assert [len(sample.skipped) for sample in read] == [0, 2, 1, 0]


def test_validation_starts_again_behind_the_last_image():
    pairs = ValidationPairs(Numbers(3, {2: UNDECODABLE}), Numbers(3))
    assert int(pairs[2][0][0]) == 0
