"""Compute a protocol's metrics on a model and its data."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torchmetrics.aggregation import CatMetric

from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.evaluation.protocols.base import Available, EvaluationProtocol, MetricEntry, Sample
from munit_pl.evaluation.report import MetricValue
from munit_pl.evaluation.task import DIRECTIONS, DOMAINS, Direction, EvaluationTask


class Measured(NamedTuple):
    """What a protocol measured.

    Attributes:
        metrics: The metrics, with their values.
        distributions: Single values behind some of them, by label: one per input.
        deviations: Where the data did not allow what the protocol asks, in words.
    """

    metrics: list[MetricValue]
    distributions: dict[str, list[float]]
    deviations: list[str]


def measure(
    protocol: EvaluationProtocol,
    task: EvaluationTask,
    extractors: FeatureExtractors | None = None,
    own_metrics: Sequence[MetricEntry] = (),
) -> Measured:
    """Compute a protocol's metrics in both directions.

    Args:
        protocol: Says which metrics, and on what.
        task: The model and its data.
        extractors: The feature extractors, if the protocol needs them.
        own_metrics: Further metrics, reported after the protocol's in each direction.

    Raises:
        ValueError: If feature extractors are missing, or a metric takes what the protocol does not
            provide.
    """
    for entry in own_metrics:
        _check_inputs(entry, protocol)
    tested = [domain for domain in DOMAINS if task.has_test_images(domain)]
    available = Available(extractors, task.translator.reads_styles, task.paired, tested)
    measured = Measured([], {}, protocol.deviations(task))
    averaged: dict[str, list[MetricValue]] = {}
    for direction in DIRECTIONS:
        entries = [*protocol.metrics(direction, available), *own_metrics]
        running = _run(entries, protocol, direction, task, extractors)
        for entry in entries:
            metrics = _values(entry, running, direction)
            measured.metrics.extend(metrics)
            for row, metric in zip(entry.rows, metrics, strict=True):
                if row.averaged:
                    averaged.setdefault(f"mean/{row.key}", []).append(metric)
            if entry.per_input is not None:
                label = f"{direction}, {entry.per_input}"
                measured.distributions[label] = running[id(entry)].values_per_input()
    measured.metrics.extend(
        there._replace(key=key, value=(there.value + back.value) / 2, real=None)
        for key, (there, back) in averaged.items()
    )
    return measured


class _Running:
    """A metric on its way over the samples."""

    def __init__(self, entry: MetricEntry, task: EvaluationTask) -> None:
        self._entry = entry
        self._task = task
        self._metric = entry.make(task).to(task.device)
        self._per_input = CatMetric(nan_strategy="disable").to(task.device)

    def update(self, sample: Sample) -> None:
        names = self._entry.inputs.get(sample.kind)
        if names is None:
            return
        values = (sample.values[name] for name in names)
        device = self._task.device
        moved = [x.to(device) if isinstance(x, Tensor) else x for x in values]
        if self._entry.per_input is None:
            self._metric.update(*moved)
        else:  # a step's value is that of its own input
            self._per_input.update(self._metric(*moved)[None])

    def compute(self) -> list[float]:
        """Return the values over all processes' samples, one for each row."""
        computed = self._metric.compute()
        return [float(x) for x in (computed if isinstance(computed, tuple) else (computed,))]

    def values_per_input(self) -> list[float]:
        return self._task.in_order(self._per_input.compute().flatten())


def _run(
    entries: Sequence[MetricEntry],
    protocol: EvaluationProtocol,
    direction: Direction,
    task: EvaluationTask,
    extractors: FeatureExtractors | None,
) -> dict[int, _Running]:
    """Update all metrics with a direction's samples; return them by their entries' ids."""
    both = [each for entry in entries for each in (entry, entry.real) if each is not None]
    distinct = {id(entry): entry for entry in both}  # several may share the real images' values
    running = {key: _Running(entry, task) for key, entry in distinct.items()}
    for sample in protocol.draw_samples(direction, task, extractors):
        for metric in running.values():
            metric.update(sample)
    return running


def _values(
    entry: MetricEntry, running: dict[int, _Running], direction: Direction
) -> list[MetricValue]:
    values = running[id(entry)].compute()
    real: list[float | None] = [row.real for row in entry.rows]
    if entry.real is not None:
        real = [*running[id(entry.real)].compute()]
    return [
        MetricValue(f"{direction}/{row.key}", row.label, value, row.better, of_real)
        for row, value, of_real in zip(entry.rows, values, real, strict=True)
    ]


def _check_inputs(entry: MetricEntry, protocol: EvaluationProtocol) -> None:
    """Refuse a metric of the user's own that would never be updated, or not be found its inputs."""
    for kind, names in entry.inputs.items():
        if kind not in protocol.provides:
            raise ValueError(
                f"protocol {protocol.name} has no samples {kind!r}: there are "
                f"{', '.join(protocol.provides)}"
            )
        for name in names:
            if name not in protocol.provides[kind]:
                raise ValueError(
                    f"samples {kind!r} of protocol {protocol.name} have no {name!r}, but "
                    f"{', '.join(protocol.provides[kind])}"
                )
