"""`callbacks=[default,fast]`: on the CPU it changes nothing, and says so; what rules it out."""

import warnings

import pytest
import torch
from composing import composed
from torch.utils.data import DataLoader
from training import fit, make_trainer, pairs_of

from munit_pl import CycleGANModule, MUNITModule
from munit_pl.callbacks.fast.callback import FastIteration
from munit_pl.commands.config.building import build


def test_on_the_cpu_it_changes_nothing_and_says_so_once(tiny):
    start, states = MUNITModule(**tiny).state_dict(), []
    for callbacks in ([], [FastIteration()]):
        module = MUNITModule(**tiny)
        module.load_state_dict(start)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(module, steps=3, callbacks=callbacks)
        lines = [str(w.message) for w in caught if "callbacks.fast" in str(w.message)]
        states.append(module.state_dict())
    torch.testing.assert_close(*states, rtol=0, atol=0)
    assert lines == [
        "callbacks.fast goes on without bf16, compile, cuda_graph: it takes a CUDA device"
    ]
    assert callbacks[0].running == ()


def test_nothing_is_told_of_parts_that_are_not_wanted(tiny):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "callbacks.fast")
        fit(MUNITModule(**tiny), steps=1, callbacks=[FastIteration(False, False, False)])


def test_what_makes_iterations_differ_is_known():
    small = {"generator": {"dim": 2}, "discriminator": {"dim": 2}}
    with torch.device("meta"):
        for module, reason in (
            (MUNITModule(**small), None),
            (MUNITModule(**small, recipes={"ada": {}, "mask": {}}), None),
            (MUNITModule(**small, recipes={"ada": {}, "r1": {}}), "recipe r1 makes iterations di"),
            (MUNITModule(**small, recipes={"r1": {"weight": 0}}), None),
            (MUNITModule(**small, discriminator_steps=2), "model.discriminator_steps is 2"),
            (CycleGANModule(**small), "model.pool_size is 50"),
            (CycleGANModule(**small, pool_size=0), None),
        ):
            said = module.varies()
            assert said is None if reason is None else said.startswith(reason)


def test_its_configuration_is_the_callback_with_all_parts_on():
    cfg = composed("train", "callbacks=[default,fast]", "data=drawn")
    assert isinstance(build(cfg.callbacks.fast), FastIteration)
    assert cfg.callbacks.fast == {
        "_target_": "munit_pl.callbacks.fast.callback.FastIteration",
        **dict.fromkeys(("bf16", "compile", "cuda_graph"), True),
    }


@pytest.mark.filterwarnings("ignore:callbacks.fast goes on")
def test_a_module_can_be_trained_twice_in_a_process(tiny):
    module = MUNITModule(**tiny)
    for _ in range(2):
        loop = make_trainer(max_steps=2, callbacks=[FastIteration()])
        loop.fit(module, DataLoader(pairs_of(2), batch_size=None))
    assert module.run_iteration is None
