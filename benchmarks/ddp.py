"""What averaging gradients costs: measured with gloo on CPUs, modeled for up to 512 GPUs.

    OMP_NUM_THREADS=1 python -m benchmarks.ddp measure --processes 2
    python -m benchmarks.ddp model --milliseconds 8 30 80

The arms take turns in the same processes: `silent` (no averaging: what one process takes beside as
many others), `ddp` (the default), `flat` (one all-reduce for each update) and `buckets` (several,
sent while the backward pass goes on).
"""

import argparse
import multiprocessing
import os
import socket
import statistics
import time
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.utils.data import DataLoader

from munit_pl import MUNITModule
from munit_pl.callbacks.consensus import ProcessConsensus
from munit_pl.callbacks.flat_ddp import FlatDDPStrategy

GENERATORS, DISCRIMINATORS = 4 * 30.06e6, 4 * 16.54e6  # bytes of the published sizes in fp32


class Cluster(NamedTuple):
    """Assumptions, none of them measured here.

    Bandwidths are bytes a second and GPU in each direction, of which 80 and 90% arrive; latencies
    are seconds from one GPU to the next.
    """

    gpus_in_node: int = 8
    nvlink: float = 0.8 * 450e9
    infiniband: float = 0.9 * 50e9  # 400 Gbit/s
    nvlink_latency: float = 2e-6
    infiniband_latency: float = 6e-6


def all_reduce_seconds(size: float, gpus: int, cluster: Cluster) -> float:
    """Return how long averaging ``size`` bytes takes.

    A ring in each machine scatters sums, a ring across machines for each of a machine's GPUs
    reduces its share, and the first ring gathers: 2 (n - 1) / n of the bytes over each link.
    """
    inside = min(gpus, cluster.gpus_in_node)
    machines = gpus // inside
    share = size / inside
    return (
        2 * (inside - 1) * (share / cluster.nvlink + cluster.nvlink_latency)
        + 2 * (machines - 1) * (share / machines / cluster.infiniband + cluster.infiniband_latency)
    )  # fmt: skip


def model(milliseconds: list[float], cluster: Cluster) -> None:
    """Print a table: efficiency is the time of a step alone by that with averaging."""
    both = GENERATORS + DISCRIMINATORS
    print("| GPUs | step ms | flat ms | efficiency | overlapped | DDP ms | efficiency |")
    print("|---|---|---|---|---|---|---|")
    for step in milliseconds:
        for gpus in (8, 64, 512):
            gen, dis = (
                1e3 * all_reduce_seconds(size, gpus, cluster)
                for size in (GENERATORS, DISCRIMINATORS)
            )
            # Hidden at best: all but the last quarter of the generators', behind their backward
            # pass, which is 55% of a step.
            seen = dis + max(gen / 4, gen - 0.55 * step)
            ddp = 2e3 * all_reduce_seconds(both, gpus, cluster)
            shares = [f"{step / (step + x):.0%}" for x in (gen + dis, seen, ddp)]
            print(
                f"| {gpus} | {step:g} | {gen + dis:.2f} | {shares[0]} | {shares[1]} | {ddp:.2f} | "
                f"{shares[2]} |"
            )


class Silent(FlatDDPStrategy):
    """Average nothing."""

    def average_gradients(self, optimizer):
        pass


class Timed(FlatDDPStrategy):
    """Note how long averaging takes, waiting for the others included."""

    seconds = 0.0

    def average_gradients(self, optimizer):
        start = time.perf_counter()
        super().average_gradients(optimizer)
        self.seconds += time.perf_counter() - start


class Buckets(FlatDDPStrategy):
    """Send a quarter of a player's gradients as soon as it is complete."""

    def __init__(self):
        super().__init__()
        self.flats = {}

    def average_gradients(self, optimizer):
        if optimizer not in self.flats:
            parameters = [p for g in optimizer.param_groups for p in g["params"]]
            self.flats[optimizer] = Quarters([p for p in parameters if p.grad is not None])
            super().average_gradients(optimizer)
        else:
            self.flats[optimizer].finish()


class Quarters:
    def __init__(self, used):
        used = used[::-1]  # the backward pass goes from the last layers to the first
        self.flat = torch.zeros(sum(p.numel() for p in used))
        self.views, self.bucket, self.sizes, start = {}, {}, [0] * 4, 0
        for p in used:
            self.bucket[p] = start * 4 // len(self.flat)
            self.views[p] = self.flat[start : start + p.numel()].view_as(p)
            self.sizes[self.bucket[p]] += p.numel()
            start += p.numel()
            p.register_post_accumulate_grad_hook(self.take)
        self.pieces = self.flat.split(self.sizes)
        self.reset()

    def reset(self):
        self.left, self.works = list(self.sizes), []

    def take(self, p):
        self.views[p].copy_(p.grad)
        self.left[self.bucket[p]] -= p.numel()
        while (
            len(self.works) < 4 and not self.left[len(self.works)]
        ):  # in the same order everywhere
            piece = self.pieces[len(self.works)].div_(distributed.get_world_size())
            self.works.append(distributed.all_reduce(piece, async_op=True))

    def finish(self):
        assert len(self.works) == 4, self.left
        for work in self.works:
            work.wait()
        for p, view in self.views.items():
            p.grad = view
        self.reset()


class Counted(DDPStrategy):
    """Count the bytes that DDP averages."""

    def __init__(self):
        super().__init__(find_unused_parameters=True)
        self.bytes = 0

    def _register_ddp_hooks(self):
        self.model.register_comm_hook(None, self.count)

    def count(self, _, bucket):
        self.bytes += bucket.buffer().nbytes
        return allreduce_hook(None, bucket)


ARMS = {
    "silent": Silent,
    "ddp": lambda: DDPStrategy(find_unused_parameters=True),
    "flat": Timed,
    "buckets": Buckets,
}


class Clock(Callback):
    """The time of all iterations but the first two, which allocate."""

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 2:
            self.start = time.perf_counter()

    def on_train_batch_end(self, trainer, *_):
        self.seconds = (time.perf_counter() - getattr(self, "start", 0.0)) / trainer.global_step


def fit(arguments, strategy, steps):
    """Return the seconds of an iteration."""
    module = MUNITModule(
        generator={"dim": arguments.dim, "num_res_blocks": 2, "mlp_dim": 4 * arguments.dim},
        discriminator={"dim": arguments.dim, "num_layers": 3, "num_scales": 2},
    )
    pair = tuple(torch.rand(2, 1, 3, arguments.size, arguments.size) * 2 - 1)
    clock = Clock()
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = Trainer(
        accelerator="cpu",
        devices=arguments.ranks,
        strategy=strategy,
        max_steps=steps + 2,
        log_every_n_steps=10**6,
        use_distributed_sampler=False,
        callbacks=[clock],
        **quiet,
    )
    trainer.fit(module, DataLoader([pair] * (steps + 2), batch_size=None))
    sizes = [
        sum(p.numel() for g in o.param_groups for p in g["params"]) for o in trainer.optimizers
    ]
    return clock.seconds * (steps + 2) / steps, sizes


def exchange_seconds(world_size, times=200):
    """Return how long processes take to agree, over the same machine's loopback."""
    consensus = ProcessConsensus(type("Stub", (), {"world_size": world_size})())
    consensus.join("x", lambda: 0)
    start = time.perf_counter()
    for _ in range(times):
        consensus.begin()
        consensus.finish()
    return (time.perf_counter() - start) / times


def as_rank(rank, port, arguments):
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": arguments.ranks, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    counted, timed = Counted(), 0.0
    (_, sizes) = fit(arguments, counted, 1)
    seconds = {name: [] for name in ARMS}
    for block in range(arguments.blocks):
        order = list(ARMS) if block % 2 else list(ARMS)[::-1]
        for name in order:
            strategy = ARMS[name]()
            seconds[name].append(fit(arguments, strategy, arguments.iterations)[0])
            timed += strategy.seconds if isinstance(strategy, Timed) else 0.0
    exchange = exchange_seconds(arguments.ranks)
    if rank == 0:
        tell(arguments, seconds, sizes, counted.bytes / 3, exchange)
        iterations = arguments.blocks * (arguments.iterations + 2)
        print(f"flat: {1e3 * timed / iterations:.2f} ms of an iteration in averaging")


def tell(arguments, seconds, sizes, ddp_bytes, exchange):
    n = arguments.ranks
    print(
        f"{n} processes, {arguments.size}x{arguments.size}, dim {arguments.dim}: parameters of "
        f"discriminators and generators {sizes}; an exchange of the callbacks takes "
        f"{1e6 * exchange:.0f} us"
    )
    sent = {"silent": 0, "ddp": ddp_bytes, "flat": 4 * sum(sizes), "buckets": 4 * sum(sizes)}
    print("| arm | ms | of silent (10-90%) | MB sent by each |")
    print("|---|---|---|---|")
    for name, values in seconds.items():
        ratios = [x / y for x, y in zip(values, seconds["silent"], strict=True)]
        low, *_, high = statistics.quantiles(ratios, n=10)
        print(
            f"| {name} | {1e3 * statistics.median(values):.1f} | {statistics.median(ratios):.2f} "
            f"({low:.2f}-{high:.2f}) | {sent[name] * 2 * (n - 1) / n / 1e6:.2f} |"
        )


def measure(arguments):
    for ranks in arguments.processes:
        arguments.ranks = ranks
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        start = multiprocessing.get_context("spawn").Process
        processes = [
            start(target=as_rank, args=(rank, port, arguments)) for rank in range(arguments.ranks)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, dest="command")
    measured = commands.add_parser("measure")
    measured.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    measured.add_argument("--size", type=int, default=32)
    measured.add_argument("--dim", type=int, default=16)
    measured.add_argument("--blocks", type=int, default=6)
    measured.add_argument("--iterations", type=int, default=8)
    modeled = commands.add_parser("model")
    modeled.add_argument("--milliseconds", type=float, nargs="+", default=[8.0, 30.0, 80.0])
    given = parser.parse_args()
    if given.command == "measure":
        measure(given)
    else:
        model(given.milliseconds, Cluster())
