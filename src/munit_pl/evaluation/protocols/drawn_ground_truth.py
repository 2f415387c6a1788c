"""The drawn shoes' protocol: exact metrics against ground truth, with no feature extractor."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from munit_pl.data.domain import DomainName
from munit_pl.data.drawn.dataset import DrawnShoes, Truth, draw
from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.evaluation.protocols.base import (
    Available,
    EvaluationProtocol,
    MetricEntry,
    Row,
    Sample,
)
from munit_pl.evaluation.task import DOMAINS, Direction, EvaluationTask
from munit_pl.inference.styles import random_styles
from munit_pl.metrics.drawn import DrawnMetric, drawn_a2b, drawn_b2a

# What `drawn_a2b` and `drawn_b2a` take, in order.
_A2B = (
    "outputs",
    "guided",
    "cycled",
    "inputs",
    "silhouettes",
    "uppers",
    "examples",
    "example_uppers",
)
_B2A = ("translations", "truths")
_A2B_ROWS = (
    Row("silhouette_iou", "shape kept: silhouette IoU", "higher"),
    Row("guided_error", "example followed: color error, of 255", "lower"),
    Row("chance_error", "the same, were the example ignored", ""),
    Row("color_spread", "variety: colors' spread for one shape, of the real set's", "higher"),
    Row("color_energy", "colors as the real set's: energy distance", "lower"),
    Row("cycle_error", "there and back: error, of 255", "lower"),
)
_B2A_ROWS = (
    Row("edge_f1", "lines where they belong: F1 of the ink", "higher", real=1.0),
    Row("paired_error", "distance from the true drawing, of 255", "lower", real=0.0),
)


@dataclass(frozen=True)
class Drawn(EvaluationProtocol):
    """Exact measures on the drawn shoes, see `DrawnA2B` and `DrawnB2A`.

    Input ``i`` of a domain is translated under random styles, and drawing ``i`` in the style of
    colored shoe ``i`` too, which is another shoe. What a perfect model would get is measured on
    the same drawings, colored by the ground-truth renderer: in random colors, and in the examples'.

    Args:
        inputs: Test images of each domain, the first ones.
        styles: Random styles for each drawing. Colored shoes are translated under one.
    """

    name: ClassVar[str] = "drawn"
    version: ClassVar[int] = 1
    needs_extractors: ClassVar[bool] = False
    needs_ground_truth: ClassVar[bool] = True
    provides: ClassVar[Mapping[str, Sequence[str]]] = {"random": ("inputs", "outputs")}

    inputs: int = 64
    styles: int = 8

    def check(self, task: EvaluationTask) -> None:
        """Raise a `ValueError` if the test images are no drawn shoes, or too few."""
        for domain in DOMAINS:
            _shoes(task, domain, self.inputs)

    def metrics(self, direction: Direction, available: Available) -> list[MetricEntry]:
        """Return the direction's `DrawnMetric`."""
        if direction.target == "a":
            return [MetricEntry(lambda _: DrawnMetric(drawn_b2a), {"random": _B2A}, _B2A_ROWS)]
        perfect = MetricEntry(lambda _: DrawnMetric(drawn_a2b), {"ground_truth": _A2B}, _A2B_ROWS)
        return [MetricEntry(lambda _: DrawnMetric(drawn_a2b), {"random": _A2B}, _A2B_ROWS, perfect)]

    def draw_samples(
        self, direction: Direction, task: EvaluationTask, extractors: FeatureExtractors | None
    ) -> Iterator[Sample]:
        """Yield each input's translations, and from a to b what a perfect model would make."""
        drawings, shoes = (_shoes(task, domain, self.inputs) for domain in DOMAINS)
        for i in task.share(self.inputs, f"{direction}: drawn shoes"):
            drawing, shoe = drawings.truth(i), shoes.truth(i)
            if direction.target == "a":
                yield Sample("random", self._draw(task, shoe, i))
                continue
            known = {
                "inputs": drawing.x_a[None],
                "silhouettes": drawing.silhouette[None],
                "uppers": drawing.upper[None],
                "examples": shoe.x_b[None],
                "example_uppers": shoe.upper[None],
            }
            yield Sample("random", {**known, **self._translate(task, drawing, shoe, i)})
            yield Sample("ground_truth", {**known, **self._paint(task, drawing, shoe, i)})

    def _translate(
        self, task: EvaluationTask, drawing: Truth, shoe: Truth, i: int
    ) -> dict[str, Tensor]:
        """Translate a drawing under random styles, in a shoe's style, and there and back."""
        translator, x_a = task.translator, drawing.x_a[None]
        styles = random_styles(
            self.styles, translator.style_dim("b"), task.seed, self.name, "a2b", i
        )
        translations = translator.translate(x_a, styles, "b")
        if translator.reads_styles:
            guide, own = (
                translator.encode_style(shoe.x_b[None], "b"),
                translator.encode_style(x_a, "a"),
            )
        else:  # nothing of an example can be followed
            guide = styles[:1]
            own = random_styles(1, translator.style_dim("a"), task.seed, self.name, "own", i)
        guided = translator.translate(x_a, guide, "b")[:, 0]
        cycled = translator.translate(translations[:, 0], own, "a")[:, 0]
        return {"outputs": translations, "guided": guided, "cycled": cycled}

    def _paint(
        self, task: EvaluationTask, drawing: Truth, shoe: Truth, i: int
    ) -> dict[str, Tensor]:
        """Color a drawing as a perfect model would."""
        colors = task.train_images("b")
        assert isinstance(colors, DrawnShoes)
        others = (colors.truth((i * self.styles + j) % len(colors)) for j in range(self.styles))
        translations = torch.stack([_colored_as(drawing, other) for other in others])
        guided = _colored_as(drawing, shoe)
        return {
            "outputs": translations[None],
            "guided": guided[None],
            "cycled": drawing.x_a[None],
        }

    def _draw(self, task: EvaluationTask, shoe: Truth, i: int) -> dict[str, Tensor]:
        """Translate a colored shoe to a line drawing."""
        dim = task.translator.style_dim("a")
        style = random_styles(1, dim, task.seed, self.name, "b2a", i)
        x = shoe.x_b[None]
        outputs = task.translator.translate(x, style, "a")
        return {
            "inputs": x,
            "outputs": outputs,
            "translations": outputs[:, 0],
            "truths": shoe.x_a[None],
        }


def _shoes(task: EvaluationTask, domain: DomainName, n: int) -> DrawnShoes:
    if not isinstance(task.test_images(domain), DrawnShoes):
        raise ValueError("protocol drawn measures models of the drawn shoes (data=drawn)")
    images = task.test_images(domain, n)
    assert isinstance(images, DrawnShoes)
    return images


def _colored_as(drawing: Truth, other: Truth) -> Tensor:
    shoe = replace(drawing.shoe, body=other.shoe.body, sole=other.shoe.sole)
    height, width = drawing.silhouette.shape
    return draw(shoe, (height, width)).x_b
