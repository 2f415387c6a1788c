"""The iteration as one function, replayed from a tape, against the plain module under a trainer."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from tape import Tapes, state_of
from torch.utils.data import DataLoader
from training import images, make_trainer, pairs_of

from munit_pl import MUNITModule
from munit_pl.callbacks.divergence import DivergenceGuard
from munit_pl.callbacks.fast.callback import FastIteration
from munit_pl.callbacks.fast.iteration import Iteration
from munit_pl.models.base.objective import Images

RATE = 2.0**-13
OPTIONS = [
    {},
    {
        "shared_styles": True,
        "weights": {"cycle": 10.0},
        "clip_norm": 0.1,
        "discriminator": {"norm": "batch"},
    },
    {
        "generator": {"spectral": True},
        "discriminator": {"norm": "spectral", "global_discriminator": True},
        "gan_loss": "nsgan",
    },
    {"recipes": {"diffaugment": {}, "mode_seeking": {}}},
    {"recipes": {"mask": {}}},
]


class Taped(FastIteration):
    """Records iterations as on a CUDA device."""

    def __init__(self, amp=None, record=True):
        super().__init__()
        self.amp, self.record = amp, record

    def on_train_start(self, trainer, pl_module):
        module, optimizers = pl_module, trainer.optimizers
        self.tapes = Tapes(state_of(module, optimizers, lambda: module.skipped))
        recorder = self.tapes if self.record else None
        self._warmed_up = True
        iteration = Iteration(module, optimizers, amp=self.amp, recorder=recorder)
        module.run_iteration = partial(self.run, module, iteration)


class Watch(Callback):
    """Keeps what was logged in each iteration, and the rates that it began with."""

    def __init__(self):
        self.logged, self.rates = [], []

    def on_train_batch_start(self, trainer, *_):
        self.rates.append([o.param_groups[0]["lr"] for o in trainer.optimizers])

    def on_train_batch_end(self, trainer, *_):
        values = {k: float(v) for k, v in trainer.callback_metrics.items()}
        self.logged.append((trainer.global_step, values))


def with_masks(pairs):
    rng = torch.Generator().manual_seed(9)
    return [(*p, *torch.rand(2, len(p[0]), 1, 16, 16, generator=rng)) for p in pairs]


def train(module, pairs, callbacks=(), path=None, **options):
    watch = Watch()
    loop = make_trainer(max_steps=len(pairs), callbacks=[watch, *callbacks], **options)
    loop.fit(module, DataLoader(pairs, batch_size=None), ckpt_path=path, weights_only=True)
    return loop, watch


def twins(tiny, **options):
    """Make two modules with the same weights."""
    for group in ("generator", "discriminator"):
        options[group] = {**tiny[group], **options.get(group, {})}
    # A rate that fp32 holds exactly, since a recorded step reads it as a number of that type.
    options.setdefault("optimizer", {"fused": True, "lr": RATE})
    plain, fast = MUNITModule(**options), MUNITModule(**options)
    fast.load_state_dict(deepcopy(plain.state_dict()))
    return plain, fast


def assert_equal(left, right, **tolerance):
    tolerance = tolerance or {"rtol": 0, "atol": 0}
    torch.testing.assert_close(left, right, **tolerance)


def optimizers_of(loop):
    return [o.state_dict()["state"] for o in loop.optimizers]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_replayed_iteration_is_the_plain_one_to_the_bit(tiny, options):
    """Weights, moments, rates that change on the way, and all that is logged."""
    schedule = {"scheduler": {"step_size": 3}}
    plain, fast = twins(tiny, **deepcopy(options), **schedule)
    taped, pairs = Taped(), with_masks(pairs_of(8))
    (of_plain, seen), (of_fast, also) = train(plain, pairs), train(fast, pairs, [taped])
    assert (taped.tapes.ran, taped.tapes.recorded, taped.tapes.replayed) == (3, 1, 5)
    assert of_fast.global_step == 8
    assert_equal(fast.state_dict(), plain.state_dict())
    assert_equal(optimizers_of(of_fast), optimizers_of(of_plain))
    assert also.rates == seen.rates
    assert {rate for rate, _ in seen.rates} == {RATE, RATE / 2, RATE / 4}
    for (step, values), (same_step, same) in zip(also.logged, seen.logged, strict=True):
        assert step == same_step
        assert values == pytest.approx(same, rel=1e-6)


def test_augmentations_become_rarer_as_without_a_recording(tiny):
    """What is replayed sees decisions made before it; what it measures is looked at after it."""
    ada = {"augmentations": ["color", "cutout"], "length": 64, "target": 0.6}
    plain, fast = twins(tiny, recipes={"ada": ada, "consistency": {"weight": 1.0}})
    taped, states = Taped(), []
    for module, callbacks in ((plain, []), (fast, [taped])):
        recipe = next(iter(module.recipes))
        recipe.load_state_dict({"probability": [0.5, 0.75], "seen": [0.0, 0.0, 0.0]})
        train(module, pairs_of(9), callbacks)
        states.append(recipe.state_dict())
    assert (taped.tapes.recorded, taped.tapes.replayed) == (1, 6)
    # Scores are near 0 at first, so that no patch is judged real: down by 8 of 64, twice.
    expected = {"probability": [0.25, 0.5], "seen": [-2.0, -2.0, 2.0]}
    assert states == [expected, expected]
    assert_equal(fast.state_dict(), plain.state_dict())


@pytest.mark.parametrize("poisoned", [1, 6], ids=["before recording", "in a replay"])
def test_an_iteration_without_finite_gradients_changes_nothing_and_is_counted(tiny, poisoned):
    pairs = pairs_of(8)
    pairs[poisoned] = (torch.full_like(images(), torch.nan), images())
    plain, fast = twins(tiny)
    loops = [train(plain, pairs)[0], train(fast, pairs, [Taped()])[0]]
    assert_equal(fast.state_dict(), plain.state_dict())
    assert_equal(optimizers_of(loops[1]), optimizers_of(loops[0]))
    assert {player: counts.tolist() for player, counts in fast.skipped.items()} == {
        "dis": [1, 0],
        "gen": [1, 0],
    }


def test_nothing_is_read_in_iterations_that_are_not_written_down(tiny, monkeypatch):
    _, fast = twins(tiny)
    read, log = [], fast._log_update

    def noted(player, *arguments):
        read.append((fast.trainer.global_step, player))
        log(player, *arguments)

    monkeypatch.setattr(fast, "_log_update", noted)
    train(fast, pairs_of(7), [Taped()], log_every_n_steps=3)
    assert read == [(3, "dis"), (3, "gen"), (6, "dis"), (6, "gen")]


def test_a_rate_that_fp32_does_not_hold_is_off_by_its_rounding_alone(tiny):
    plain, fast = twins(tiny, optimizer={"fused": True, "lr": 1e-4})
    train(plain, pairs_of(6))
    train(fast, pairs_of(6), [Taped()])
    # Each of the six steps moves a weight by about the rate.
    for name, weight in fast.state_dict().items():
        assert_equal(weight, plain.state_dict()[name], rtol=0, atol=0.01 * 6e-4)


def test_a_batch_of_another_size_is_trained_on_though_it_was_not_recorded(tiny):
    pairs = pairs_of(7)
    pairs[5] = (images(3, seed=70), images(3, seed=71))
    plain, fast = twins(tiny)
    taped = Taped()
    train(plain, pairs)
    train(fast, pairs, [taped])
    assert taped.tapes.replayed == 3
    assert_equal(fast.state_dict(), plain.state_dict())


def test_after_loading_optimizers_back_it_is_recorded_anew(tiny, tmp_path):
    """The guard loads a checkpoint in the midst of a run, which gives Adam other tensors."""
    plain, fast = twins(tiny, scheduler={"step_size": 5})

    class LoadBack(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            if trainer.global_step == 5:
                trainer.save_checkpoint(tmp_path / "x.ckpt")
            if trainer.global_step == 7:
                guard = DivergenceGuard()
                pl_module.skipped["gen"] = torch.tensor([3, 2])
                load_back(trainer, pl_module, tmp_path / "x.ckpt")
                assert guard.reloads == 0

    from munit_pl.callbacks.divergence import _load_back as load_back

    taped, pairs = Taped(), pairs_of(12)
    loops = [train(plain, pairs, [LoadBack()])[0], train(fast, pairs, [LoadBack(), taped])[0]]
    assert taped.tapes.recorded == 2
    assert_equal(fast.state_dict(), plain.state_dict())
    assert_equal(optimizers_of(loops[1]), optimizers_of(loops[0]))
    assert fast.skipped["gen"].tolist() == plain.skipped["gen"].tolist() == [3, 0]


def test_what_cannot_be_recorded_is_run_as_it_is(tiny):
    """An optimizer that is not fused asks the host whether to step."""
    plain, fast = twins(tiny, optimizer={"fused": False})
    taped = Taped()
    train(plain, pairs_of(5))
    train(fast, pairs_of(5), [taped])
    assert (taped.tapes.recorded, taped.tapes.replayed) == (1, 0)
    assert_equal(fast.state_dict(), plain.state_dict())
    assert fast.skipped["gen"].tolist() == [0, 0]


def test_optimizers_are_as_they_were_after_being_recorded(tiny):
    _, fast = twins(tiny)
    loop, _ = train(fast, pairs_of(5), [Taped()])
    for optimizer in loop.optimizers:
        (group,) = optimizer.param_groups
        assert (group["lr"], group["capturable"], type(group["lr"])) == (RATE, False, float)


def test_warming_up_leaves_no_trace(tiny):
    _, fast = twins(tiny, discriminator={"norm": "batch"})
    optimizers, _ = fast.configure_optimizers()
    before = deepcopy(fast.state_dict())
    batch = Images(images(seed=0), images(seed=1))
    Iteration(fast, optimizers).warm_up(batch, fast.draw_all(batch, 0))
    assert_equal(fast.state_dict(), before)
    assert all(p.grad is None for p in fast.parameters())
    assert all(p.requires_grad for p in fast.parameters())
    assert not any(o.state for o in optimizers)


def test_cast_weights_in_bf16_replay_as_they_ran(tiny):
    """Replayed against not recorded; that both are the plain module's but for rounding: below."""

    eager, fast = twins(tiny)
    taped = Taped(torch.bfloat16)
    train(eager, pairs_of(7), [Taped(torch.bfloat16, record=False)])
    train(fast, pairs_of(7), [taped])
    assert taped.tapes.replayed == 4
    assert_equal(fast.state_dict(), eager.state_dict())


def test_cast_weights_give_autocasts_gradients_but_for_rounding(tiny):
    plain, fast = twins(tiny, optimizer={"fused": True, "betas": [0.0, 0.9]})
    loops = [
        train(module, pairs_of(1), callbacks, precision="bf16-mixed")[0]
        for module, callbacks in ((plain, []), (fast, [Taped(torch.bfloat16, record=False)]))
    ]
    for optimizer, same in zip(loops[1].optimizers, loops[0].optimizers, strict=True):
        # With a first beta of 0 the first moment is the gradient.
        grads, theirs = (
            torch.cat([s["exp_avg"].flatten() for s in o.state.values()]) for o in (optimizer, same)
        )
        assert (grads - theirs).norm() < 0.02 * theirs.norm()
    assert not torch.equal(grads, theirs)  # the generators', whose weights are used twice
