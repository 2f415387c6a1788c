"""Updates that are skipped: the functions, then the training of every method."""

from copy import deepcopy

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.nn.utils import get_total_norm
from torch.optim import Adam
from torch.utils.data import DataLoader
from training import fit, fp16, images, make_trainer, pairs_of

from munit_pl import CycleGANModule, MUNITModule
from munit_pl.optim.finite_updates import count_skipped, keep_finite, skip_unless_finite


def step(optimizer, parameters, *gradients):
    """Step as a module does; return whether the step was one to skip."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.full_like(parameter, gradient)
    bad = skip_unless_finite(optimizer, get_total_norm([p.grad for p in parameters]))
    optimizer.step()
    return bad.item()


def test_a_step_is_skipped_where_the_gradient_is_not_finite_or_too_large():
    """Compared with an optimizer that never met that gradient."""
    for fused in [False, True]:
        for gradient, skipped in [
            (torch.nan, True),
            (-torch.inf, True),
            (3e19, True),
            (1.1e18, True),
            (0.9e18, False),
        ]:
            optimizers, weights = [], []
            for _ in range(2):
                parameters = [torch.ones(1), torch.ones(1)]  # one element: its gradient is the norm
                weights.append(parameters)
                optimizers.append(Adam(parameters, fused=fused, weight_decay=0.1))
                assert not step(optimizers[-1], parameters, 0.1, 0.2)
            assert step(optimizers[0], weights[0], gradient, 0.0) == skipped
            for optimizer, parameters in zip(optimizers, weights, strict=True):
                assert not step(optimizer, parameters, 0.3, -0.1)
            states = [optimizer.state_dict()["state"] for optimizer in optimizers]
            assert all(
                value.isfinite().all() for state in states[0].values() for value in state.values()
            )
            same = torch.equal(torch.cat(weights[0]), torch.cat(weights[1]))
            assert same == skipped
            assert (states[0][0]["step"] == states[1][0]["step"]) == skipped
            assert torch.equal(states[0][0]["exp_avg_sq"], states[1][0]["exp_avg_sq"]) == skipped


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_fused_step_is_skipped_without_waiting_for_the_device():
    parameters = [torch.ones(3, device="cuda")]
    optimizer = Adam(parameters, fused=True)
    step(optimizer, parameters, 0.1)
    before, counts = parameters[0].clone(), torch.zeros(2, dtype=torch.int64, device="cuda")
    parameters[0].grad.fill_(torch.nan)
    torch.cuda.set_sync_debug_mode("error")
    try:
        bad = skip_unless_finite(optimizer, get_total_norm([parameters[0].grad]))
        counts = count_skipped(counts, bad)
        optimizer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(parameters[0], before)
    assert counts.tolist() == [1, 1]


def test_skipped_steps_are_counted_in_all_and_in_a_row():
    counts, rows = torch.zeros(2, dtype=torch.int64), []
    for bad in (False, True, True, False, True):
        counts = count_skipped(counts, torch.tensor(bad))
        rows.append(counts.tolist())
    assert rows == [[0, 0], [1, 1], [2, 2], [2, 0], [3, 1]]


def test_statistics_of_a_batch_that_is_not_finite_are_forgotten_channel_by_channel():
    norm = nn.BatchNorm2d(2)
    batch = torch.stack([torch.full((2, 4, 4), 3.0), torch.full((2, 4, 4), 5.0)])
    batch[0, 1, 0, 0] = torch.nan
    with keep_finite(norm.buffers()):
        norm(batch)
    assert norm.running_mean.tolist() == [pytest.approx(0.4), 0.0]  # 0.9 * 0 + 0.1 * 4; as it was
    # 0.9 * 1 + 0.1 * the unbiased variance of sixteen 3 and sixteen 5
    assert norm.running_var.tolist() == [pytest.approx(0.9 + 0.1 * 32 / 31), 1.0]


FAULTS = {
    # in which iteration what happens, and whose step is skipped for it
    2: ("gen gradient nan", {"gen"}),
    3: ("dis gradient inf", {"dis"}),
    4: ("gen gradient 1e19", {"gen"}),
    6: ("dis weight", {"dis", "gen"}),
    8: ("gen weight", {"gen"}),  # and the other's, if it is shown what that weight made
    9: ("losses", {"dis", "gen"}),
}


class Faults(Callback):
    """Lets things go wrong, takes them back, and looks at what is left of them."""

    def __init__(self, faults):
        self.faults, self.undo = faults, lambda: None
        self.states = []

    def on_train_start(self, trainer, pl_module):
        self._look(trainer, pl_module)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        player, *fault = self.faults.get(batch_idx + 1, ("", ""))[0].split(" ")
        if player == "losses":
            weights = pl_module.term_weights
            pl_module.term_weights = {term: 1e30 * weight for term, weight in weights.items()}
            self.undo = lambda: setattr(pl_module, "term_weights", weights)
            return
        if not player:
            return
        parameter = next(getattr(pl_module, f"{player}_a").parameters())
        if fault == ["weight"]:
            whole = parameter.detach().clone()
            parameter.data.view(-1)[0] = torch.nan if player == "gen" else torch.inf
            self.undo = lambda: parameter.data.copy_(whole)
        else:
            value = float(fault[1])
            hook = parameter.register_hook(lambda grad: torch.full_like(grad, value))
            self.undo = hook.remove

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.undo()
        self.undo = lambda: None
        self._look(trainer, pl_module)

    def _look(self, trainer, module):
        optimizers = zip(("dis", "gen"), trainer.optimizers, strict=True)
        self.states.append(
            {
                player: deepcopy(
                    {
                        "weights": [p.data for p in optimizer.param_groups[0]["params"]],
                        **optimizer.state_dict()["state"],
                    }
                )
                for player, optimizer in optimizers
            }
        )


def tensors(state):
    for value in state.values() if isinstance(state, dict) else state:
        yield from [value] if isinstance(value, torch.Tensor) else tensors(value)


def equal(one, other):
    pairs = zip(tensors(one), tensors(other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_fault_leaves_weights_and_moments_alone_and_the_next_iteration_trains(method):
    in_parts = method.model in ("munit", "bicyclegan")  # one of each order of updates
    options = {"accumulate": 2} if in_parts else {"optimizer": {"fused": True}}
    options["clip_norm"] = 1.0
    module, faults = method.make(**options), Faults(FAULTS)
    batch = 4 if in_parts else 2  # of which BicycleGAN translates half
    loop = fit(module, steps=10, batch=batch, callbacks=[faults])
    assert loop.global_step == 10
    totals = dict.fromkeys(("dis", "gen"), 0)
    for iteration in range(1, 11):
        fault, hit = FAULTS.get(iteration, ("", set()))
        if fault == "gen weight" and method.module is not CycleGANModule:
            hit = {"dis", "gen"}
        if fault == "losses" and method.model == "bicyclegan":
            hit = {"gen"}  # whose alone have weights
        before, after = faults.states[iteration - 1], faults.states[iteration]
        for player in ("dis", "gen"):
            assert all(tensor.isfinite().all() for tensor in tensors(after[player]))
            if iteration > 1:  # the states are made in the first
                assert equal(before[player], after[player]) == (player in hit), (iteration, player)
            totals[player] += player in hit
    assert {player: counts.tolist() for player, counts in module.skipped.items()} == {
        player: [total, 0] for player, total in totals.items()
    }


@pytest.mark.parametrize("method", ["cyclegan"], indirect=True)
def test_a_pool_keeps_no_picture_that_is_not_finite(method):
    module, faults = method.make(), Faults({2: ("gen weight", set())})
    fit(module, steps=3, callbacks=[faults])
    kept = [image for pool in module.pools.values() for image in pool.images]
    assert len(kept) == 2 * 2 * 3
    assert all(image.isfinite().all() for image in kept)


def test_white_images_have_no_gradient_that_munit_could_learn_from(tiny):
    """Each instance normalization of a constant multiplies gradients by 1 / sqrt(1e-5)."""
    module = MUNITModule(**tiny | {"generator": tiny["generator"] | {"num_res_blocks": 4}})
    white, faults = torch.ones(2, 3, 16, 16), Faults({})
    pairs = pairs_of(3)
    make_trainer(max_steps=3, callbacks=[faults]).fit(
        module, DataLoader([pairs[0], (white, white), pairs[2]], batch_size=None)
    )
    gen = [state["gen"] for state in faults.states]
    assert equal(gen[1], gen[2])
    assert not equal(gen[2], gen[3])
    assert {player: counts.tolist() for player, counts in module.skipped.items()} == {
        "dis": [0, 0],
        "gen": [1, 0],
    }


@pytest.mark.parametrize("method", ["munit", "cyclegan"], indirect=True)  # both orders
def test_under_fp16_a_huge_gradient_that_the_scaler_takes_is_skipped_too(method):
    """1e25 of the scaled loss is finite, so the scale stays; no step has been taken."""
    scaler, plugins = fp16(init_scale=64.0)
    huge = {2: ("gen gradient 1e25", {"gen"}), 3: ("dis gradient 1e25", {"dis"})}
    module, faults = method.make(), Faults(huge)
    fit(module, steps=4, callbacks=[faults], plugins=plugins)
    for iteration in (2, 3, 4):
        before, after = faults.states[iteration - 1], faults.states[iteration]
        for player in ("dis", "gen"):
            hit = player in huge.get(iteration, ("", set()))[1]
            assert equal(before[player], after[player]) == hit, (iteration, player)
    assert scaler.get_scale() == 64
    assert [counts.tolist() for counts in module.skipped.values()] == [[1, 0], [1, 0]]


@pytest.mark.parametrize("norm", ["batch", "spectral"])
def test_a_batch_that_is_not_finite_leaves_finite_buffers(tiny, norm):
    module = MUNITModule(**tiny | {"discriminator": tiny["discriminator"] | {"norm": norm}})
    assert [*module.buffers()]
    bad = torch.full((2, 3, 16, 16), torch.nan)
    make_trainer(max_steps=2).fit(
        module, DataLoader([(images(), images()), (bad, bad)], batch_size=None)
    )
    assert all(buffer.isfinite().all() for buffer in module.buffers())
    assert [counts.tolist() for counts in module.skipped.values()] == [[1, 1], [1, 1]]


@pytest.mark.parametrize("method", ["munit", "cyclegan"], indirect=True)  # both orders
def test_counts_go_on_after_a_resumption_and_are_no_part_of_the_state_dict(method, tmp_path):
    def train(steps, path=None):
        module, faults = method.make(), Faults({2: ("gen gradient nan", set())})
        loop = make_trainer(max_steps=steps, callbacks=[faults])
        loop.fit(
            module, DataLoader(pairs_of(4), batch_size=None), ckpt_path=path, weights_only=True
        )
        loop.save_checkpoint(tmp_path / "x.ckpt")
        assert not any("skipped" in name for name in module.state_dict())
        return torch.load(tmp_path / "x.ckpt", weights_only=True)["skipped"]

    assert train(2) == {"dis": [0, 0], "gen": [1, 1]}
    assert train(3, tmp_path / "x.ckpt") == {"dis": [0, 0], "gen": [1, 0]}


class Noisy(MUNITModule):
    """Draws from the global generator, as the code of others may."""

    def generator_terms(self, part):
        x_a = part.images.x_a
        part.images = part.images._replace(x_a=x_a + 0.1 * torch.randn_like(x_a))
        return super().generator_terms(part)


def test_what_is_drawn_without_a_generator_is_drawn_again_after_a_resumption(tiny, tmp_path):
    start = Noisy(**tiny).state_dict()

    def train(steps, path=None):
        module = Noisy(**tiny)
        module.load_state_dict(start)
        torch.manual_seed(steps)  # whatever was drawn before
        loop = make_trainer(max_steps=steps)
        same = DataLoader(pairs_of(1) * 4, batch_size=None)
        loop.fit(module, same, ckpt_path=path, weights_only=True)
        loop.save_checkpoint(tmp_path / "x.ckpt")
        return module.state_dict()

    whole = train(4)
    train(2)
    resumed = train(4, tmp_path / "x.ckpt")
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


def test_the_global_generator_differs_between_iterations_processes_and_seeds(tiny, monkeypatch):
    drawn = []

    class Watched(MUNITModule):
        def code_statistics(self, parts):
            drawn.append(torch.rand(()).item())
            return {}

    fit(Watched(**tiny), steps=2)
    fit(Watched(**tiny, seed=1), steps=1)
    monkeypatch.setattr(Watched, "global_rank", 1)
    fit(Watched(**tiny), steps=1)
    assert len({*drawn}) == 4
