"""A metric of one's own in the report of a protocol.

python examples/own_metric.py [CHECKPOINT]
"""

import sys

from torchmetrics import MeanMetric

from munit_pl import DrawnDataModule, Translator
from munit_pl.evaluation.evaluate import evaluate
from munit_pl.evaluation.protocols.base import MetricEntry, Row
from munit_pl.evaluation.protocols.registry import find_protocol
from munit_pl.evaluation.task import EvaluationTask


class BrightnessChange(MeanMetric):
    """How much translations differ from their inputs in mean brightness, in [0, 255].

    Any torchmetrics class will do; its states say how several processes add up.
    """

    def update(self, inputs, outputs):
        """Add translations (1, K, C, H, W) of one input (1, C, H, W), both in [-1, 1]."""
        change = outputs.mean((2, 3, 4)) - inputs.mean((1, 2, 3))[:, None]
        super().update(change.abs() * 127.5)


ENTRY = MetricEntry(
    make=lambda task: BrightnessChange(),
    inputs={"random": ["inputs", "outputs"]},  # of translations under random styles
    rows=[Row("brightness", "brightness kept: error, of 255", "lower")],
)


def report(checkpoint, limit):
    """Follow protocol drawn on so many drawn shoes, and report the metric after its own."""
    data = DrawnDataModule(size=64)
    data.setup()
    task = EvaluationTask(
        Translator.load(checkpoint, device="cpu"), data.domains["train"], data.domains["test"]
    )
    protocol = find_protocol("drawn", limit)
    protocol.check(task)
    return evaluate(
        protocol, task, None, {"checkpoint": str(checkpoint)}, {"data": "drawn shoes"}, [ENTRY]
    )


if __name__ == "__main__":
    print(report(sys.argv[1] if len(sys.argv) > 1 else "drawn-shoes", limit=8).markdown())
