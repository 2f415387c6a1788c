"""Both domains in two threads, against one after the other."""

import threading
from copy import deepcopy

import pytest
import torch
from training import fit, images

from munit_pl import FastMUNITModule, MUNITModule
from munit_pl.losses.terms import total
from munit_pl.models.base.module import MicroBatch
from munit_pl.models.munit.fast.lanes import Work
from munit_pl.models.munit.fast.threads import ThreadLane


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def work(function, *tensors, networks=()):
    return Work(function, tensors, networks)


@pytest.mark.parametrize(
    "options",
    [
        {"shared_styles": True},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"weights": {"cycle": 10.0}}, marks=pytest.mark.slow),
        pytest.param({"checkpoint_activations": True}, marks=pytest.mark.slow),
        pytest.param({"discriminator": {"norm": "spectral"}}, marks=pytest.mark.slow),
        pytest.param({"discriminator": {"global_judge": True}}, marks=pytest.mark.slow),
        pytest.param({"generator": {"spectral": True}}, marks=pytest.mark.slow),
        pytest.param(
            {"generator": {"spectral": True}, "checkpoint_activations": True},
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_terms_gradients_and_buffers_are_those_of_one_thread(tiny, options):
    for group in ("generator", "discriminator"):
        options[group] = {**tiny[group], **options.get(group, {})}
    plain, fast = (cls(**tiny | options).double() for cls in (MUNITModule, FastMUNITModule))
    fast.load_state_dict(deepcopy(plain.state_dict()))
    fast._lane = ThreadLane()
    x_a, x_b = images(seed=0).double(), images(seed=1).double()
    results = []
    for module in (plain, fast):
        part = MicroBatch(x_a, x_b, module.draw(x_a, x_b, 0), fraction=1.0, is_whole_batch=True)
        of_dis = module.discriminator_terms(part)
        total(of_dis, module.weights).backward()
        of_gen = module.generator_terms(part)
        total(of_gen, module.weights).backward()
        grads = {name: p.grad for name, p in module.named_parameters()}
        results.append((of_dis, of_gen, grads, module.state_dict()))
    torch.testing.assert_close(results[1], results[0], rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore:munit_fast goes on")
@pytest.mark.parametrize(
    "precision", ["bf16-mixed", pytest.param("64-true", marks=pytest.mark.slow)]
)
def test_under_a_trainer_it_trains_as_one_thread_does(tiny, precision):
    plain, fast = MUNITModule(**tiny), FastMUNITModule(**tiny)
    fast.load_state_dict(deepcopy(plain.state_dict()))
    for module in (plain, fast):
        fit(module, steps=2, precision=precision)
    assert "streams" in fast.running
    bound = 1e-9 if precision == "64-true" else 5e-4  # two of Adam's steps, of 1e-4 and rounding
    torch.testing.assert_close(fast.state_dict(), plain.state_dict(), rtol=0, atol=bound)
    assert fast._lane is None


@pytest.mark.filterwarnings("ignore:munit_fast goes on")
def test_each_domain_has_a_thread_forward_and_back(tiny):
    seen = {}

    def note(name):
        seen.setdefault(name, set()).add((threading.get_ident(), torch.get_num_threads()))

    def hook(name):
        def watch(part, inputs, output):
            note(name)
            if isinstance(output, torch.Tensor) and output.requires_grad:
                output.register_hook(lambda _: note(f"{name} back"))

        return watch

    module = FastMUNITModule(**tiny)
    for name in ("gen_a", "gen_b", "dis_a", "dis_b"):
        for part in getattr(module, name).modules():
            part.register_forward_hook(hook(name))
    fit(module, steps=1)
    of_a, of_b = (set().union(*(seen[name] for name in seen if d in name)) for d in ("_a", "_b"))
    assert len(of_a) == len(of_b) == 1
    assert of_a.isdisjoint(of_b)
    assert {threads for _, threads in of_a | of_b} == {1}
    assert len(seen) == 8


def test_the_second_thread_casts_and_differentiates_as_the_first():
    x = torch.ones(2, 2)
    modes = []

    def multiply(y):
        modes.append(torch.is_grad_enabled())
        return y @ y

    with torch.autocast("cpu", torch.bfloat16):
        a, b = ThreadLane().both(work(multiply, x), work(multiply, x))
        with torch.no_grad():
            ThreadLane().both(work(multiply, x), work(multiply, x))
    assert a.dtype == b.dtype == torch.bfloat16
    assert modes == [True, True, False, False]


def test_what_asks_for_no_gradient_gets_none():
    x, fixed = torch.ones(2, requires_grad=True), torch.ones(2)
    a, b = ThreadLane().both(work(torch.mul, x, fixed), work(lambda y: (y, [2 * y]), fixed))
    (a.sum() + b[1][0].sum()).backward()
    assert x.grad.tolist() == [1.0, 1.0]
    assert fixed.grad is None


def test_networks_that_do_not_learn_pass_gradients_on():
    layer = torch.nn.Linear(2, 2)
    layer.weight.requires_grad_(False)
    x = torch.ones(1, 2, requires_grad=True)
    a, b = ThreadLane().both(*[work(layer, x, networks=(layer,))] * 2)
    (a + b).sum().backward()
    torch.testing.assert_close(x.grad[0], 2 * layer.weight.sum(0))
    assert (layer.weight.grad, layer.bias.grad.tolist()) == (None, [2.0, 2.0])


@pytest.mark.parametrize("side", [0, 1])
def test_an_error_on_either_side_is_raised_when_both_have_ended(side):
    ended = []

    def fail(x):
        raise ValueError("no")

    def end(x):
        ended.append(x)
        return x

    sides = [work(end, torch.ones(1)), work(end, torch.ones(1))]
    sides[side] = work(fail, torch.ones(1))
    with pytest.raises(ValueError, match="no"):
        ThreadLane().both(*sides)
    assert len(ended) == 1
