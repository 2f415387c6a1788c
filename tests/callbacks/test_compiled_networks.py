"""`callbacks=[default,compile]`: the same updates by kernels that torch.compile makes."""

import shutil
import warnings
from copy import deepcopy
from functools import partial

import pytest
import torch
from composing import composed
from methods import METHODS
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.utils import counters
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader
from training import fit, make_trainer, pairs_of

from munit_pl import MUNITModule
from munit_pl.callbacks import compiled_networks
from munit_pl.callbacks.compiled_networks import CompiledNetworks, _networks
from munit_pl.commands.config.building import build

compiler = torch.compile


@pytest.fixture(autouse=True)
def _fresh():
    torch.compiler.reset()
    counters.clear()


def compile_by(monkeypatch, backend):
    """Let networks be compiled by another back end: Inductor takes a minute."""
    monkeypatch.setattr(
        torch, "compile", lambda call, **_: compiler(call, backend=backend, dynamic=False)
    )


def trained(module, steps=3, compiled=False, **trainer):
    """Return what the module was trained to from the same start, by name."""
    module = deepcopy(module)
    fit(module, steps, callbacks=[CompiledNetworks()] if compiled else [], **trainer)
    return module.state_dict()


class SharedMemory:
    """A back end whose results are gone when the next iteration begins, as with CUDA graphs."""

    def __init__(self, monkeypatch):
        self.results = []
        self.iterations = 0
        kinds = dict.fromkeys(("fw_compiler", "bw_compiler", "inference_compiler"), self._keep)
        compile_by(monkeypatch, aot_autograd(**kinds))
        monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", self._overwrite)

    def _keep(self, graph, _):
        def run(arguments):
            given = {x.untyped_storage()._cdata for x in tree_leaves(arguments) if _is_tensor(x)}
            made = graph(*arguments)
            arguments.clear()
            fresh = [x for x in tree_leaves(made) if _is_tensor(x) and x.is_floating_point()]
            self.results += [x for x in fresh if x.untyped_storage()._cdata not in given]
            return made

        run._boxed_call = True
        return run

    def _overwrite(self):
        self.iterations += 1
        with torch.no_grad():
            for result in self.results:
                result.fill_(torch.nan)
        self.results = []


def _is_tensor(x):
    return isinstance(x, torch.Tensor)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("munit", {"recipes": {"ada": {"target": -0.5, "length": 64}, "mode_seeking": {}}}),
        ("cyclegan", {"pool_size": 2, "seed": 3}),  # whose draws exchange images at once
        ("bicyclegan", {}),
        pytest.param(
            "munit",
            {"accumulate": 2, "discriminator_steps": 2, "recipes": {"r1": {"every": 1}}},
            marks=pytest.mark.slow,
        ),
        pytest.param("unit", {}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_no_result_of_an_iteration_is_read_in_the_next(monkeypatch, name, options):
    """Every method and option trains as it does uncompiled."""
    memory = SharedMemory(monkeypatch)
    module = METHODS[name].make(**options)
    expected = trained(module, precision="64-true")  # where rounding is no gradient
    assert not memory.iterations
    found = trained(module, compiled=True, precision="64-true")
    assert memory.iterations == 3
    assert memory.results
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)
    assert not counters["graph_break"]


def test_networks_are_called_compiled_in_the_updates_alone(tiny, monkeypatch, caplog):
    caplog.set_level("INFO", "munit_pl")
    called = []

    def recorder(call, **options):
        assert options == {"mode": "reduce-overhead", "dynamic": False}
        return lambda *args: called.append(call.__self__) or call(*args)

    monkeypatch.setattr(torch, "compile", recorder)
    module = MUNITModule(**tiny)
    start, names = deepcopy(module.state_dict()), list(module.state_dict())
    for callbacks in ([], [CompiledNetworks()]):
        module.load_state_dict(start)
        loop = fit(module, steps=2, callbacks=callbacks)
        if not callbacks:
            expected = deepcopy(module.state_dict())
    torch.testing.assert_close(module.state_dict(), expected, rtol=0, atol=0)
    assert set(called) == set(_networks(module))
    assert caplog.messages.count("compiling the networks: the first iteration takes minutes") == 1
    assert list(module.state_dict()) == names
    called.clear()
    loop.validate(module, DataLoader(pairs_of(1), batch_size=None), verbose=False)
    assert not called
    assert "iterate" not in vars(module)


def test_what_cannot_be_compiled_is_told_and_trained_on_without(tiny, monkeypatch):
    def failing(call, **_):
        def fail(*_):
            raise RuntimeError("no compiler\nand much more")

        return fail

    monkeypatch.setattr(torch, "compile", failing)
    module = MUNITModule(**tiny, recipes={"ada": {}})
    with pytest.warns(UserWarning, match="callbacks.compile goes on .* compiling: no compiler$"):
        found = trained(module, compiled=True)
    torch.testing.assert_close(found, trained(module), rtol=0, atol=0)


def test_recomputed_spectral_generators_are_left_as_they_are(tiny, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("compiled"))
    tiny["generator"]["spectral"] = True
    module = MUNITModule(**tiny, checkpoint_activations=True)
    with pytest.warns(UserWarning, match="checkpoint_activations computes"):
        trained(module, 1, compiled=True)


def test_batches_of_many_sizes_are_trained_on(tiny, monkeypatch):
    """Beyond what torch.compile keeps kernels for, the networks are called as they are."""
    compile_by(monkeypatch, "eager")
    loop = make_trainer(max_steps=3, callbacks=[CompiledNetworks()])
    batches = [tuple(torch.rand(2, n, 3, 16, 16) * 2 - 1) for n in (1, 2, 3)]
    with warnings.catch_warnings(), torch._dynamo.config.patch(recompile_limit=2):
        warnings.simplefilter("ignore")  # torch.compile's own, of its limit
        loop.fit(MUNITModule(**tiny), DataLoader(batches, batch_size=None))
    assert loop.global_step == 3


def test_a_training_that_broke_off_leaves_the_module_as_it_was(tiny, monkeypatch):
    compile_by(monkeypatch, "eager")
    module = MUNITModule(**tiny)
    loop = make_trainer(max_steps=2, callbacks=[CompiledNetworks()])
    with pytest.raises(TypeError):
        loop.fit(module, DataLoader([torch.zeros(1)], batch_size=None))
    assert "iterate" not in vars(module)


def test_its_configuration_is_the_callback():
    cfg = composed("train", "callbacks=[default,compile]", "data=drawn")
    assert build(cfg.callbacks.compile).mode == "reduce-overhead"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_inductors_kernels_go_where_the_module_goes(tiny, precision, monkeypatch):
    monkeypatch.setattr(  # all take two minutes
        compiled_networks, "_networks", lambda m: [m.gen_a.content_encoder, m.dis_a]
    )
    module = MUNITModule(**tiny)
    start = vector(module.state_dict())
    run = partial(trained, module, 4)
    exact = vector(run()) - start
    found = vector(run(compiled=True, precision=precision)) - start
    eager = vector(run(precision=precision)) - start
    # In bf16 each is as far from the fp32 way as the other.
    assert (found - exact).norm() < 0.02 * exact.norm() + 1.2 * (eager - exact).norm()


def vector(state):
    return torch.cat([x.flatten() for x in state.values()])
