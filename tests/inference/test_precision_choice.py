import itertools
import time

import pytest
import torch

from munit_pl.inference import precision_choice
from munit_pl.inference.precision_choice import choose_precision, measure_ratio, time_bf16_ratio

CPU = torch.device("cpu")


def test_the_shortest_times_are_compared_and_both_see_the_same_disturbance():
    """bf16 takes 8 times as long; every other turn the machine is busy with something else."""
    for fp32, bf16 in ((1e-3, 8e-3), (8e-3, 1e-3)):
        busy = itertools.cycle([1.0, 1.0, 1e-4, 1e-4])
        ratio = measure_ratio(lambda half, t=(fp32, bf16), busy=busy: t[half] + next(busy))
        assert ratio == pytest.approx((bf16 + 1e-4) / (fp32 + 1e-4))


def test_what_is_slow_is_timed_twice_and_what_is_fast_for_a_twentieth_of_a_second():
    for seconds, turns in ((1.0, 2), (0.006, 5)):
        seen = []
        measure_ratio(lambda bf16, s=seconds, seen=seen: seen.append(bf16) or s)
        assert seen == [False, True] * turns


def test_a_cpu_computes_in_what_is_faster_on_it(monkeypatch):
    for ratio, bf16, words in ((8.26, False, "8.3"), (0.741, True, "0.74"), (1.0, False, "1.0")):
        monkeypatch.setattr(precision_choice, "time_bf16_ratio", lambda _, ratio=ratio: ratio)
        choice = choose_precision(CPU, training=True)
        assert choice.bf16 is bf16
        line = f"bf16 convolutions take {words} times as long as fp32 ones on this processor"
        assert choice.reason == line


def test_a_gpu_is_taken_at_its_word_and_other_devices_stay_in_fp32(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "GPU X")
    for capability, words in (((8, 0), "has"), ((9, 0), "has"), ((7, 5), "has no")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        choice = choose_precision(torch.device("cuda"), training=True)
        assert choice == (words == "has", f"GPU X {words} bf16 arithmetic")
    choice = choose_precision(torch.device("mps"), training=False)
    assert not choice.bf16
    assert choice.reason.endswith("not on mps")


def test_this_processor_is_timed_at_once_and_left_as_it_was():
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    for training in (False, True):
        time_bf16_ratio(training)  # what is prepared once
        time_bf16_ratio.cache_clear()
        start = time.process_time()
        first = time_bf16_ratio(training)
        assert time.process_time() - start < 1
        time_bf16_ratio.cache_clear()
        assert 0.5 < first / time_bf16_ratio(training) < 2
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
