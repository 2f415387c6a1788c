"""What a protocol is: a list of metrics, and the samples that they are updated with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor
from torchmetrics import Metric

from munit_pl.data.domain import DomainName
from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.evaluation.task import DIRECTIONS, DOMAINS, Direction, EvaluationTask


class Row(NamedTuple):
    """A row of the report, filled by one value of a metric's ``compute()``.

    Attributes:
        key: Its key below the direction's, such as "diversity" in "a2b/diversity".
        label: Its name for people; where a network took part, with the network's.
        better: Which way is better; "" marks a value that others are read against.
        real: What a perfect model gets, where that is known beforehand.
        averaged: Whether the mean of both directions is reported, too, as "mean/diversity".
    """

    key: str
    label: str
    better: Literal["higher", "lower", ""]
    real: float | None = None
    averaged: bool = False


@dataclass(frozen=True)
class MetricEntry:
    """A metric of a protocol: how it is made, what it is updated with, what is reported of it.

    Args:
        make: Makes the metric anew for a direction of an evaluation.
        inputs: For each kind of sample that it is updated with, the names of the tensors that its
            ``update()`` takes, in order. See `EvaluationProtocol.provides`.
        rows: What is reported: a row for ``compute()``, or one for each value of the tuple that it
            returns.
        real: Another entry with as many rows, whose values are those of real images.
        per_input: A label: the values of single inputs, one of each sample, are kept under it.
    """

    make: Callable[[EvaluationTask], Metric]
    inputs: Mapping[str, Sequence[str]]
    rows: Sequence[Row]
    real: "MetricEntry | None" = None
    per_input: str | None = None


class Sample(NamedTuple):
    """What metrics are updated with.

    Attributes:
        kind: One of the protocol's `EvaluationProtocol.provides`.
        values: Tensors and flags, by name.
    """

    kind: str
    values: Mapping[str, Tensor | bool]


class Available(NamedTuple):
    """What an evaluation has to work with.

    Attributes:
        extractors: The feature extractors, if there are any.
        reads_styles: Whether the model's method reads styles from images.
        paired: Whether equal places in the test domains show the same thing.
        tested: Domains whose test images are others than their training images.
    """

    extractors: FeatureExtractors | None = None
    reads_styles: bool = True
    paired: bool = False
    tested: Sequence[DomainName] = DOMAINS


@dataclass(frozen=True)
class EvaluationProtocol:
    """A named list of metrics, with all that must be fixed for their values to be comparable.

    A protocol is a subclass. Its fields are its settings: reports name those that are not the
    defaults.

    Attributes:
        name: What it is called on the command line and in reports.
        version: Counted up when its values are no longer comparable with earlier ones.
        needs_extractors: Whether its metrics need feature extractors.
        needs_ground_truth: Whether they need the drawn shoes, whose ground truth is known.
        provides: The kinds of samples that both directions have on any data, and the names of what
            each holds. Every protocol has "random", translations under random styles: ``inputs``,
            ``(1, C, H, W)``, and ``outputs``, ``(1, K, C, H, W)``, in [-1, 1].
        inputs: Test images of each domain that are translated, at most; None takes all.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    needs_extractors: ClassVar[bool] = True
    needs_ground_truth: ClassVar[bool] = False
    provides: ClassVar[Mapping[str, Sequence[str]]]

    inputs: int | None

    def check(self, task: EvaluationTask) -> None:
        """Raise a `ValueError` if the images are too few, or not such as the protocol takes."""
        raise NotImplementedError

    def metrics(self, direction: Direction, available: Available) -> list[MetricEntry]:
        """Return the metrics of one direction, in the order of the report."""
        raise NotImplementedError

    def draw_samples(
        self, direction: Direction, task: EvaluationTask, extractors: FeatureExtractors | None
    ) -> Iterator[Sample]:
        """Yield this process's share of one direction's samples."""
        raise NotImplementedError

    def limited(self, limit: int) -> "EvaluationProtocol":
        """Return the protocol with so many inputs at most.

        Raises:
            ValueError: If that is less than 2, of which no spread comes.
        """
        if self.inputs is not None and limit >= self.inputs:
            return self
        if limit < 2:
            raise ValueError(f"the limit is {limit}, but must be at least 2")
        return replace(self, inputs=limit)

    def fitted(self, task: EvaluationTask) -> "EvaluationProtocol":
        """Take back a limit that leaves nothing out, where the protocol takes all images."""
        most = max(map(len, task.test))
        takes_all = type(self)().inputs is None  # type: ignore[call-arg]
        unlimited = takes_all and self.inputs is not None and self.inputs >= most
        return replace(self, inputs=None) if unlimited else self

    def deviations(self, task: EvaluationTask) -> list[str]:
        """Say where a task's model or data do not allow what the protocol asks."""
        return []

    def altered(self) -> list[str]:
        """Say which of its settings are not the published ones."""
        published: dict[str, Any] = asdict(type(self)())  # type: ignore[call-arg]
        return [
            f"{name} {value} instead of {'all' if published[name] is None else published[name]}"
            for name, value in asdict(self).items()
            if value != published[name]
        ]

    def keys(
        self, extractors: FeatureExtractors | None = None, reads_styles: bool = True
    ) -> list[str]:
        """Return the keys of what is measured on any data.

        Args:
            extractors: The feature extractors, if the protocol needs them.
            reads_styles: Whether the model's method reads styles from images.
        """
        available = Available(extractors, reads_styles)
        rows = {
            there: [row for entry in self.metrics(there, available) for row in entry.rows]
            for there in DIRECTIONS
        }
        averaged = [f"mean/{row.key}" for row in rows[DIRECTIONS[0]] if row.averaged]
        return [f"{there}/{row.key}" for there in DIRECTIONS for row in rows[there]] + averaged
