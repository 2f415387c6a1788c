"""Two processes with unequal shares of the samples compute what one with all of them does."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch
from torch import nn

from munit_pl.metrics.conditional import ConditionalInceptionScore
from munit_pl.metrics.diversity import Diversity, PairDistance
from munit_pl.metrics.lpips import FeatureDistance
from munit_pl.metrics.manifold import ManifoldMetrics


class Gathering:
    """What all_gather does, between threads: a process of its own would import for seconds."""

    def __init__(self, size):
        self.barrier = Barrier(size, timeout=60)
        self.tensors = [None] * size

    def member(self, rank):
        def gather(tensor, group=None):
            self.tensors[rank] = tensor.clone()
            self.barrier.wait()
            everyone = list(self.tensors)
            self.barrier.wait()
            return everyone

        return gather


def pixels(x):
    return [x]


def figures(start, end, gather=None):
    """All figures of a share of ten samples, in several batches."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 10, 3, 3, 4, 4, generator=rng)[:, start:end]
    distance = FeatureDistance(pixels, None, "pixels")
    metrics = diversity, pairs, scores, manifold = (
        Diversity(distance, "all"),
        PairDistance(distance),
        ConditionalInceptionScore(nn.Flatten(), num_classes=48),
        ManifoldMetrics(nn.Flatten()),
    )
    for i in range(0, end - start, 2):
        few, others = x[i : i + 2], y[i : i + 2]
        diversity.update(few)
        scores.update(few)
        pairs.update(few[:, 0], others[:, 0])
        manifold.update(few[:, 0, :, :1, :1], real=True)
        manifold.update(others[:, 0, :, :1, :1], real=False)
    for metric in metrics if gather else ():
        metric.dist_sync_fn, metric.distributed_available_fn = gather, lambda: True
    return [diversity.compute(), pairs.compute(), *scores.compute(), *manifold.compute()]


def test_each_sample_counts_once_whichever_process_has_it():
    gathering = Gathering(2)
    with ThreadPoolExecutor(2) as threads:
        shares = [
            threads.submit(figures, start, end, gathering.member(rank))
            for rank, (start, end) in enumerate([(0, 7), (7, 10)])
        ]
    alone = figures(0, 10)
    assert min(alone) > 0
    for share in shares:
        torch.testing.assert_close(share.result(), alone)
