import pytest
import torch

from munit_pl.models.munit.fast.parts import PARTS, RunContext, explain, unsupported_features

GPU = RunContext(
    device="cuda", threads=1, precision="32-true", processes=1, accumulate=1, fused=True
)
CPU = GPU._replace(device="cpu", threads=2)


@pytest.fixture(autouse=True)
def _bf16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)


def test_on_a_gpu_all_parts_run():
    assert unsupported_features(PARTS, GPU) == {}


def test_what_remains_elsewhere():
    for difference, remaining in [
        ({"device": "mps", "threads": 2}, []),
        ({"precision": "bf16-mixed"}, ["bf16", "compile", "cuda_graph", "streams"]),
        ({"precision": "64-true"}, ["compile", "cuda_graph", "streams"]),
        ({"precision": "16-mixed", "fused": False}, []),
        ({"processes": 2}, ["bf16"]),
        ({"accumulate": 2}, ["bf16"]),
        ({"fused": False}, ["bf16", "compile"]),
        ({"r1": 1.0}, ["bf16"]),
        ({"discriminator_steps": 2}, ["bf16"]),
        ({"diversity": 1.0}, ["bf16", "compile", "cuda_graph"]),
        ({"diffaugment": True}, ["bf16", "compile", "cuda_graph"]),
        ({"spectral_recomputed": True}, ["bf16", "cuda_graph", "streams"]),
        ({"consistency": 1.0}, ["bf16", "compile", "cuda_graph"]),
    ]:
        reasons = unsupported_features(PARTS, GPU._replace(**difference))
        assert [part for part in PARTS if part not in reasons] == remaining
        assert all(reasons.values())


def test_what_remains_on_the_cpu():
    for difference, remaining in [
        ({}, ["streams"]),
        ({"precision": "bf16-mixed"}, ["bf16", "streams"]),
        ({"fused": False}, ["streams"]),
        ({"threads": 1}, []),
        ({"r1": 1.0}, []),
        ({"discriminator_steps": 2}, []),
        ({"diversity": 1.0}, []),
        ({"diffaugment": True}, []),
        ({"spectral_recomputed": True}, ["streams"]),
        ({"consistency": 1.0}, []),
        ({"processes": 2}, []),
        ({"accumulate": 2}, []),
    ]:
        reasons = unsupported_features(PARTS, CPU._replace(**difference))
        assert [part for part in PARTS if part not in reasons] == remaining


def test_on_the_cpu_the_domains_take_no_graph():
    assert unsupported_features(["streams"], CPU) == {}


def test_old_gpus_have_no_bf16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert unsupported_features(PARTS, GPU) == {"bf16": "this device has no bf16 arithmetic"}


def test_two_streams_take_the_graph_and_nothing_is_said_of_what_is_not_wanted():
    assert unsupported_features(["streams"], GPU) == {"streams": "it takes cuda_graph"}
    assert unsupported_features([], CPU) == {}


def test_one_line_for_each_reason():
    assert explain({"compile": "x is y", "streams": "no z", "cuda_graph": "x is y"}) == [
        "munit_fast goes on without compile, cuda_graph: x is y",
        "munit_fast goes on without streams: no z",
    ]
