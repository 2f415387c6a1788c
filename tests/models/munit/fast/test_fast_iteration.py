"""The iteration as one function, replayed from a tape, against the plain module under a trainer."""

from copy import deepcopy

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from tape import Tapes, state_of
from torch.utils.data import DataLoader
from training import images, make_trainer, pairs_of

from munit_pl import FastMUNITModule, MUNITModule
from munit_pl.callbacks.divergence import DivergenceGuard
from munit_pl.models.munit.fast.iteration import Iteration

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
        "discriminator": {"norm": "spectral", "global_judge": True},
        "gan_loss": "nsgan",
    },
    {"diffaugment": ["color", "translation", "cutout"], "weights": {"diversity": 1.0}},
]


class Taped(FastMUNITModule):
    """Records its iteration as on a CUDA device."""

    amp = None

    def make_iteration(self, optimizers, running):
        self.tapes = Tapes(state_of(self, optimizers, lambda: self.skipped))
        return Iteration(self, optimizers, amp=self.amp, recorder=self.tapes)


class Watch(Callback):
    """Keeps what was logged in each iteration, and the rates that it began with."""

    def __init__(self):
        self.logged, self.rates = [], []

    def on_train_batch_start(self, trainer, *_):
        self.rates.append([o.param_groups[0]["lr"] for o in trainer.optimizers])

    def on_train_batch_end(self, trainer, *_):
        values = {k: float(v) for k, v in trainer.callback_metrics.items()}
        self.logged.append((trainer.global_step, values))


def train(module, pairs, callbacks=(), path=None, **options):
    watch = Watch()
    loop = make_trainer(max_steps=len(pairs), callbacks=[watch, *callbacks], **options)
    loop.fit(module, DataLoader(pairs, batch_size=None), ckpt_path=path, weights_only=True)
    return loop, watch


def twins(tiny, cls, **options):
    """Make two modules with the same weights: the plain one and one of ``cls``."""
    for group in ("generator", "discriminator"):
        options[group] = {**tiny[group], **options.get(group, {})}
    # A rate that fp32 holds exactly, since a recorded step reads it as a number of that type.
    options.setdefault("optimizer", {"fused": True, "lr": RATE})
    plain, fast = MUNITModule(**options), cls(**options)
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
    plain, fast = twins(tiny, Taped, **deepcopy(options), **schedule)
    (of_plain, seen), (of_fast, also) = (train(m, pairs_of(8)) for m in (plain, fast))
    assert (fast.tapes.ran, fast.tapes.recorded, fast.tapes.replayed) == (3, 1, 5)
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
    options = {"diffaugment": ["color", "cutout"], "adaptive_images": 64, "adaptive_augment": 0.6}
    plain, fast = twins(tiny, Taped, **options, weights={"consistency": 1.0})
    for module in (plain, fast):
        module.adaptive.load({"probability": [0.5, 0.75], "seen": [0.0, 0.0, 0.0]})
        train(module, pairs_of(9))
    assert (fast.tapes.recorded, fast.tapes.replayed) == (1, 6)
    # Scores are near 0 at first, so that no patch is judged real: down by 8 of 64, twice.
    expected = {"probability": [0.25, 0.5], "seen": [-2.0, -2.0, 2.0]}
    assert fast.adaptive.state() == plain.adaptive.state() == expected
    assert_equal(fast.state_dict(), plain.state_dict())


@pytest.mark.parametrize("poisoned", [1, 6], ids=["before recording", "in a replay"])
def test_an_iteration_without_finite_gradients_changes_nothing_and_is_counted(tiny, poisoned):
    pairs = pairs_of(8)
    pairs[poisoned] = (torch.full_like(images(), torch.nan), images())
    plain, fast = twins(tiny, Taped)
    loops = [train(module, pairs)[0] for module in (plain, fast)]
    assert_equal(fast.state_dict(), plain.state_dict())
    assert_equal(optimizers_of(loops[1]), optimizers_of(loops[0]))
    assert {player: counts.tolist() for player, counts in fast.skipped.items()} == {
        "dis": [1, 0],
        "gen": [1, 0],
    }


def test_nothing_is_read_in_iterations_that_are_not_written_down(tiny, monkeypatch):
    _, fast = twins(tiny, Taped)
    read, log = [], fast._log_update

    def noted(player, *arguments):
        read.append((fast.trainer.global_step, player))
        log(player, *arguments)

    monkeypatch.setattr(fast, "_log_update", noted)
    train(fast, pairs_of(7), log_every_n_steps=3)
    assert read == [(3, "dis"), (3, "gen"), (6, "dis"), (6, "gen")]


def test_a_rate_that_fp32_does_not_hold_is_off_by_its_rounding_alone(tiny):
    plain, fast = twins(tiny, Taped, optimizer={"fused": True, "lr": 1e-4})
    for module in (plain, fast):
        train(module, pairs_of(6))
    # Each of the six steps moves a weight by about the rate.
    for name, weight in fast.state_dict().items():
        assert_equal(weight, plain.state_dict()[name], rtol=0, atol=0.01 * 6e-4)


def test_a_batch_of_another_size_is_trained_on_though_it_was_not_recorded(tiny):
    pairs = pairs_of(7)
    pairs[5] = (images(3, seed=70), images(3, seed=71))
    plain, fast = twins(tiny, Taped)
    for module in (plain, fast):
        train(module, pairs)
    assert fast.tapes.replayed == 3
    assert_equal(fast.state_dict(), plain.state_dict())


def test_after_loading_optimizers_back_it_is_recorded_anew(tiny, tmp_path):
    """The guard loads a checkpoint in the midst of a run, which gives Adam other tensors."""
    plain, fast = twins(tiny, Taped, scheduler={"step_size": 5})

    class LoadBack(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            if trainer.global_step == 5:
                trainer.save_checkpoint(tmp_path / f"{type(pl_module).__name__}.ckpt")
            if trainer.global_step == 7:
                guard = DivergenceGuard()
                pl_module.skipped["gen"] = torch.tensor([3, 2])
                load_back(trainer, pl_module, tmp_path / f"{type(pl_module).__name__}.ckpt")
                assert guard.reloads == 0

    from munit_pl.callbacks.divergence import _load_back as load_back

    loops = [train(module, pairs_of(12), [LoadBack()])[0] for module in (plain, fast)]
    assert fast.tapes.recorded == 2
    assert_equal(fast.state_dict(), plain.state_dict())
    assert_equal(optimizers_of(loops[1]), optimizers_of(loops[0]))
    assert fast.skipped["gen"].tolist() == plain.skipped["gen"].tolist() == [3, 0]


def test_what_cannot_be_recorded_is_run_as_it_is(tiny):
    """An optimizer that is not fused asks the host whether to step."""
    plain, fast = twins(tiny, Taped, optimizer={"fused": False})
    for module in (plain, fast):
        train(module, pairs_of(5))
    assert (fast.tapes.recorded, fast.tapes.replayed) == (1, 0)
    assert_equal(fast.state_dict(), plain.state_dict())
    assert fast.skipped["gen"].tolist() == [0, 0]


def test_optimizers_are_as_they_were_after_being_recorded(tiny):
    _, fast = twins(tiny, Taped)
    loop, _ = train(fast, pairs_of(5))
    for optimizer in loop.optimizers:
        (group,) = optimizer.param_groups
        assert (group["lr"], group["capturable"], type(group["lr"])) == (RATE, False, float)


def test_a_rehearsal_leaves_no_trace(tiny):
    _, fast = twins(tiny, FastMUNITModule, discriminator={"norm": "batch"})
    optimizers, _ = fast.configure_optimizers()
    before = deepcopy(fast.state_dict())
    x_a, x_b = images(seed=0), images(seed=1)
    Iteration(fast, optimizers).warm_up(x_a, x_b, fast.draw(x_a, x_b, 0))
    assert_equal(fast.state_dict(), before)
    assert all(p.grad is None for p in fast.parameters())
    assert all(p.requires_grad for p in fast.parameters())
    assert not any(o.state for o in optimizers)


class CastOnce(FastMUNITModule):
    """Casts weights as on a CUDA device."""

    def make_iteration(self, optimizers, running):
        return Iteration(self, optimizers, amp=torch.bfloat16)


def test_cast_weights_in_bf16_replay_as_they_ran(tiny):
    """Replayed against not recorded; that both are the plain module's but for rounding: below."""

    class InBf16(Taped):
        amp = torch.bfloat16

    _, fast = twins(tiny, InBf16)
    eager = CastOnce(**tiny, optimizer={"fused": True, "lr": RATE})
    eager.load_state_dict(deepcopy(fast.state_dict()))
    for module in (eager, fast):
        train(module, pairs_of(7))
    assert fast.tapes.replayed == 4
    assert_equal(fast.state_dict(), eager.state_dict())


def test_cast_weights_give_autocasts_gradients_but_for_rounding(tiny):
    plain, fast = twins(tiny, CastOnce, optimizer={"fused": True, "betas": [0.0, 0.9]})
    loops = [train(m, pairs_of(1), precision="bf16-mixed")[0] for m in (plain, fast)]
    for optimizer, same in zip(loops[1].optimizers, loops[0].optimizers, strict=True):
        # With a first beta of 0 the first moment is the gradient.
        grads, theirs = (
            torch.cat([s["exp_avg"].flatten() for s in o.state.values()]) for o in (optimizer, same)
        )
        assert (grads - theirs).norm() < 0.02 * theirs.norm()
    assert not torch.equal(grads, theirs)  # the generators', whose weights are used twice
