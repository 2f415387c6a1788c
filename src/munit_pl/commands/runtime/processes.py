"""Which of several processes this one is, as torchrun or SLURM say."""

import logging
import os
import re
import sys
from typing import NamedTuple

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


def explain_lost_process(error: RuntimeError) -> str | None:
    """Return in one line what an error of collectives means; None if it is of something else."""
    if not re.search(r"gloo|NCCL|TCPStore|Connection (?:reset|closed) by peer", str(error)):
        return None
    return (
        "another process of the run is gone, or cannot be reached: its own output, or the "
        "system's log if memory ran out, says why; go on with ckpt_path=last"
    )
