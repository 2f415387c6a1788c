import copy
import math
from typing import get_args

import pytest
import torch
from training import LEAST, fit, fit_least

from munit_pl import MUNITModule
from munit_pl.io.training_state import check_finite, check_training_state
from munit_pl.optim.optimizers import OptimizerName


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "x.ckpt"
    fit_least(2).save_checkpoint(path)
    return torch.load(path, weights_only=True)


@pytest.fixture
def optimizers():
    return MUNITModule(**LEAST).configure_optimizers()[0]


def changed(state, place, value):
    """Return a copy with another value in one place, or without it."""
    state = inner = copy.deepcopy(state)
    *way, last = place
    for name in way:
        inner = inner[name]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return state


def test_what_a_run_saved_can_be_gone_on_from(state, optimizers):
    check_training_state(state, optimizers)
    check_finite(state | {"none": torch.zeros(0), "complex": torch.ones(2, dtype=torch.cfloat)})


@pytest.mark.parametrize("name", get_args(OptimizerName))
def test_what_any_optimizer_saved_can_be_gone_on_from_and_nothing_less(name, tmp_path):
    arguments = LEAST | {"optimizer": {"name": name}}
    arguments["optimizer"] |= {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
    fit(MUNITModule(**arguments)).save_checkpoint(tmp_path / "x.ckpt")
    state = torch.load(tmp_path / "x.ckpt", weights_only=True)
    optimizers = MUNITModule(**arguments).configure_optimizers()[0]
    check_training_state(state, optimizers)
    place = ("optimizer_states", 0, "state", 0)
    assert state["optimizer_states"][0]["state"][0]
    for kept in state["optimizer_states"][0]["state"][0]:
        for other in (None, torch.zeros(3, 1), -1.0):
            with pytest.raises(ValueError, match="do not fit the optimizer"):
                check_training_state(changed(state, (*place, kept), other), optimizers)


def test_what_cannot_be_gone_on_from_is_refused_in_one_line(state, optimizers):
    moments = ("optimizer_states", 0, "state", 0)
    group = ("optimizer_states", 1, "param_groups", 0)
    for place, value in [
        (("pytorch-lightning_version",), None),
        (("pytorch-lightning_version",), "abc"),
        (("global_step",), "2"),
        (("epoch",), -1),
        (("loops",), [3]),
        (("loops", "fit_loop", "epoch_progress", "total", "ready"), "x"),
        (("loops", "fit_loop"), {}),
        (("callbacks",), None),
        (("optimizer_states",), None),
        (("optimizer_states",), []),
        (("optimizer_states", 1), {"state": {}}),
        (("optimizer_states", 1), 3),
        ((*group, "lr"), "fast"),
        ((*group, "lr"), -1.0),
        ((*group, "params"), [0]),
        ((*moments, "exp_avg"), torch.zeros(3)),
        ((*moments, "exp_avg_sq"), -torch.ones(2, 3, 4, 4)),
        ((*moments, "step"), None),
        ((*moments[:-1], 99), {}),
        (("lr_schedulers", 0), {}),
        (("lr_schedulers", 0, "last_epoch"), 1.5),
        (("lr_schedulers", 0, "_last_lr"), ["x"]),
        (("skipped", "dis"), [0]),
    ]:
        with pytest.raises(ValueError, match=r"^it") as error:
            check_training_state(changed(state, place, value), optimizers)
        assert "\n" not in str(error.value), place


def test_numbers_that_are_not_finite_are_refused_wherever_training_reads_them(state):
    weight = next(iter(state["state_dict"]))
    for place, value in [
        (("state_dict", weight), torch.full_like(state["state_dict"][weight], math.nan)),
        (("optimizer_states", 1, "state", 0, "exp_avg_sq"), torch.tensor([math.inf])),
        (("optimizer_states", 1, "param_groups", 0, "lr"), math.nan),
        (("lr_schedulers", 0, "base_lrs"), [math.inf]),
        (("state_dict", weight), torch.tensor([1, complex(0, -math.inf)])),
        (("state_dict", weight), torch.tensor([math.nan, 1], dtype=torch.bfloat16)),
    ]:
        with pytest.raises(ValueError, match=rf"not finite in {place[0]}\.{place[1]}"):
            check_finite(changed(state, place, value))


def test_lists_that_hold_themselves_are_looked_at_once():
    endless, laughs = [], [1.0]
    endless.append(endless)
    for _ in range(100):
        laughs = [laughs, laughs]  # 2**100 numbers
    check_finite({"x": endless, "y": laughs})
