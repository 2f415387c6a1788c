from math import inf, nan

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from runs import load
from training import LEAST, fit_least

from munit_pl import MUNITModule
from munit_pl.callbacks import ema
from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.ema import WeightAverage
from munit_pl.callbacks.evaluate import task_of


class Record(Callback):
    """Keeps the generators' weights at the beginning and after each iteration."""

    def __init__(self):
        self.states = []

    def on_train_start(self, trainer, pl_module):
        self.states.append(generators(pl_module.state_dict()))

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.states.append(generators(pl_module.state_dict()))


def generators(state):
    return {key: value.clone() for key, value in state.items() if key.startswith("gen_")}


def fit(folder, steps, *callbacks, **options):
    torch.manual_seed(0)
    callbacks = [*callbacks, Checkpoints(folder)]
    fit_least(steps, *callbacks, enable_checkpointing=True, **options)
    return load(folder / "last.ckpt")


def averaged(checkpoint):
    return {
        f"{name}.{key}": value
        for name in ("gen_a", "gen_b")
        for key, value in checkpoint["averaged"][name].items()
    }


@pytest.fixture
def constant(monkeypatch):
    """Have the share be ``decay`` from the second iteration on, as it is late in a run."""
    monkeypatch.setattr(ema, "RAMP_UP", 1e9)


def test_the_average_is_the_closed_form_of_all_weights(tmp_path, constant):
    """With w_t after iteration t: d^k w_1 + (1 - d) (d^(k-1) w_2 + ... + w_(1+k))."""
    d, steps = 0.7, 6
    record = Record()
    checkpoint = fit(tmp_path, steps, record, WeightAverage(d))
    w, k = record.states, steps - 1
    for name, value in averaged(checkpoint).items():
        expected = d**k * w[1][name].double()
        for i in range(1, k + 1):
            expected += (1 - d) * d ** (k - i) * w[1 + i][name].double()
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-7)
        moved = not torch.equal(w[1][name], w[-1][name])  # cancelled biases stay
        assert torch.equal(value, w[-1][name]) != moved
    # All of the generators' state, and nothing of the discriminators'.
    assert averaged(checkpoint).keys() == generators(checkpoint["state_dict"]).keys()


def test_the_half_life_is_at_most_a_twentieth_of_the_iterations_before():
    """Of 20 iterations it is 1, of 200 it is 10."""
    average = WeightAverage(0.95)
    shares = {t: average.decay_at(t) for t in (1, 2, 5, 21, 201, 1000)}
    expected = {1: 0, 2: 2**-20, 5: 2**-5, 21: 0.5, 201: 0.5**0.1, 1000: 0.95}
    assert shares == pytest.approx(expected)


def test_early_in_a_run_the_average_forgets_sooner(tmp_path):
    record = Record()
    checkpoint = fit(tmp_path, 5, record, WeightAverage())
    for name, value in averaged(checkpoint).items():
        expected = record.states[1][name]
        for t, d in ((2, 2**-20), (3, 2**-10), (4, 2 ** (-20 / 3)), (5, 2**-5)):
            expected = d * expected + (1 - d) * record.states[t][name]
        torch.testing.assert_close(value, expected)


def test_what_runs_show_and_measure_is_the_average_and_what_is_trained_stays(tmp_path, constant):
    shown, measured, record = Record(), [], Record()

    class Show(Callback):
        """Before the average has this iteration from elsewhere."""

        def on_train_batch_end(self, trainer, pl_module, *_):
            with ema.averaged(trainer, pl_module):
                shown.on_train_batch_end(trainer, pl_module)
            gen_a, gen_b = task_of(trainer, pl_module, 0).translator.generators
            measured.append({"gen_a": gen_a.state_dict(), "gen_b": gen_b.state_dict()})

    checkpoint = fit(tmp_path, 4, Show(), record, WeightAverage(0.5))
    for name, value in averaged(checkpoint).items():
        assert torch.equal(shown.states[-1][name], value)
        gen, _, key = name.partition(".")
        assert torch.equal(measured[-1][gen][key], value)
    plain = fit(tmp_path / "plain", 4)
    assert all(torch.equal(plain["state_dict"][k], v) for k, v in record.states[-1].items())


def test_a_module_that_is_loaded_translates_with_the_average(tmp_path, constant):
    checkpoint = fit(tmp_path, 3, WeightAverage(0.5))
    loaded = MUNITModule.load_from_checkpoint(tmp_path / "last.ckpt").state_dict()
    for name, value in averaged(checkpoint).items():
        assert torch.equal(loaded[name], value), name
    assert torch.equal(
        loaded["dis_a.scales.0.0.conv.weight"],
        checkpoint["state_dict"]["dis_a.scales.0.0.conv.weight"],
    )
    damaged = checkpoint | {"averaged": {"gen_a": {}, "gen_b": 3}}
    torch.save(damaged, tmp_path / "damaged.ckpt")
    with pytest.raises(ValueError, match="does not load as MUNITModule"):
        MUNITModule.load_from_checkpoint(tmp_path / "damaged.ckpt")


def test_a_run_without_an_average_shows_what_it_trains(tmp_path):
    shown, record = Record(), Record()

    class Show(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            with ema.averaged(trainer, pl_module):
                shown.on_train_batch_end(trainer, pl_module)

    fit(tmp_path, 2, Show(), record)
    assert all(torch.equal(shown.states[-1][k], v) for k, v in record.states[-1].items())


def test_nothing_of_the_training_changes_by_it(tmp_path):
    plain = fit(tmp_path / "plain", 3)
    with_average = fit(tmp_path / "averaged", 3, WeightAverage(0.5))
    for name, value in plain["state_dict"].items():
        assert torch.equal(value, with_average["state_dict"][name])


def test_a_resumed_average_is_that_of_an_uninterrupted_run_to_the_bit(tmp_path, constant):
    whole = fit(tmp_path / "whole", 5, WeightAverage(0.9))
    fit(tmp_path / "parts", 3, WeightAverage(0.9))
    last = tmp_path / "parts" / "last.ckpt"
    parts = fit(tmp_path / "parts", 5, WeightAverage(0.9), ckpt_path=last)
    for name, value in averaged(whole).items():
        assert torch.equal(value, averaged(parts)[name]), name


@pytest.mark.parametrize("damaged", [torch.zeros(3), "text"])
def test_what_is_no_average_of_these_networks_is_not_gone_on_from(tmp_path, damaged):
    checkpoint = fit(tmp_path, 1, WeightAverage())
    name = next(iter(dict(MUNITModule(**LEAST).gen_b.named_parameters())))
    checkpoint["averaged"]["gen_b"][name] = damaged
    torch.save(checkpoint, tmp_path / "damaged.ckpt")
    with pytest.raises(ValueError, match=f"its average is none of these networks: gen_b.{name}"):
        fit(tmp_path, 2, WeightAverage(), ckpt_path=tmp_path / "damaged.ckpt")


def test_an_average_that_begins_another_run_begins_anew(tmp_path, constant):
    average = WeightAverage(0.5)
    fit(tmp_path / "1", 3, average)
    again, first = fit(tmp_path / "2", 2, average), fit(tmp_path / "3", 2, WeightAverage(0.5))
    for name, value in averaged(first).items():
        assert torch.equal(averaged(again)[name], value), name


def test_a_resumed_average_stays_where_somebody_asks_for_it_before_training(tmp_path, constant):
    """As evaluations do, when the run does not know yet which iteration it is at."""

    class Ask(Callback):
        def on_fit_start(self, trainer, pl_module):
            task_of(trainer, pl_module, 0)

    whole = fit(tmp_path / "whole", 5, WeightAverage(0.9))
    fit(tmp_path / "parts", 3, WeightAverage(0.9))
    last = tmp_path / "parts" / "last.ckpt"
    parts = fit(tmp_path / "parts", 5, Ask(), WeightAverage(0.9), ckpt_path=last)
    for name, value in averaged(whole).items():
        assert torch.equal(value, averaged(parts)[name]), name


def test_a_checkpoint_that_another_callback_saves_first_holds_the_iteration_as_well(
    tmp_path, constant
):
    class First(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 3:
                trainer.save_checkpoint(tmp_path / "early.ckpt")

    fit(tmp_path, 3, First(), WeightAverage(0.5))
    early, last = (averaged(load(tmp_path / name)) for name in ("early.ckpt", "last.ckpt"))
    for name, value in last.items():
        assert torch.equal(early[name], value)


def test_a_run_without_an_average_is_resumed_with_one(tmp_path, constant):
    fit(tmp_path, 2)
    record = Record()
    checkpoint = fit(tmp_path, 3, record, WeightAverage(0.5), ckpt_path=tmp_path / "last.ckpt")
    for name, value in averaged(checkpoint).items():
        torch.testing.assert_close(value, (record.states[0][name] + record.states[1][name]) / 2)


@pytest.mark.parametrize("bad", [nan, inf])
@pytest.mark.parametrize("when", [1, 3])
def test_weights_that_are_not_finite_are_not_taken_in(tmp_path, constant, bad, when):
    class Poison(Callback):
        """Of one iteration only, in the eyes of those who come later."""

        def on_train_batch_end(self, trainer, pl_module, *_):
            if trainer.global_step == when:
                self.weight = next(pl_module.gen_a.parameters()).data.view(-1)
                self.former = self.weight[0].item()
                self.weight[0] = bad

    class Cure(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            if trainer.global_step == when:
                poison.weight[0] = poison.former

    poison, record = Poison(), Record()
    checkpoint = fit(tmp_path, 4, poison, WeightAverage(0.5), Cure(), record)
    first, *taken = (0, 2, 3, 4) if when == 1 else (1, 2, 4)
    for name, value in averaged(checkpoint).items():
        expected = record.states[first][name]
        for i in taken:
            expected = (expected + record.states[i][name]) / 2
        torch.testing.assert_close(value, expected)


def test_an_average_of_halves_is_kept_in_full(tmp_path):
    """Of bfloat16's 8 bits a share of 1/1000 would be lost."""
    checkpoint = fit(tmp_path, 2, WeightAverage(0.999), precision="bf16-true")
    assert {value.dtype for value in checkpoint["state_dict"].values()} == {torch.bfloat16}
    assert {value.dtype for value in averaged(checkpoint).values()} == {torch.float32}


@pytest.mark.parametrize("settings", [{"decay": 1.0}, {"decay": -0.1}, {"decay": nan}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        WeightAverage(**settings)
