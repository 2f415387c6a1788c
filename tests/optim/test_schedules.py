import copy

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR

from munit_pl.optim.schedules import ends_at, rates_at, schedule


def rates(optimizer, scheduler, iterations):
    found = []
    for _ in range(iterations):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def fresh(**arguments):
    optimizer = SGD([torch.zeros(1)], lr=8.0)
    return optimizer, schedule(optimizer, "linear", **arguments)


def test_rate_is_constant_then_falls_linearly_to_zero_and_stays_there():
    found = rates(*fresh(constant=3, decay=4), 10)
    assert found == [8, 8, 8, 8, 6, 4, 2, 0, 0, 0]


def test_without_a_constant_part_the_rate_falls_from_the_start():
    assert rates(*fresh(constant=0, decay=2), 3) == [8, 4, 0]


def test_defaults_are_the_published_two_halves():
    _, scheduler = fresh()
    (factor,) = scheduler.lr_lambdas
    assert [factor(k) for k in (0, 100_000, 150_000, 200_000)] == [1, 1, 0.5, 0]


def test_a_resumed_schedule_goes_on_where_it_was():
    whole = rates(*fresh(constant=2, decay=4), 6)
    optimizer, scheduler = fresh(constant=2, decay=4)
    rates(optimizer, scheduler, 3)
    saved = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    optimizer, scheduler = fresh(constant=2, decay=4)
    optimizer.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    assert rates(optimizer, scheduler, 3) == whole[3:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"constant": -1}, "constant is -1"), ({"decay": 0}, "decay is 0")],
)
def test_numbers_out_of_range_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        fresh(**arguments)


def scheduled(iterations, **arguments):
    optimizer = SGD([torch.zeros(1)], lr=8.0)
    return rates(optimizer, schedule(optimizer, **arguments), iterations)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"step_size": 2}, [8, 8, 4, 4, 2, 2]),
        ({"step_size": 2, "warmup": 4}, [2, 4, 3, 4, 2, 2]),
        ({"kind": "linear", "constant": 2, "decay": 4}, [8, 8, 8, 6, 4, 2]),
        ({"kind": "linear", "constant": 4, "decay": 2, "warmup": 2}, [4, 8, 8, 8, 8, 4]),
        ({"kind": "linear", "constant": 0, "decay": 8, "warmup": 4}, [2, 3.5, 4.5, 5, 4, 3]),
    ],
    ids=str,
)
def test_a_schedule_is_its_fall_times_its_rise(arguments, expected):
    assert scheduled(6, **arguments) == expected


def test_a_schedule_of_steps_alone_is_pytorchs_own_as_in_every_checkpoint():
    scheduler = schedule(SGD([torch.zeros(1)], lr=8.0))
    assert type(scheduler) is StepLR
    assert (scheduler.step_size, scheduler.gamma) == (100_000, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "cosine"}, "kind is 'cosine', but must be one of step, linear"),
        ({"warmup": -1}, "warmup is -1, but must be at least 0"),
        ({"constant": -1}, "constant is -1"),
        ({"decay": 0}, "decay is 0"),
        ({"step_size": 0}, "step_size is 0"),
    ],
)
def test_a_schedules_numbers_out_of_range_are_refused_by_name_though_not_in_use(arguments, message):
    with pytest.raises(ValueError, match=message):
        schedule(SGD([torch.zeros(1)], lr=8.0), **arguments)


def test_the_rate_at_any_iteration_is_known_without_those_before_it():
    for arguments in (
        {"step_size": 2},
        {"step_size": 2, "warmup": 4},
        {"kind": "linear", "constant": 4, "decay": 2, "warmup": 2},
    ):
        scheduler = schedule(SGD([torch.zeros(1)], lr=8.0), **arguments)
        found = [rates_at(scheduler, k) for k in range(8)]
        assert found == [[rate] for rate in scheduled(8, **arguments)]


def test_a_schedule_that_ends_before_its_run_is_found():
    linear = fresh(constant=100, decay=50)[1]
    for run, end in ((1_000_000, 150), (151, 150), (150, None), (0, None), (float("inf"), None)):
        assert ends_at(linear, run) == end
    assert ends_at(schedule(SGD([torch.zeros(1)], lr=8.0)), 1_000_000) is None
