import errno
import hashlib
import os
import shutil
from collections import namedtuple
from math import inf, nan

import pytest
import torch
from torch import nn

from munit_pl.callbacks.checkpoint_io import Best, DurableCheckpointIO, save_together
from munit_pl.io.checkpoint_files import verify


def state():
    """A checkpoint after one step of Adam."""
    torch.manual_seed(0)
    layer = nn.Linear(2, 3)
    adam = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    adam.step()
    return {"state_dict": layer.state_dict(), "optimizer_states": [adam.state_dict()]}


def test_what_was_saved_is_loaded_and_its_hash_lies_beside_it(tmp_path):
    path = tmp_path / "new" / "x.ckpt"
    DurableCheckpointIO().save_checkpoint(state(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (tmp_path / "new" / "x.ckpt.sha256").read_text() == f"{digest}  x.ckpt\n"
    loaded = DurableCheckpointIO().load_checkpoint(str(path))
    torch.testing.assert_close(loaded, state(), rtol=0, atol=0)
    DurableCheckpointIO().remove_checkpoint(path)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_damaged_checkpoint_is_not_loaded(tmp_path):
    DurableCheckpointIO().save_checkpoint(state(), tmp_path / "x.ckpt")
    os.truncate(tmp_path / "x.ckpt", 1000)
    with pytest.raises(ValueError, match="is damaged"):
        DurableCheckpointIO().load_checkpoint(tmp_path / "x.ckpt")


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_program_in_a_checkpoint_is_not_run_whatever_is_asked_for(tmp_path):
    torch.save({"x": Payload(str(tmp_path / "run"))}, tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match="it holds more than tensors and plain values"):
        DurableCheckpointIO().load_checkpoint(tmp_path / "x.ckpt", weights_only=False)
    assert not (tmp_path / "run").exists()


def test_a_state_that_is_not_finite_is_refused_and_leaves_the_former(tmp_path):
    for bad in [nan, inf, -inf]:
        for put, named in [
            (lambda s, bad: s["state_dict"]["weight"][1, 0].fill_(bad), "state_dict.weight"),
            (
                lambda s, bad: s["optimizer_states"][0]["state"][1]["exp_avg_sq"][2].fill_(bad),
                "optimizer_states.0.state.1.exp_avg_sq",
            ),
            (lambda s, bad: s.update(other=torch.tensor(bad).half()), "other"),
        ]:
            path = tmp_path / "x.ckpt"
            DurableCheckpointIO().save_checkpoint(state(), path)
            before = path.read_bytes()
            poisoned = state()
            put(poisoned, bad)
            with pytest.raises(ValueError, match=rf"values that are not finite in {named}$"):
                DurableCheckpointIO().save_checkpoint(poisoned, path)
            verify(path)
            assert path.read_bytes() == before
            torch.save(poisoned, tmp_path / "other.ckpt")  # as other programs save
            with pytest.raises(ValueError, match=rf"other\.ckpt: .* in {named}; go on from an ear"):
                DurableCheckpointIO().load_checkpoint(tmp_path / "other.ckpt")


def test_the_first_few_that_are_not_finite_are_named_and_the_others_counted(tmp_path):
    poisoned = {"x": {str(i): torch.tensor(nan) for i in range(5)}}
    with pytest.raises(ValueError, match=r"in x\.0, x\.1, x\.2 and 2 more$"):
        DurableCheckpointIO().save_checkpoint(poisoned, tmp_path / "x.ckpt")


def test_the_account_of_a_callback_may_be_infinite(tmp_path):
    account = {"callbacks": {"EarlyStopping": {"best_score": torch.tensor(inf)}}}
    DurableCheckpointIO().save_checkpoint(account, tmp_path / "x.ckpt")
    verify(tmp_path / "x.ckpt")


def test_too_little_space_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 5 * 10**6))
    with pytest.raises(OSError, match=r"a checkpoint takes 9 MB, but 5 MB are free") as error:
        DurableCheckpointIO().save_checkpoint({"x": torch.zeros(2 * 10**6)}, tmp_path / "x.ckpt")
    assert error.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 0))  # it does not say
    DurableCheckpointIO().save_checkpoint({"x": torch.zeros(2)}, tmp_path / "x.ckpt")


class Strategy:
    """That of a process alone."""

    def __init__(self):
        self.barriers = 0

    def barrier(self, name):
        self.barriers += 1

    def broadcast(self, value):
        return value


class Run:
    global_step = 7

    def __init__(self, failure=None):
        self.strategy, self.failure, self.saved = Strategy(), failure, []

    def save_checkpoint(self, path):
        if self.failure:
            raise self.failure
        self.saved.append(path)
        self.strategy.barrier("as Lightning does")


def test_every_way_of_saving_meets_the_other_processes_once():
    good, bad = Run(), Run(OSError(errno.EIO, "Input/output\nerror"))
    assert save_together(good, "x.ckpt") is None
    assert save_together(bad, "x.ckpt") == f"OSError: [Errno {errno.EIO}] Input/output error"
    assert good.strategy.barriers == bad.strategy.barriers == 1


@pytest.mark.parametrize(
    ("mode", "values", "kept"),
    [
        ("min", [3.0, 5.0, 2.0, nan, 2.0], [3.0, 2.0]),
        ("max", [nan, 3.0, 2.0, 5.0], [3.0, 5.0]),
    ],
)
def test_the_best_is_kept_in_either_direction(mode, values, kept):
    best, run, found = Best("x", mode), Run(), []
    for value in values:
        count = len(run.saved)
        assert best.keep(run, value, "best.ckpt") is None
        found += [value] * (len(run.saved) - count)
    assert found == kept
    resumed = Best("x", mode)
    resumed.load_state_dict(best.state_dict())
    assert (resumed.value, resumed.step) == (kept[-1], 7)
    other = Best("y", mode)
    other.load_state_dict(best.state_dict())
    assert other.value is None


def test_a_best_that_could_not_be_saved_is_none():
    best = Best("x", "min")
    best.keep(Run(), 3.0, "best.ckpt")
    assert best.keep(Run(OSError("full")), 2.0, "best.ckpt") == "OSError: full"
    run = Run()
    best.keep(run, 2.5, "best.ckpt")
    assert (best.value, len(run.saved)) == (2.5, 1)
