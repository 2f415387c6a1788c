"""The protocols by name, and how a report comes of one."""

import time
from dataclasses import asdict, replace
from typing import Any

from munit_pl.evaluation.drawn import Drawn
from munit_pl.evaluation.extractors import FeatureExtractors
from munit_pl.evaluation.munit2018 import Munit2018
from munit_pl.evaluation.report import Report
from munit_pl.evaluation.starganv2 import StarGANv2
from munit_pl.evaluation.task import EvaluationTask

Protocol = Drawn | Munit2018 | StarGANv2

PROTOCOLS: dict[str, Protocol] = {p.name: p for p in (Drawn(), Munit2018(), StarGANv2())}


def find_protocol(name: str, limit: int | None = None) -> Protocol:
    """Return a protocol.

    Args:
        name: One of ``PROTOCOLS``.
        limit: Translate so many test images of each domain at most. What comes of it is not the
            protocol's figure, and the report says so.

    Raises:
        ValueError: If there is no such protocol, or ``limit`` is too small.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"there is no protocol {name}: there are {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    if limit is None or (protocol.inputs is not None and limit >= protocol.inputs):
        return protocol
    if limit < 2:
        raise ValueError(f"the limit is {limit}, but must be at least 2")
    return replace(protocol, inputs=limit)


def evaluate(
    protocol: Protocol,
    task: EvaluationTask,
    extractors: FeatureExtractors | None,
    checkpoint: dict[str, str],
    data: dict[str, str],
) -> Report:
    """Measure a model as a protocol says.

    Args:
        protocol: From `find_protocol`.
        task: The model and its data.
        extractors: The networks to see with; protocol "drawn" needs none.
        checkpoint: What the report shall say of the model.
        data: What it shall say of the data.

    Raises:
        ValueError: If there are too few images, or the protocol does not fit the data.
    """
    start = time.perf_counter()
    protocol = _unlimited(protocol, task)
    if isinstance(protocol, Drawn):
        measured = protocol.measure(task)
    else:
        measured = protocol.measure(task, _given(extractors))
    return Report(
        protocol=f"{protocol.name} v{protocol.version}",
        numbers=asdict(protocol),
        deviations=[*_deviations(protocol), *measured.deviations],
        figures=measured.figures,
        distributions=measured.distributions,
        networks={} if extractors is None else extractors.names(),
        checkpoint=checkpoint,
        data=data,
        seed=task.seed,
        seconds=time.perf_counter() - start,
    )


def keys(
    protocol: Protocol, extractors: FeatureExtractors | None, reads_styles: bool = True
) -> list[str]:
    """Return the keys of the figures that a protocol measures on any data.

    Args:
        protocol: From `find_protocol`.
        extractors: The networks to see with; protocol "drawn" needs none.
        reads_styles: Whether the model's method reads styles from images.
    """
    if isinstance(protocol, Drawn):
        return protocol.keys()
    if isinstance(protocol, StarGANv2):
        return protocol.keys(_given(extractors), reads_styles)
    return protocol.keys(_given(extractors))


def _unlimited(protocol: Protocol, task: EvaluationTask) -> Protocol:
    """Take back a limit that leaves nothing out, where the protocol takes all images."""
    most = max(map(len, task.test))
    if isinstance(protocol, StarGANv2) and protocol.inputs is not None and protocol.inputs >= most:
        return replace(protocol, inputs=None)
    return protocol


def _given(extractors: FeatureExtractors | None) -> FeatureExtractors:
    if extractors is None:
        raise ValueError("this protocol needs networks to see with")
    return extractors


def _deviations(protocol: Protocol) -> list[str]:
    published: dict[str, Any] = asdict(PROTOCOLS[protocol.name])
    return [
        f"{name} {value} instead of {'all' if published[name] is None else published[name]}"
        for name, value in asdict(protocol).items()
        if value != published[name]
    ]
