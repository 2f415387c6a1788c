import pytest
import torch
from lightning.pytorch.callbacks import Callback
from runs import load
from torch.utils.data import DataLoader
from training import fit, fp16, make_trainer, moved, pairs_of, weights

from munit_pl import CycleGANModule
from munit_pl.callbacks import divergence
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.divergence import DivergenceGuard
from munit_pl.callbacks.ema import WeightAverage
from munit_pl.callbacks.stop_request import RunStopped
from munit_pl.callbacks.stopping import GracefulStop
from munit_pl.exits import ExitCode

PATIENCE = 2


class Poison(Callback):
    """Makes a player's gradient infinite in some iterations; keeps each one's outcome."""

    def __init__(self, iterations, player="gen"):
        self.iterations, self.player = iterations, player
        self.weights, self.rates, self.hook = {}, {}, None

    def on_train_batch_start(self, trainer, pl_module, *_):
        iteration = trainer.global_step + 1
        self.rates[iteration] = [o.param_groups[0]["lr"] for o in trainer.optimizers]
        if iteration in self.iterations:
            parameter = next(getattr(pl_module, f"{self.player}_b").parameters())
            self.hook = parameter.register_hook(lambda grad: grad * torch.inf)

    def on_train_batch_end(self, trainer, pl_module, *_):
        if self.hook:
            self.hook.remove()
        self.weights[trainer.global_step] = weights(pl_module)


def run(method, folder, poison, steps, every=2, guard=None, module=None, **options):
    """Train with a guard that comes before ``poison`` looks, and a checkpoint now and then."""
    guard = guard or DivergenceGuard(PATIENCE)
    callbacks = [guard, poison, Checkpoints(folder, every)]
    module = module or method.make(scheduler={"step_size": 3})
    return fit(module, steps, callbacks=callbacks, enable_checkpointing=True, **options)


@pytest.fixture
def stops(monkeypatch):
    """What asks for the end of the run."""
    asked = []
    monkeypatch.setattr(divergence, "request_stop", lambda _, *request: asked.append(request))
    return asked


munit = pytest.mark.parametrize("method", ["munit"], indirect=True)


@munit
def test_the_newest_checkpoint_of_before_is_loaded_back_and_training_goes_on(
    method, tmp_path, stops
):
    """Iterations 4 to 6 are skipped; 4, which lies within, is saved as 2 is; 6 is looked at."""
    poison = Poison([4, 5, 6])
    with pytest.warns(UserWarning, match=r"generators .* since iteration 4 .*00000002.ckpt back"):
        loop = run(method, tmp_path, poison, steps=8)
    assert loop.global_step == 8
    saved = torch.load(tmp_path / "00000002.ckpt", weights_only=True)
    before = [saved["state_dict"][name] for name, _ in loop.lightning_module.named_parameters()]
    assert not moved(before, poison.weights[6])
    assert moved(poison.weights[5], poison.weights[6])
    assert moved(poison.weights[6], poison.weights[7])
    assert [poison.rates[k][1] for k in (2, 6, 7)] == [1e-4, 0.5e-4, 0.25e-4]  # its own
    steps = {int(state["step"]) for state in loop.optimizers[1].state.values()}
    assert steps == {2 + 2}
    assert loop.lightning_module.skipped["gen"].tolist() == [3, 0]
    assert stops == []
    # What was saved in the sixth iteration is what was loaded.
    after = torch.load(tmp_path / "00000006.ckpt", weights_only=True)
    assert after["global_step"] == 6
    assert after["callbacks"]["FiniteGuard"]["reloads"] == 1


@pytest.mark.parametrize("method", ["cyclegan"], indirect=True)
def test_a_methods_own_state_is_loaded_back_too(method, tmp_path, stops):
    pools = {}

    class Pools(Poison):
        def on_train_batch_end(self, trainer, pl_module, *_):
            super().on_train_batch_end(trainer, pl_module)
            images = [torch.stack(pool.images) for pool in pl_module.pools.values()]
            pools[trainer.global_step] = torch.stack(images)

    module = method.make(pool_size=3)
    assert isinstance(module, CycleGANModule)
    with pytest.warns(UserWarning, match="loaded .*00000002.ckpt back"):
        run(method, tmp_path, Pools([3, 4]), steps=4, module=module)
    assert torch.equal(pools[4], pools[2])
    assert not torch.equal(pools[3], pools[2])


@munit
def test_the_moving_average_is_loaded_back_too(method, tmp_path, stops):
    average = WeightAverage(0.5)
    callbacks = [average, DivergenceGuard(PATIENCE), Poison([5, 6]), Checkpoints(tmp_path, 1)]
    module = method.make(optimizer={"lr": 0.1})  # so that it moves in each iteration
    with pytest.warns(UserWarning, match=r"00000004.ckpt back"):
        fit(module, 6, callbacks=callbacks, enable_checkpointing=True)
    saved = [load(tmp_path / f"0000000{k}.ckpt")["averaged"]["gen_a"] for k in (4, 5, 6)]
    before, meanwhile, after = ([*state.values()] for state in saved)
    assert moved(before, meanwhile)
    assert not moved(before, after)


@munit
def test_iterations_of_several_discriminator_steps_are_counted_once(method, tmp_path, stops):
    module = method.make(discriminator_steps=3)
    with pytest.warns(UserWarning, match=r"discriminators .* since iteration 5 .*00000004.ckpt"):
        run(method, tmp_path, Poison([5, 6], "dis"), steps=6, module=module)
    assert module.skipped["dis"].tolist() == [6, 0]
    assert stops == []


@munit
@pytest.mark.parametrize("player", ["dis", "gen"])
def test_the_second_time_the_run_is_asked_to_stop(method, tmp_path, stops, player):
    poison = Poison(range(3, 100), player)
    with pytest.warns(UserWarning, match="loaded .* back"):
        run(method, tmp_path, poison, steps=6)
    assert [code for code, _ in stops] == [ExitCode.DIVERGED]
    message = stops[0][1]
    name = {"dis": "discriminators", "gen": "generators"}[player]
    assert f"gradients of the {name} have been NaN/Inf" in message
    assert "since iteration 5 (learning rate 2.5e-05, precision 32-true)" in message
    assert (
        "loading a checkpoint back did not help; go on with a lower model.optimizer.lr" in message
    )
    assert "\n" not in message


@munit
def test_without_an_older_checkpoint_the_run_is_asked_to_stop(method, tmp_path, stops):
    run(method, tmp_path, Poison(range(2, 100)), steps=4, every=3)
    assert len(stops) == 1
    assert "since iteration 2 " in stops[0][1]
    assert "no checkpoint is older" in stops[0][1]


@munit
def test_a_damaged_checkpoint_is_passed_over(method, tmp_path, stops):
    class Damage(Poison):
        def on_train_batch_start(self, trainer, *others):
            super().on_train_batch_start(trainer, *others)
            if trainer.global_step == 4:
                (tmp_path / "00000004.ckpt").write_bytes(b"half a file")

    with pytest.warns(UserWarning, match="loaded .*00000002.ckpt back"):
        run(method, tmp_path, Damage([5, 6]), steps=6)
    assert stops == []


@munit
def test_a_run_that_diverges_ends_with_its_own_status(method, tmp_path):
    guards = [DivergenceGuard(PATIENCE), Poison(range(1, 100))]
    with pytest.raises(RuntimeError, match=r"since iteration 1 .*no checkpoint is older"):
        fit(method.make(), steps=4, callbacks=guards)
    guards.append(GracefulStop())
    with pytest.raises(RunStopped, match="no checkpoint is older") as stopped:
        fit(method.make(), steps=4, callbacks=guards, enable_checkpointing=True)
    assert stopped.value.code == ExitCode.DIVERGED == 70


@munit
def test_fewer_skipped_steps_in_a_row_are_let_be(method, tmp_path, stops, recwarn):
    loop = run(method, tmp_path, Poison([2, 3, 5, 7, 8]), steps=9, guard=DivergenceGuard(3))
    assert loop.lightning_module.skipped["gen"].tolist() == [5, 0]
    assert stops == []
    assert not [warning for warning in recwarn if "loaded" in str(warning.message)]


@munit
def test_reloads_are_remembered_over_a_resumption(method, tmp_path, stops):
    with pytest.warns(UserWarning, match="loaded .* back"):
        run(method, tmp_path, Poison([3, 4]), steps=4)
    loop = make_trainer(
        max_steps=6,
        callbacks=[DivergenceGuard(PATIENCE), Poison([5, 6]), Checkpoints(tmp_path, 2)],
        enable_checkpointing=True,
    )
    data = DataLoader(pairs_of(6), batch_size=None)
    loop.fit(method.make(), data, ckpt_path=tmp_path / "00000004.ckpt", weights_only=True)
    assert len(stops) == 1


@munit
def test_fp16_that_looks_for_its_scale_is_let_be(method, tmp_path, stops, recwarn):
    """From 2**40 on all overflows, many more times in a row than the guard is patient."""
    scaler, plugins = fp16(init_scale=2.0**40)
    loop = run(method, tmp_path, Poison([]), steps=40, every=1000, plugins=plugins)
    total, row = loop.lightning_module.skipped["gen"].tolist()
    assert total > 3 * PATIENCE
    assert row == 0
    assert 1 <= scaler.get_scale() <= 2.0 ** (40 - total)
    assert stops == []
    assert not [warning for warning in recwarn if "fp16" in str(warning.message)]


@munit
def test_fp16_without_a_scale_that_works_is_told_once_and_then_answered(method, tmp_path, stops):
    _, plugins = fp16(init_scale=8.0)
    with pytest.warns(UserWarning, match="fp16") as told:
        run(method, tmp_path, Poison(range(1, 100)), steps=8, every=1000, plugins=plugins)
    (warning,) = [str(w.message) for w in told if "fp16" in str(w.message)]
    # Halved in each iteration: 0.5 after the fourth.
    assert warning == (
        "iteration 4: gradients do not fit into fp16: the loss scale is 0.5; "
        "use trainer.precision=bf16-mixed"
    )
    assert stops
    assert "trainer.precision=bf16-mixed" in stops[0][1]


@munit
def test_fp16_that_skips_most_steps_is_told_of(method, tmp_path, stops, monkeypatch):
    """Two of three, and never two in a row of the same four; the scale grows in between."""
    monkeypatch.setattr(divergence, "WINDOW", 6)
    _, plugins = fp16(init_scale=1024.0, growth_interval=1, backoff_factor=0.75)
    poison = Poison([k for k in range(1, 9) if k % 3])
    with pytest.warns(
        UserWarning, match="iteration 8: .*: 4 of the last 6 steps were skipped; use"
    ):
        run(
            method, tmp_path, poison, steps=8, every=1000, plugins=plugins, guard=DivergenceGuard(2)
        )


def test_what_was_seen_of_fp16_is_remembered_over_a_resumption():
    guard, resumed = DivergenceGuard(PATIENCE), DivergenceGuard(PATIENCE)
    guard.load_state_dict({"reloads": 1, "totals": [[k, 0] for k in range(150)]})
    resumed.load_state_dict(guard.state_dict())
    # As many as span 200 iterations.
    assert resumed.state_dict() == {"reloads": 1, "totals": [[k, 0] for k in range(49, 150)]}


def test_no_patience_is_refused():
    with pytest.raises(ValueError, match="patience is 0"):
        DivergenceGuard(0)
