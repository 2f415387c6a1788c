import pytest
import torch

from munit_pl.callbacks.fast.support import PARTS, RunContext, explain, unsupported_features

GPU = RunContext(device="cuda", precision="32-true", processes=1, accumulate=1, fused=True)
CPU = GPU._replace(device="cpu")


@pytest.fixture(autouse=True)
def _bf16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)


def test_on_a_gpu_all_parts_run():
    assert unsupported_features(PARTS, GPU) == {}


def test_what_remains_elsewhere():
    for difference, remaining in [
        ({"device": "cpu"}, []),
        ({"device": "mps"}, []),
        ({"device": "cpu", "precision": "bf16-mixed"}, ["bf16"]),
        ({"precision": "bf16-mixed"}, ["bf16", "compile", "cuda_graph"]),
        ({"precision": "64-true"}, ["compile", "cuda_graph"]),
        ({"precision": "16-mixed", "fused": False}, []),
        ({"processes": 2}, ["bf16"]),
        ({"accumulate": 2}, ["bf16"]),
        ({"fused": False}, ["bf16", "compile"]),
        ({"obstacle": "recipe r1 makes iterations differ"}, ["bf16"]),
        ({"spectral_recomputed": True}, ["bf16", "cuda_graph"]),
    ]:
        reasons = unsupported_features(PARTS, GPU._replace(**difference))
        assert [part for part in PARTS if part not in reasons] == remaining
        assert all(reasons.values())


def test_old_gpus_have_no_bf16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert unsupported_features(PARTS, GPU) == {"bf16": "this device has no bf16 arithmetic"}


def test_nothing_is_said_of_what_is_not_wanted():
    assert unsupported_features([], CPU) == {}


def test_one_line_for_each_reason():
    assert explain({"compile": "x is y", "bf16": "no z", "cuda_graph": "x is y"}) == [
        "callbacks.fast goes on without compile, cuda_graph: x is y",
        "callbacks.fast goes on without bf16: no z",
    ]
