"""Which of several processes this one is, as torchrun or SLURM say."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from torch import distributed

TOLD = logging.getLogger("munit_pl.told")  # gets what is on stderr already, for a run's log
TOLD.propagate = False


class Place(NamedTuple):
    """A process's place among those that do the same work.

    Attributes:
        rank: Its number, from 0 on.
        world_size: How many there are.
        local_rank: Its number on its machine.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def device(self) -> str | None:
        """The GPU that is this process's alone, if there are several processes and a GPU."""
        if self.world_size == 1 or not torch.cuda.is_available():
            return None
        return f"cuda:{self.local_rank % torch.cuda.device_count()}"


def find_place() -> Place:
    """Return this process's place; alone unless torchrun or SLURM started it beside others."""
    for rank, world_size, local_rank in (
        ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
        # Of the step that srun started: a batch script itself is alone, whatever it has reserved.
        ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    ):
        if rank in os.environ and world_size in os.environ:
            names = rank, world_size, local_rank
            return Place(*(int(os.environ.get(name, 0)) for name in names))
    return Place()


def is_first() -> bool:
    """Tell whether this is the first of all processes; those that Lightning starts count too."""
    names = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")
    return all(os.environ.get(name, "0") == "0" for name in names)


def tell(message: str) -> None:
    """Say something on stderr, once for all processes; a run's log keeps it."""
    if is_first():
        print(message, file=sys.stderr)
        TOLD.info("%s", message)


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
    numbers = (int(os.environ.get(name, 0)) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    port = 15_000 + sum(numbers) % 10_000
    return f"tcp://{SLURMEnvironment.resolve_root_node_address(machines)}:{port}"
