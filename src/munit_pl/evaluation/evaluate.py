"""Evaluate a model by a protocol."""

import time
from collections.abc import Sequence
from dataclasses import asdict

from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.evaluation.measuring import measure
from munit_pl.evaluation.protocols.base import EvaluationProtocol, MetricEntry
from munit_pl.evaluation.report import Report
from munit_pl.evaluation.task import EvaluationTask


def evaluate(
    protocol: EvaluationProtocol,
    task: EvaluationTask,
    extractors: FeatureExtractors | None,
    checkpoint: dict[str, str],
    data: dict[str, str],
    own_metrics: Sequence[MetricEntry] = (),
) -> Report:
    """Measure a model as a protocol says.

    Args:
        protocol: From `find_protocol`.
        task: The model and its data.
        extractors: The feature extractors; protocol "drawn" needs none.
        checkpoint: What the report shall say of the model.
        data: What it shall say of the data.
        own_metrics: Further metrics, reported after the protocol's in each direction.

    Raises:
        ValueError: If there are too few images, or the protocol does not fit the data.
    """
    start = time.perf_counter()
    protocol = protocol.fitted(task)
    measured = measure(protocol, task, extractors, own_metrics)
    return Report(
        protocol=f"{protocol.name} v{protocol.version}",
        settings=asdict(protocol),
        deviations=[*protocol.altered(), *measured.deviations],
        metrics=measured.metrics,
        distributions=measured.distributions,
        networks={} if extractors is None else extractors.names(),
        checkpoint=checkpoint,
        data=data,
        seed=task.seed,
        seconds=time.perf_counter() - start,
    )
