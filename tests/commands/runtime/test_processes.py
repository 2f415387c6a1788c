import pytest
import torch
from torch import distributed

from munit_pl.commands.runtime.process_group import gpu_of, join_processes
from munit_pl.commands.runtime.processes import Place, explain_lost_process, find_place

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "host",
    "MASTER_PORT": "1",
}
RESERVED = {"SLURM_JOB_ID": "81234567", "SLURM_NTASKS": "6", "SLURM_NODELIST": "node[07-08]"}
BATCH_SCRIPT = {**RESERVED, "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
STEP = {
    **RESERVED,
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "2",
    "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NODELIST": "node[07-08]",
}


@pytest.fixture
def environment(monkeypatch):
    for name in {*TORCHRUN, *STEP}:
        monkeypatch.delenv(name, raising=False)

    def setting(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return setting


@pytest.fixture
def joined(monkeypatch):
    """Record how the group of processes is made, and left."""
    calls = []
    monkeypatch.setattr(
        distributed, "init_process_group", lambda *args, **kwargs: calls.append((args, kwargs))
    )
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: calls.append("left"))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: calls.append(device))
    return calls


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, Place(0, 1, 0)),
        (TORCHRUN, Place(3, 4, 1)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, Place(0, 1, 0)),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, Place(0, 1, 0)),  # Lightning's own processes
        (STEP, Place(5, 6, 2)),
        (BATCH_SCRIPT, Place(0, 1, 0)),  # whatever it has reserved, it runs once
        ({**STEP, **TORCHRUN}, Place(3, 4, 1)),  # torchrun within a step
    ],
)
def test_a_process_knows_its_place(environment, variables, place):
    environment(variables)
    assert find_place() == place


def test_each_of_several_processes_has_a_gpu_of_its_machine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    devices = [gpu_of(Place(rank, 8, rank % 4)) for rank in range(8)]
    assert devices == [f"cuda:{i % 4}" for i in range(8)]
    assert gpu_of(Place()) is None  # alone, the fastest device is as good
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_of(Place(1, 8, 1)) is None


def test_alone_there_is_nothing_to_join(environment, joined):
    with join_processes(Place(), "cpu"):
        pass
    assert joined == []


@pytest.mark.parametrize(
    ("device", "calls"),
    [("cuda:1", ["cuda:1", "nccl"]), ("cpu", ["gloo"]), (None, ["gloo"])],
)
def test_processes_talk_by_what_they_compute_on(environment, joined, device, calls):
    environment(TORCHRUN)
    with join_processes(Place(3, 4, 1), device):
        *before, ((backend, where), place) = joined
    assert [*before, backend] == calls
    assert (where, place) == ("env://", {"rank": 3, "world_size": 4})
    assert joined[-1] == "left"


def test_slurm_is_asked_for_the_machine_of_the_first_process(environment, joined):
    """The port is another for each job and step: 15000 and the last digits of 81234567 + 2."""
    environment(STEP)
    with join_processes(find_place(), None):
        pass
    assert joined[0] == (("gloo", "tcp://node07:19569"), {"rank": 5, "world_size": 6})
    environment({"MASTER_ADDR": "chosen", "MASTER_PORT": "5"})
    with join_processes(find_place(), None):
        pass
    assert joined[2][0] == ("gloo", "env://")


def test_without_a_meeting_point_it_is_said_what_is_missing(environment):
    environment({"RANK": "0", "WORLD_SIZE": "2"})
    with pytest.raises(ValueError, match="MASTER_ADDR"), join_processes(find_place(), None):
        pass


def test_a_process_that_is_gone_is_told_in_one_line():
    for said in (
        "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]:218: "
        "Connection reset by peer. Check the logs of the remote worker.\n",
        "NCCL error in: ProcessGroupNCCL.cpp:1, remote process exited",
    ):
        told = explain_lost_process(RuntimeError(said))
        assert told.startswith("another process of the run is gone")
        assert told.endswith("go on with ckpt_path=last")
    assert explain_lost_process(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
