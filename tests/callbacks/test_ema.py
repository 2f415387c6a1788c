from math import inf, nan

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from runs import load
from training import fit_least

from munit_pl.callbacks.checkpoints import Checkpoints
from munit_pl.callbacks.ema import WeightAverage


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


def test_the_average_is_the_closed_form_of_all_weights_since_the_start(tmp_path):
    """With w_t after iteration t: d^k w_s + (1 - d) (d^(k-1) w_(s+1) + ... + w_(s+k))."""
    d, start, steps = 0.7, 2, 6
    record = Record()
    checkpoint = fit(tmp_path, steps, record, WeightAverage(d, start))
    w, k = record.states, steps - start
    for name, value in averaged(checkpoint).items():
        expected = d**k * w[start][name].double()
        for i in range(1, k + 1):
            expected += (1 - d) * d ** (k - i) * w[start + i][name].double()
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-7)
        moved = not torch.equal(w[start][name], w[-1][name])  # cancelled biases stay
        assert torch.equal(value, w[-1][name]) != moved
    # All of the generators' state, and nothing of the discriminators'.
    assert averaged(checkpoint).keys() == generators(checkpoint["state_dict"]).keys()


@pytest.mark.parametrize("start", [3, 1000])
def test_until_the_start_the_average_is_the_weights(tmp_path, start):
    checkpoint = fit(tmp_path, 3, WeightAverage(0.9, start))
    for name, value in averaged(checkpoint).items():
        assert torch.equal(value, checkpoint["state_dict"][name])


def test_an_average_from_the_start_begins_with_the_first_weights(tmp_path):
    record = Record()
    checkpoint = fit(tmp_path, 1, record, WeightAverage(0.75, start=0))
    for name, value in averaged(checkpoint).items():
        first, second = (state[name] for state in record.states)
        torch.testing.assert_close(value, 0.75 * first + 0.25 * second)


def test_nothing_of_the_training_changes_by_it(tmp_path):
    plain = fit(tmp_path / "plain", 3)
    with_average = fit(tmp_path / "averaged", 3, WeightAverage(0.5, 1))
    for name, value in plain["state_dict"].items():
        assert torch.equal(value, with_average["state_dict"][name])


@pytest.mark.parametrize("cut", [1, 3])  # before averaging starts, and after
def test_a_resumed_average_is_that_of_an_uninterrupted_run_to_the_bit(tmp_path, cut):
    whole = fit(tmp_path / "whole", 5, WeightAverage(0.9, 2))
    fit(tmp_path / "parts", cut, WeightAverage(0.9, 2))
    last = tmp_path / "parts" / "last.ckpt"
    parts = fit(tmp_path / "parts", 5, WeightAverage(0.9, 2), ckpt_path=last)
    for name, value in averaged(whole).items():
        assert torch.equal(value, averaged(parts)[name]), name


def test_a_checkpoint_that_another_callback_saves_first_holds_the_iteration_as_well(tmp_path):
    class First(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 3:
                trainer.save_checkpoint(tmp_path / "early.ckpt")

    fit(tmp_path, 3, First(), WeightAverage(0.5, 1))
    early, last = (averaged(load(tmp_path / name)) for name in ("early.ckpt", "last.ckpt"))
    for name, value in last.items():
        assert torch.equal(early[name], value)


def test_a_run_without_an_average_is_resumed_with_one(tmp_path):
    fit(tmp_path, 2)
    record = Record()
    checkpoint = fit(tmp_path, 3, record, WeightAverage(0.5, 1), ckpt_path=tmp_path / "last.ckpt")
    for name, value in averaged(checkpoint).items():
        torch.testing.assert_close(value, (record.states[0][name] + record.states[1][name]) / 2)


@pytest.mark.parametrize("bad", [nan, inf])
@pytest.mark.parametrize("when", [1, 3])  # as averaging begins, and later
def test_weights_that_are_not_finite_are_not_taken_in(tmp_path, bad, when):
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
    checkpoint = fit(tmp_path, 4, poison, WeightAverage(0.5, 1), Cure(), record)
    taken = [i for i in range(1, 5) if i != when]
    for name, value in averaged(checkpoint).items():
        expected = record.states[taken[0]][name]
        for i in taken[1:]:
            expected = (expected + record.states[i][name]) / 2
        torch.testing.assert_close(value, expected)


def test_an_average_of_halves_is_kept_in_full(tmp_path):
    """Of bfloat16's 8 bits a share of 1/1000 would be lost."""
    checkpoint = fit(tmp_path, 2, WeightAverage(0.999, 1), precision="bf16-true")
    assert {value.dtype for value in checkpoint["state_dict"].values()} == {torch.bfloat16}
    assert {value.dtype for value in averaged(checkpoint).values()} == {torch.float32}


@pytest.mark.parametrize(
    "settings", [{"decay": 1.0}, {"decay": -0.1}, {"decay": nan}, {"start": -1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        WeightAverage(**settings)
