from typing import get_args

import pytest
import torch
from training import LEAST, make_trainer

from munit_pl import DrawnDataModule, MUNITModule
from munit_pl.optim.finite_updates import skip_unless_finite
from munit_pl.optim.optimizers import OptimizerName, make_optimizer

PLAYERS = {  # with other arguments than those that files list
    "SGD": ({"momentum": 0.9, "nesterov": True}, {"kind": "CosineAnnealingLR", "T_max": 4}),
    "AdamW": ({"amsgrad": True}, {"kind": "StepLR", "step_size": 2}),
    "RMSprop": ({"momentum": 0.5, "centered": True}, {"kind": "CosineAnnealingLR", "T_max": 2}),
    "Adagrad": ({}, {"kind": "PolynomialLR", "total_iters": 3}),
}


def module_with(name):
    arguments, scheduler = PLAYERS[name]
    optimizer = {"name": name, "lr": 0.01, **arguments}
    torch.manual_seed(0)
    return MUNITModule(**LEAST, optimizer=optimizer, scheduler=scheduler)


def fit(module, steps, ckpt_path=None):
    loop = make_trainer(max_steps=steps, max_epochs=-1, limit_val_batches=0)
    data = DrawnDataModule(size=(16, 16), length=8, test_length=4)
    loop.fit(module, data, ckpt_path=ckpt_path, weights_only=True)
    return loop


@pytest.mark.parametrize("name", PLAYERS)
def test_three_iterations_are_the_same_to_the_bit_where_one_is_resumed(name, tmp_path):
    whole, begun, resumed = (module_with(name) for _ in range(3))
    at_end = fit(whole, 3)
    fit(begun, 2).save_checkpoint(tmp_path / "2.ckpt")
    again = fit(resumed, 3, tmp_path / "2.ckpt")
    initial = module_with(name).state_dict()
    assert any(not torch.equal(v, initial[k]) for k, v in whole.state_dict().items())
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    rates = [[o.param_groups[0]["lr"] for o in loop.optimizers] for loop in (at_end, again)]
    assert rates[0] == rates[1] != [0.01, 0.01]
    assert {type(optimizer).__name__ for optimizer in again.optimizers} == {name}


@pytest.mark.parametrize("name", get_args(OptimizerName))
def test_a_skipped_step_leaves_every_optimizer_as_it_was(name):
    """Compared with one that never met that gradient, which may be the first."""
    for skipped_at in (0, 1):
        weights = [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
        optimizers = [make_optimizer([weight], name, lr=0.1) for weight in weights]
        for i, gradient in enumerate((0.5, -0.2)):
            if i == skipped_at:
                weights[0].grad = torch.full((2, 2), torch.nan)
                assert skip_unless_finite(optimizers[0], torch.tensor(torch.nan))
                optimizers[0].step()
            for weight, optimizer in zip(weights, optimizers, strict=True):
                weight.grad = torch.full((2, 2), gradient)
                assert not skip_unless_finite(optimizer, torch.tensor(1.0))
                optimizer.step()
        assert torch.equal(*weights)
        assert not torch.equal(weights[0], torch.ones(2, 2))


def test_a_fused_sgd_whose_first_step_is_skipped_has_a_momentum_of_its_own():
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    for weight, gradients in zip(weights, ((torch.nan, 0.5, 0.5), (0.5, 0.5)), strict=True):
        optimizer = make_optimizer([weight], "SGD", lr=0.1, momentum=0.9, fused=True)
        for gradient in gradients:
            weight.grad = torch.full((2,), gradient)
            skip_unless_finite(optimizer, weight.grad.norm())
            optimizer.step()
    assert torch.equal(*weights)


def test_what_a_class_takes_not_is_left_out_if_files_list_it_and_refused_otherwise():
    weight = torch.nn.Parameter(torch.ones(1))
    assert "betas" not in make_optimizer([weight], "SGD", betas=[0.5, 0.9]).defaults
    assert make_optimizer([weight], "AdamW", eps=1e-6).defaults["eps"] == 1e-6
    with pytest.raises(TypeError, match="momentun"):
        make_optimizer([weight], "SGD", momentun=0.9)
    with pytest.raises(ValueError, match="name is 'SDG', but must be one of Adam, AdamW"):
        make_optimizer([weight], "SDG")
