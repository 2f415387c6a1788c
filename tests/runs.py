"""Running ``munit-train`` in processes that can be killed, and comparing what it leaves."""

import csv
import multiprocessing
import os
import socket
import sys
from contextlib import redirect_stderr, redirect_stdout

import torch

from munit_pl.commands.train import main

# The smallest run that does all a long one does; the models' sizes are in tests/conftest.py.
SMALL = [
    "data=drawn",
    "data.size=[16,16]",
    "data.length=6",
    "data.test_length=4",
    "trainer.accelerator=cpu",
    "callbacks.grid.every_n_steps=1000",
    "~callbacks.bar",
]
DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]

# Forked off a server that has imported all: a new process would do so for seconds, and the tests'
# own has threads, of OpenMP and where there is a GPU of autograd, which forks would lack.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["munit_pl.commands.train"])


class Run:
    """One or more processes of a run; each writes what it says to ``<rank>.txt``.

    No process may be left of it, of those that load images either.
    """

    def __init__(self, folder, arguments, processes=1):
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        arguments = ["munit-train", *arguments, "run=x"]
        self._end, alive = SERVER.Pipe(duplex=False)
        self.processes = [
            SERVER.Process(target=run_as, args=(rank, processes, port, folder, arguments, alive))
            for rank in range(processes)
        ]
        for process in self.processes:
            process.start()
        alive.close()

    def wait(self, seconds=100):
        """Return the exit statuses, and what was said."""
        for process in self.processes:
            process.join(seconds)
        hanging = [process.is_alive() for process in self.processes]
        for process in self.processes:
            process.kill()  # one that waits for another, which failed
        assert not any(hanging), self.said
        assert self._end.poll(20), "a process of the run lives on"
        return [process.exitcode for process in self.processes], self.said

    @property
    def said(self):
        return [(self.folder / f"{i}.txt").read_text() for i in range(len(self.processes))]


def run_as(rank, processes, port, folder, arguments, alive):
    """Train; ``alive`` is open for as long as this process lives, and what it forks."""
    torch.set_num_threads(1)
    # As in a process of the user's. Otherwise each run would start a server of its own for the
    # processes that load images, which imports all anew.
    multiprocessing.set_start_method(None, force=True)
    if processes > 1:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in place.items()})
        os.environ["MASTER_ADDR"] = "127.0.0.1"
    os.chdir(folder)
    sys.argv = arguments
    with (folder / f"{rank}.txt").open("w") as said:
        os.dup2(said.fileno(), 2)  # what is said below Python too
        with redirect_stdout(said), redirect_stderr(said):
            main()


def load(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def assert_same_state(path, other):
    """All that a run goes on from is equal to the bit."""
    here, there = load(path), load(other)
    assert here["global_step"] == there["global_step"]
    for name, weight in here["state_dict"].items():
        assert torch.equal(weight, there["state_dict"][name]), name
    for ours, theirs in zip(here["optimizer_states"], there["optimizer_states"], strict=True):
        assert ours["state"].keys() == theirs["state"].keys()
        for index, state in ours["state"].items():
            for name, value in state.items():
                assert torch.equal(value, theirs["state"][index][name]), (index, name)
    assert here["lr_schedulers"] == there["lr_schedulers"]
    for rest in ("pools", "averaged", "skipped"):
        torch.testing.assert_close(here.get(rest, {}), there.get(rest, {}), rtol=0, atol=0)


def curves(folder):
    """Return all logged values by (step, name), as written; a resumed run's replace earlier ones.

    Times differ from run to run and are left out.
    """
    values = {}
    files = (folder / "csv").glob("version_*/metrics.csv")
    for file in sorted(files, key=lambda file: int(file.parent.name.removeprefix("version_"))):
        with file.open() as lines:
            for row in csv.DictReader(lines):
                for name, value in row.items():
                    if value and not name.startswith("speed/") and name not in ("step", "epoch"):
                        values[int(row["step"]), name] = value
    return values
