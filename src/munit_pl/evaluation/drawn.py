"""The drawn shoes' protocol: exact measures, by the known truth, with no network."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from munit_pl.data.domain import DomainName
from munit_pl.data.drawn.dataset import DrawnShoes, Truth, draw
from munit_pl.evaluation.report import Figure
from munit_pl.evaluation.task import DOMAINS, EvaluationTask, Measured
from munit_pl.inference.styles import random_styles
from munit_pl.metrics.drawn import DrawnA2B, DrawnB2A, DrawnMetric, drawn_a2b, drawn_b2a


@dataclass(frozen=True)
class Drawn:
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

    inputs: int = 64
    styles: int = 8

    def check(self, task: EvaluationTask) -> None:
        """Raise a `ValueError` if the test images are no drawn shoes, or too few."""
        for domain in DOMAINS:
            _shoes(task, domain, self.inputs)

    def keys(self) -> list[str]:
        """Return the keys of all figures."""
        return [*(f"a2b/{key}" for key, *_ in _A2B), *(f"b2a/{key}" for key, *_ in _B2A)]

    def measure(self, task: EvaluationTask) -> Measured:
        """Measure both directions; no network is needed."""
        drawings, shoes = (_shoes(task, domain, self.inputs) for domain in DOMAINS)
        of_model, of_truth = DrawnMetric(drawn_a2b), DrawnMetric(drawn_a2b)
        back = DrawnMetric(drawn_b2a)
        for metric in (of_model, of_truth, back):
            metric.to(task.device)
        for i in task.share(self.inputs, "drawn shoes"):
            drawing, shoe = drawings.truth(i), shoes.truth(i)
            known = {
                "drawings": drawing.x_a[None],
                "silhouettes": drawing.silhouette[None],
                "uppers": drawing.upper[None],
                "examples": shoe.x_b[None],
                "example_uppers": shoe.upper[None],
            }
            of_model.update(**known, **self._translate(task, drawing, shoe, i))
            of_truth.update(**known, **self._paint(task, drawing, shoe, i))
            back.update(translations=self._draw(task, shoe, i), truths=shoe.x_a[None])
        return Measured(_figures(of_model.compute(), of_truth.compute(), back.compute()), {}, [])

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
        return {"translations": translations, "guided": guided, "cycled": cycled}

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
            "translations": translations[None],
            "guided": guided[None],
            "cycled": drawing.x_a[None],
        }

    def _draw(self, task: EvaluationTask, shoe: Truth, i: int) -> Tensor:
        """Translate a colored shoe to a line drawing."""
        dim = task.translator.style_dim("a")
        style = random_styles(1, dim, task.seed, self.name, "b2a", i)
        return task.translator.translate(shoe.x_b[None], style, "a")[:, 0]


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


def _figures(a2b: DrawnA2B, perfect: DrawnA2B, b2a: DrawnB2A) -> list[Figure]:
    there = [
        Figure(f"a2b/{key}", label, getattr(a2b, key), better, getattr(perfect, key))
        for key, label, better in _A2B
    ]
    back = [
        Figure(f"b2a/{key}", label, getattr(b2a, key), better, perfect_value)
        for key, label, better, perfect_value in _B2A
    ]
    return there + back


_Rows = tuple[tuple[str, str, Literal["higher", "lower", ""]], ...]
_A2B: _Rows = (
    ("silhouette_iou", "shape kept: silhouette IoU", "higher"),
    ("guided_error", "example followed: color error, of 255", "lower"),
    ("chance_error", "the same, were the example ignored", ""),
    ("color_spread", "variety: colors' spread for one shape, of the real set's", "higher"),
    ("color_energy", "colors as the real set's: energy distance", "lower"),
    ("cycle_error", "there and back: error, of 255", "lower"),
)
_B2A: tuple[tuple[str, str, Literal["higher", "lower"], float], ...] = (
    ("edge_f1", "lines where they belong: F1 of the ink", "higher", 1.0),
    ("paired_error", "distance from the true drawing, of 255", "lower", 0.0),
)
