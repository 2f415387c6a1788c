"""The report of an evaluation as JSON and Markdown, with the protocol that it followed."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from munit_pl.io.files import write_whole

_ARROWS = {"higher": "↑", "lower": "↓", "": ""}


class MetricValue(NamedTuple):
    """A value of a metric in a report.

    Attributes:
        key: Its name in files and for ``monitor``, such as "a2b/silhouette_iou".
        label: Its name for people; where a network took part, with the network's.
        value: The number.
        better: Which way is better; "" marks a number that others are read against.
        real: The same measure of real images, where there is one: what a perfect model gets.
    """

    key: str
    label: str
    value: float
    better: Literal["higher", "lower", ""]
    real: float | None = None


@dataclass(frozen=True)
class Report:
    """An evaluation's outcome.

    Args:
        protocol: The protocol's name and version, such as "munit2018 v1".
        settings: All that the protocol fixes, as used.
        deviations: Where ``settings`` are not the protocol's own, in words.
        metrics: The metrics, with their values.
        distributions: Single values behind some metrics, by label: one per input.
        networks: The networks that took part, by what they were for.
        checkpoint: The model's file and its SHA-256.
        data: What it was measured on, in words.
        seed: Where random styles came from.
        seconds: How long it took.

    Raises:
        ValueError: If no protocol or no metric is given.
    """

    protocol: str
    settings: dict[str, Any]
    deviations: Sequence[str]
    metrics: Sequence[MetricValue]
    distributions: dict[str, list[float]]
    networks: dict[str, str]
    checkpoint: dict[str, str]
    data: dict[str, str]
    seed: int
    seconds: float

    def __post_init__(self) -> None:
        if not self.protocol:
            raise ValueError("a report needs the name of its protocol")
        if not self.metrics:
            raise ValueError(f"protocol {self.protocol} measured nothing")

    def write(self, folder: Path) -> None:
        """Write ``metrics.json`` and ``metrics.md`` into ``folder``.

        What is no finite number becomes null in the former: JSON knows neither NaN nor infinity.
        """
        folder.mkdir(parents=True, exist_ok=True)
        values = json.dumps(_finite(self.as_dict()), indent=1, allow_nan=False)
        write_whole(folder / "metrics.json", values + "\n")
        write_whole(folder / "metrics.md", self.markdown())

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, with the versions that it was measured with."""
        values = asdict(self)
        values["metrics"] = {metric.key: metric._asdict() for metric in self.metrics}
        packages = ("munit-pl", "torch", "torchmetrics")
        values["versions"] = {package: version(package) for package in packages}
        values["device"] = {"threads": torch.get_num_threads()}
        return values

    def markdown(self) -> str:
        """Return the metrics as a table, and below it what they mean."""
        rows = [
            f"| {metric.key.split('/')[0]} | {metric.label} | {_short(metric.value)} | "
            f"{'' if metric.real is None else _short(metric.real)} | "
            f"{_ARROWS[metric.better]} |"
            for metric in self.metrics
        ]
        lines = [
            f"# {self.title}",
            "",
            "| direction | measure | model | real images | better |",
            "|---|---|---|---|---|",
            *rows,
            "",
            *(f"- {line}" for line in self.notes()),
        ]
        return "\n".join(lines) + "\n"

    @property
    def title(self) -> str:
        """The protocol's name, and whether it was followed to the letter."""
        return f"Protocol {self.protocol}" + (", with deviations" if self.deviations else "")

    def notes(self) -> list[str]:
        """Say how the metrics came about, a line each."""
        settings = ", ".join(
            f"{name} {'all' if value is None else value}" for name, value in self.settings.items()
        )
        networks = [f"{use}: {name}" for use, name in self.networks.items()]
        return [
            f"protocol {self.protocol}: {settings}; seed {self.seed}",
            *(f"deviation: {line}" for line in self.deviations),
            *networks,
            *(f"{name}: {text}" for name, text in (self.checkpoint | self.data).items()),
            f"{self.seconds:.0f} s",
        ]


def _finite(value: Any) -> Any:
    """Return plain values with None for each number that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: float) -> str:
    return f"{value:.4g}"
