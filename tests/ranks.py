"""Calling a function in two processes that train together."""

import os
import socket

import torch
from runs import SERVER


def in_two_processes(work, folder, *arguments, seconds=100):
    """Return of each process what ``work(rank, *arguments)`` returns: tensors and plain values."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    places = [(rank, port, folder / f"{rank}.pt") for rank in (0, 1)]
    started = [SERVER.Process(target=_work, args=(work, *p, arguments)) for p in places]
    for process in started:
        process.start()
    for process in started:
        process.join(seconds)
    statuses = [process.exitcode for process in started]
    for process in started:
        process.kill()  # one that waits for another, which failed
    assert statuses == [0, 0]
    return [torch.load(file) for *_, file in places]


def _work(work, rank, port, file, arguments):
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    torch.save(work(rank, *arguments), file)
