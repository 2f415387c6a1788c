import shutil
from copy import deepcopy
from functools import partial

import pytest
import torch
from training import images

from munit_pl import MUNITModule
from munit_pl.callbacks.fast.callback import FastIteration, make_iteration
from munit_pl.callbacks.fast.compiling import CompiledNetworks, restored
from munit_pl.callbacks.fast.iteration import Iteration
from munit_pl.models.base.micro_batch import MicroBatch
from munit_pl.models.base.objective import Images

FUSED = {"optimizer": {"fused": True}}


@pytest.fixture(autouse=True)
def _fresh():
    torch.compiler.reset()


def test_networks_are_compiled_in_place_and_called_so_within_the_context_alone(tiny, monkeypatch):
    made = []

    def compiler(call, **options):
        assert options == {"fullgraph": True, "dynamic": False}
        made.append(call)
        return lambda *args: ("compiled", call(*args))

    monkeypatch.setattr(torch, "compile", compiler)
    module = MUNITModule(**tiny)
    names, x = list(module.state_dict()), images()
    compiled = CompiledNetworks([module.dis_a])
    assert isinstance(module.dis_a(x), list)
    with compiled.in_use():
        assert module.dis_a(x)[0] == "compiled"
        assert isinstance(module.dis_b(x), list)
    assert isinstance(module.dis_a(x), list)
    assert list(module.state_dict()) == names
    assert len(made) == 1


def test_buffers_are_restored():
    buffer = torch.ones(2)
    with restored([buffer]):
        buffer.add_(1)
    assert torch.equal(buffer, torch.ones(2))


def test_what_cannot_be_compiled_is_told_and_trained_on_without(tiny, monkeypatch):
    def compiler(call, **_):
        def fail(*_):
            raise RuntimeError("no compiler\nand much more")

        return fail

    monkeypatch.setattr(torch, "compile", compiler)
    module = MUNITModule(**tiny, **FUSED)
    optimizers, _ = module.configure_optimizers()
    iteration = make_iteration(module, optimizers, ["compile"])
    callback, part = FastIteration(), drawn_part(module)
    callback.running = ("compile",)
    with pytest.warns(UserWarning, match="callbacks.fast goes on without compile: no compiler$"):
        callback._warm_up(iteration, part)
    before = [p.detach().clone() for p in module.parameters()]
    iteration(part.images, part.draws)
    assert any(not torch.equal(b, p) for b, p in zip(before, module.parameters(), strict=True))


def drawn_part(module):
    batch = Images(images(seed=0), images(seed=1))
    return MicroBatch(batch, module.draw_all(batch, 0))


def gradients(module, optimizers, compiled, amp):
    """Return both players' gradients, each as one vector."""
    found = {}

    def keep(player, loss):
        weights = [p for o in optimizers for g in o.param_groups for p in g["params"]]
        learning = [p for p in weights if p.requires_grad]
        # Kept, since the generators' part of the graph serves both.
        of = torch.autograd.grad(loss, learning, allow_unused=True, retain_graph=True)
        found[player] = torch.cat([g.flatten() for g in of if g is not None])

    iteration = Iteration(module, optimizers, amp=amp, compiled=compiled)
    iteration._play(drawn_part(module), keep)
    return found


@pytest.mark.parametrize("norm", ["none", pytest.param("spectral", marks=pytest.mark.slow)])
def test_the_networks_are_traced_without_a_break_cast_weights_among_them(tiny, monkeypatch, norm):
    """By the compiler's front end alone; the back end takes a minute."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    tiny["discriminator"]["norm"] = norm
    module = MUNITModule(**tiny, **FUSED)
    optimizers, _ = module.configure_optimizers()
    compiled = CompiledNetworks([*module.gen_a.children(), module.dis_a])
    state = deepcopy(module.state_dict())
    fast = gradients(module, optimizers, compiled, torch.bfloat16)
    module.load_state_dict(state)
    eager = gradients(module, optimizers, None, torch.bfloat16)
    for player in ("dis", "gen"):
        assert (fast[player] - eager[player]).norm() < 0.05 * eager[player].norm()


@pytest.mark.slow
def test_compiled_spectral_generators_differentiate_each_use_with_its_own_vectors(
    tiny, monkeypatch
):
    """With the partition of a graph that the default back end has, but without its kernels."""
    partitioned = partial(torch.compile, backend="aot_eager_decomp_partition")
    monkeypatch.setattr(torch, "compile", partitioned)
    tiny["generator"]["spectral"] = tiny["discriminator"]["global_discriminator"] = True
    module = MUNITModule(**tiny, **FUSED)
    optimizers, _ = module.configure_optimizers()
    compiled = CompiledNetworks([*module.gen_a.children(), module.dis_a])
    state = deepcopy(module.state_dict())
    fast = gradients(module, optimizers, compiled, None)
    after = deepcopy(module.state_dict())
    module.load_state_dict(state)
    eager = gradients(module, optimizers, None, None)
    for player in ("dis", "gen"):
        assert (fast[player] - eager[player]).norm() < 1e-4 * eager[player].norm()
    torch.testing.assert_close(after, dict(module.state_dict()), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
@pytest.mark.parametrize("amp", [None, torch.bfloat16], ids=["fp32", "bf16"])
def test_compiled_networks_give_the_same_gradients(tiny, amp):
    module = MUNITModule(**tiny, **FUSED)
    optimizers, _ = module.configure_optimizers()
    compiled = CompiledNetworks([module.gen_a.content_encoder, module.dis_a])
    fast = gradients(module, optimizers, compiled, amp)
    eager = gradients(module, optimizers, None, amp)
    exact = gradients(module, optimizers, None, None)
    for player in ("dis", "gen"):
        # In bf16 each is as far from the fp32 gradient as the other, and they from each other.
        allowed = 1e-4 * exact[player].norm() + 1.2 * (eager[player] - exact[player]).norm()
        assert (fast[player] - exact[player]).norm() < allowed
