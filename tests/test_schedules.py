import copy

import pytest
import torch
from torch.optim import SGD

from munit_pl.schedules import linear_decay


def rates(optimizer, scheduler, iterations):
    found = []
    for _ in range(iterations):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def fresh(**arguments):
    optimizer = SGD([torch.zeros(1)], lr=8.0)
    return optimizer, linear_decay(optimizer, **arguments)


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
