"""What every metric promises, whatever it measures, as torchmetrics' MetricTester has it."""

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchmetrics import Metric

Updates = Sequence[tuple[Any, ...]]


@dataclass(frozen=True)
class MetricCase:
    """A metric, and what it is updated with.

    Args:
        make: Makes the metric; it can be pickled.
        updates: Arguments of each update: tensors of as many samples, and flags.
        rounding: By how much values may differ from those of one call, relatively and absolutely.
        half: The same for inputs in bfloat16; None where the metric does not take them.
    """

    make: Callable[[], Metric]
    updates: Updates
    rounding: float = 1e-5
    half: float | None = 0.1

    def check(self) -> None:
        """Check it all but processes of their own, see `values_of_share`."""
        whole = values_of(self.updated(self.updates))
        assert any(whole)
        self._check_batches(whole)
        self._check_processes(whole)
        self._check_reset_and_pickling(whole)
        self._check_precisions(whole)
        self._check_devices()
        self._check_model()

    def updated(self, updates: Updates, metric: Metric | None = None) -> Metric:
        metric = metric or self.make()
        for arguments in updates:
            metric.update(*arguments)
        return metric

    def share(self, start: int, end: int | None) -> Updates:
        """Return the samples from ``start`` to ``end`` of each update, two at a time."""
        return [
            tuple(x[start:end][i : i + 2] if isinstance(x, Tensor) else x for x in arguments)
            for arguments in self.updates
            for i in range(0, len(arguments[0][start:end]), 2)
        ]

    def _check_batches(self, whole: Sequence[float]) -> None:
        """Batches of any sizes give what one gives, and a step's value is of its own batch."""
        for parts in ([(0, None)], [(0, 1), (1, None)], [(0, 5), (5, 6), (6, None)]):
            updates = [batch for part in parts for batch in self.share(*part)]
            assert values_of(self.updated(updates)) == self._near(whole)
        if len(self.updates) == 1:
            metric = self.updated(self.share(0, 4))
            (rest,) = self.updates
            rest = tuple(x[4:] for x in rest)
            step = flat(metric(*rest))
            assert values(step) == self._near(values_of(self.updated([rest])))
            assert not any(x.requires_grad for x in step if isinstance(x, Tensor))
            assert values_of(metric) == self._near(whole)

    def _check_processes(self, whole: Sequence[float]) -> None:
        """Two with unequal shares compute what one with all samples does."""
        gathering = Gathering(2)

        def run(rank: int) -> list[float]:
            metric = self.updated(self.share(*SHARES[rank]))
            metric.dist_sync_fn = gathering.member(rank)
            metric.distributed_available_fn = lambda: True
            return values_of(metric)

        with ThreadPoolExecutor(2) as threads:
            for found in threads.map(run, (0, 1)):
                assert found == self._near(whole)

    def _check_reset_and_pickling(self, whole: Sequence[float]) -> None:
        metric = self.updated(self.updates)
        metric.reset()
        assert values_of(self.updated(self.updates, metric)) == whole
        half_way = pickle.loads(pickle.dumps(self.updated(self.share(0, 4))))
        assert values_of(self.updated(self.share(4, None), half_way)) == self._near(whole)

    def _check_precisions(self, whole: Sequence[float]) -> None:
        kinds = {torch.float64: self.rounding, torch.bfloat16: self.half}
        for dtype, tolerance in kinds.items():
            if tolerance is not None:
                updates = [tuple(cast(x, dtype) for x in arguments) for arguments in self.updates]
                found = values_of(self.updated(updates))
                assert found == pytest.approx(whole, rel=tolerance, abs=tolerance), dtype

    def _check_devices(self) -> None:
        """All states move, and the network if there is one."""
        metric = self.updated(self.updates).to("meta")
        states = [getattr(metric, name) for name in metric._defaults]
        tensors = [x for s in states for x in (s if isinstance(s, list) else [s])]
        assert all(x.is_meta for x in tensors)
        network = getattr(metric, "network", None)
        if network is not None:
            assert all(x.is_meta for x in (*network.parameters(), *network.buffers()))

    def _check_model(self) -> None:
        """A model that holds the metric has nothing of it in its state, and cannot train it."""
        model = nn.Module()
        model.metric = self.updated(self.updates)
        model.train().half()
        assert model.state_dict() == {}
        assert list(model.parameters()) == []
        network = getattr(model.metric, "network", None)
        assert network is None or not network.training

    def _near(self, expected: Sequence[float]) -> Any:
        return pytest.approx(expected, rel=self.rounding, abs=self.rounding)


SHARES = ((0, 7), (7, None))  # of two processes


def values_of_share(case: MetricCase, rank: int) -> list[float]:
    """Return what one of two processes computes that has its share of the samples."""
    return values_of(case.updated(case.share(*SHARES[rank])))


def values_of(metric: Metric) -> list[float]:
    return values(flat(metric.compute()))


def values(computed: Sequence[Tensor | float]) -> list[float]:
    return [float(x) for x in computed]


def flat(computed: Any) -> tuple[Tensor | float, ...]:
    return computed if isinstance(computed, tuple) else (computed,)


def cast(x: Any, dtype: torch.dtype) -> Any:
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x


class Gathering:
    """What all_gather does, between threads: a process of its own would import for seconds."""

    def __init__(self, size: int) -> None:
        self.barrier = Barrier(size, timeout=60)
        self.tensors: list[Tensor] = [torch.empty(0)] * size

    def member(self, rank: int) -> Callable[..., list[Tensor]]:
        def gather(tensor: Tensor, group: Any = None) -> list[Tensor]:
            self.tensors[rank] = tensor.clone()
            self.barrier.wait()
            everyone = list(self.tensors)
            self.barrier.wait()
            return everyone

        return gather
