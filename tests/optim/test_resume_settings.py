import copy

import pytest
import torch

from munit_pl import MUNITModule
from munit_pl.optim.optimizers import make_optimizer
from munit_pl.optim.resume_settings import adopt_settings, describe_changes
from munit_pl.optim.schedules import schedule

STEPS = {"kind": "step", "step_size": 2, "gamma": 0.3, "constant": 3, "decay": 4, "warmup": 0}
SCHEDULES = [STEPS, STEPS | {"gamma": 0.7}, STEPS | {"step_size": 3}, STEPS | {"warmup": 3}]
SCHEDULES += [STEPS | {"kind": "CosineAnnealingLR", "T_max": n} for n in (6, 20)]
SCHEDULES += [STEPS | {"kind": "MultiStepLR", "milestones": [1, 6]}]
SCHEDULES += [STEPS | {"kind": "linear"}, STEPS | {"kind": "linear", "constant": 1, "decay": 8}]


def pair(settings):
    optimizer = make_optimizer([torch.nn.Parameter(torch.ones(1))], **settings["optimizer"])
    return optimizer, schedule(optimizer, **settings["scheduler"])


def saved(settings, iterations):
    """Return what a checkpoint holds of a player after so many iterations, and its rates."""
    optimizer, scheduler = pair(settings)
    rates = go(optimizer, scheduler, iterations)
    return copy.deepcopy(
        {
            "optimizer_states": [optimizer.state_dict()],
            "lr_schedulers": [scheduler.state_dict()],
            "hyper_parameters": settings,
        }
    ), rates


def go(optimizer, scheduler, iterations):
    rates = []
    for _ in range(iterations):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.param_groups[0]["params"][0].grad = torch.ones(1)
        optimizer.step()
        scheduler.step()
    return rates


def resumed(checkpoint, settings):
    optimizer, scheduler = pair(settings)
    changes = adopt_settings(checkpoint, *map(list, zip(pair(settings))), settings, MUNITModule)
    optimizer.load_state_dict(checkpoint["optimizer_states"][0])
    scheduler.load_state_dict(checkpoint["lr_schedulers"][0])
    return optimizer, scheduler, changes


def test_from_any_schedule_on_the_rates_are_those_of_the_settings_that_are_given():
    for before in SCHEDULES:
        for after in SCHEDULES:
            given = {"optimizer": {"lr": 0.5, "betas": [0.9, 0.99]}, "scheduler": after}
            checkpoint, _ = saved({"optimizer": {"lr": 0.1}, "scheduler": before}, 5)
            optimizer, scheduler, changes = resumed(checkpoint, given)
            assert changes["optimizer.lr"] == (0.1, 0.5)
            assert tuple(optimizer.param_groups[0]["betas"]) == (0.9, 0.99)
            assert optimizer.state[optimizer.param_groups[0]["params"][0]]["step"] == 5
            whole = go(*pair(given), 12)
            assert go(optimizer, scheduler, 7) == pytest.approx(whole[5:], rel=1e-12)


def test_without_a_change_no_bit_of_the_state_changes():
    for settings in SCHEDULES:
        given = {"optimizer": {"lr": 0.1, "weight_decay": 0.01}, "scheduler": settings}
        checkpoint, _ = saved(given, 5)
        before = copy.deepcopy(checkpoint)
        assert resumed(checkpoint, copy.deepcopy(given))[2] == {}
        assert checkpoint == before


def test_changes_are_told_by_the_names_of_the_settings():
    had = {"optimizer": {"lr": 1e-4}, "scheduler": STEPS, "weights": {"image": 10.0, "gan": 1.0}}
    has = {"optimizer": {"lr": 5e-5}, "scheduler": STEPS | {"gamma": 0.5}}
    has["weights"] = {"image": 5.0, "gan": 1.0}
    changes = resumed(saved(had, 1)[0], has)[2]
    told = {*describe_changes(changes).split(", ")}
    assert told == {
        "optimizer.lr: 0.0001 -> 5e-05",
        "scheduler.gamma: 0.3 -> 0.5",
        "weights.image: 10.0 -> 5.0",
    }


def test_a_rate_that_a_longer_run_changes_is_told():
    """What "linear" leaves open follows the run's length, which is no setting of the model."""
    settings = [
        {"optimizer": {"lr": 0.1}, "scheduler": {"kind": "linear", "iterations": length}}
        for length in (8, 16)
    ]
    checkpoint, _ = saved(settings[0], 8)
    for one in (*settings, checkpoint["hyper_parameters"]):
        one["scheduler"].pop("iterations")  # a module's settings have no such thing
    optimizer, _ = pair(settings[1])
    longer = schedule(optimizer, kind="linear", iterations=16)
    changes = adopt_settings(checkpoint, [optimizer], [longer], settings[1], MUNITModule)
    assert changes == {"learning rate": (0.0, 0.1)}


def test_recipes_that_were_added_or_left_out_are_told():
    had = {"optimizer": {}, "scheduler": STEPS, "recipes": {"r1": {"weight": 1.0, "every": 16}}}
    has = had | {"recipes": {"r1": {"weight": 2.0, "every": 16}, "ada": {"target": 0.6}}}
    told = describe_changes(resumed(saved(had, 1)[0], has)[2])
    assert told == "recipes: ['r1'] -> ['r1', 'ada'], recipes.r1.weight: 1.0 -> 2.0"
    assert describe_changes(resumed(saved(has, 1)[0], has | {"recipes": {}})[2]) == (
        "recipes: ['r1', 'ada'] -> []"
    )


def test_what_is_left_out_is_the_default_that_it_stands_for():
    left_out = {"optimizer": {}, "scheduler": STEPS, "generator": {}, "weights": {}}
    said = left_out | {"generator": {"activation": "relu"}, "weights": {"cycle": 0.0}}
    for had, has in ((left_out, said), (said, left_out)):
        assert resumed(saved(had, 1)[0], has)[2] == {}
    other = left_out | {"generator": {"activation": "lrelu"}}
    for had, has in ((left_out, other), (other, left_out)):
        with pytest.raises(ValueError, match=r"model.generator.activation was '\w+' and is '\w+'"):
            resumed(saved(had, 1)[0], has)
    weighed = left_out | {"weights": {"cycle": 10.0}}
    assert resumed(saved(left_out, 1)[0], weighed)[2] == {"weights.cycle": (0.0, 10.0)}


def test_what_a_run_cannot_change_is_refused_by_its_name():
    had = {"optimizer": {"lr": 1e-4}, "scheduler": STEPS, "generator": {"padding_mode": "reflect"}}
    has = copy.deepcopy(had) | {"generator": {"padding_mode": "zeros"}}
    with pytest.raises(ValueError, match=r"model.generator.padding_mode was 'reflect' and is 'ze"):
        resumed(saved(had, 1)[0], has)
    has = copy.deepcopy(had) | {"optimizer": {"lr": 1e-4, "amsgrad": True}}
    with pytest.raises(ValueError, match=r"model.optimizer.amsgrad was False and is True now"):
        resumed(saved(had, 1)[0], has)
    has = copy.deepcopy(had) | {"optimizer": {"name": "RMSprop"}}
    with pytest.raises(ValueError, match=r"model.optimizer.name was 'Adam' and is 'RMSprop' now"):
        resumed(saved(had, 1)[0], has)
    for name, changed in (("RMSprop", {"centered": True}), ("RMSprop", {"momentum": 0.9})):
        had = {"optimizer": {"name": name}, "scheduler": STEPS}
        has = {"optimizer": {"name": name} | changed, "scheduler": STEPS}
        with pytest.raises(ValueError, match=rf"optimizer.{min(changed)} was .* cannot change"):
            resumed(saved(had, 1)[0], has)
