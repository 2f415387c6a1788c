from types import SimpleNamespace

import pytest
import torch
from torch import distributed

from munit_pl.commands.runtime import translator_loading
from munit_pl.commands.runtime.processes import Place
from munit_pl.commands.runtime.translator_loading import load_translator


@pytest.fixture
def load():
    """Load what would rather compute in bf16, as far as it may choose."""

    def loaded(precision):
        reason = "it is faster" if precision == "auto" else ""
        name = "bf16" if precision == "auto" else precision
        loaded.calls.append(precision)
        return SimpleNamespace(
            precision=name, precision_reason=reason, device=torch.device(loaded.device)
        )

    loaded.calls, loaded.device = [], "cpu"
    return loaded


def test_all_processes_compute_in_what_the_first_chose(load, monkeypatch, capsys):
    for rank, chosen, calls in ((0, "bf16", ["auto"]), (1, "fp32", ["auto", "fp32"])):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setattr(
            distributed,
            "broadcast_object_list",
            lambda names, c=chosen: names.__setitem__(0, c),
        )
        load.calls.clear()
        assert load_translator("auto", load, Place(rank, 2, rank)).precision == chosen
        assert load.calls == calls
    assert capsys.readouterr().err == "precision: bf16 (it is faster)\n"


def test_slow_bf16_is_told_of_where_it_was_asked_for_by_name(load, monkeypatch, capsys):
    monkeypatch.setattr(translator_loading, "time_bf16_ratio", lambda training: 8.26)
    load_translator("bf16", load, Place())
    assert capsys.readouterr().err == (
        "--precision is bf16, though bf16 convolutions take 8.3 times as long as fp32 ones on this "
        "processor: fp32 is faster\n"
    )
    load_translator("fp32", load, Place())
    load.device = "cuda"
    load_translator("bf16", load, Place())
    load.device = "cpu"
    monkeypatch.setattr(translator_loading, "time_bf16_ratio", lambda training: 0.6)
    load_translator("bf16", load, Place())
    assert capsys.readouterr().err == ""
