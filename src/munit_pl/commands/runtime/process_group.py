"""The process group of an evaluation, and each process's GPU."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from munit_pl.commands.runtime.processes import Place


def gpu_of(place: Place) -> str | None:
    """Return the GPU that is a process's alone, if there are several processes and a GPU."""
    if place.world_size == 1 or not torch.cuda.is_available():
        return None
    return f"cuda:{place.local_rank % torch.cuda.device_count()}"


@contextmanager
def join_processes(place: Place, device: str | None) -> Iterator[None]:
    """Let metrics gather what all processes saw; alone there is nothing to do.

    Args:
        place: This process's place.
        device: What it computes on; the CPU unless it is a GPU.

    Raises:
        ValueError: If nothing says where the processes meet.
    """
    if place.world_size == 1:
        yield
        return
    gpu = device if device and device.startswith("cuda") else None
    if gpu:
        torch.cuda.set_device(gpu)  # NCCL would guess one from the rank
    distributed.init_process_group(
        "nccl" if gpu else "gloo",
        _meeting_point(),
        rank=place.rank,
        world_size=place.world_size,
    )
    yield
    distributed.destroy_process_group()  # a process that failed ends without waiting for others


def _meeting_point() -> str:
    """Return where the processes find each other: torchrun says so, SLURM names the machines."""
    machines = os.environ.get("SLURM_STEP_NODELIST")
    if "MASTER_ADDR" in os.environ or machines is None:
        return "env://"
    # Used on clusters only; it takes seconds.
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    numbers = (int(os.environ.get(name, 0)) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    port = 15_000 + sum(numbers) % 10_000
    return f"tcp://{SLURMEnvironment.resolve_root_node_address(machines)}:{port}"
