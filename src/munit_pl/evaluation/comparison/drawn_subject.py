"""Drawn shoes as what methods are compared on: the truth is known."""

from collections.abc import Sequence

import torch
from torch import Tensor

from munit_pl.data.datamodules.drawn import DrawnDataModule
from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.evaluation import measuring
from munit_pl.evaluation.comparison.rows import SEED, Extent
from munit_pl.evaluation.comparison.subject import Metrics, Subject, Wording
from munit_pl.evaluation.protocols.drawn_ground_truth import Drawn
from munit_pl.evaluation.style_transfer import transfer_statistics
from munit_pl.evaluation.task import EvaluationTask
from munit_pl.inference.translator import Translator
from munit_pl.metrics.drawn import body_color, color_error

_DRAWN = ("silhouette_iou", "color_energy", "color_spread", "guided_error")


class DrawnSubject(Subject):
    """Drawn shoes, the same for all runs, whatever these were trained with.

    Args:
        size: Height and width.
        extent: How much is measured.
        paired: Whether batches show the same shoes in both domains.
    """

    def __init__(self, size: Sequence[int], extent: Extent, paired: bool = False) -> None:
        length = max(extent.inputs, extent.varied, extent.compared)
        shoes = DrawnDataModule(size, test_length=length, seed=SEED, paired=paired)
        shoes.setup()
        self.datamodule = shoes
        self.extent = extent
        self.inputs, self.real = shoes.domains["test"]
        self.others = shoes.domains["train"][1]
        self.wording = Wording(
            "Line drawings to colored shoes",
            "real shoes",
            "drawn shoes",
            "drawing",
            (
                f"Shapes and colors by protocol drawn ({extent.inputs} drawings, {extent.styles} "
                "styles each).",
                "BicycleGAN is shown which shoe belongs to which drawing.",
            ),
            published=True,
        )

    def measure(self, translator: Translator) -> tuple[Metrics, Metrics]:
        """Return "silhouette_iou", "color_energy" and "color_spread" of protocol drawn.

        And "guided_error" of the same if the method reads styles, "transfer_error", its like by
        `transfer_statistics`, if it has a content code. Real are those of the drawings' maker.
        """
        domains = self.datamodule.domains
        task = EvaluationTask(translator, domains["train"], domains["test"], SEED)
        drawn = measuring.measure(Drawn(self.extent.inputs, self.extent.styles), task)
        of_drawn = {metric.key: metric for metric in drawn.metrics}
        metrics = {key: of_drawn[f"a2b/{key}"].value for key in _DRAWN}
        real = {key: of_drawn[f"a2b/{key}"].real or 0.0 for key in _DRAWN}
        if not translator.reads_styles:
            del metrics["guided_error"]
        if translator.reconstructs:
            metrics["transfer_error"] = self._transfer_error(translator)
        return metrics, real

    def show(self, n: int, beside: int) -> tuple[str, Tensor, Tensor]:
        """Return drawings, and beside each its shoe."""
        assert isinstance(self.inputs, DrawnShoes)
        truths = [self.inputs.truth(i) for i in range(n)]
        colored = torch.stack([truth.x_b for truth in truths])
        return "drawing, its shoe", torch.stack([truth.x_a for truth in truths]), colored[:, None]

    def _transfer_error(self, translator: Translator) -> float:
        """Return the body colors' error of examples followed by AdaIN statistics, in [0, 255]."""
        drawings, examples = self.inputs, self.real
        assert isinstance(drawings, DrawnShoes)
        assert isinstance(examples, DrawnShoes)
        errors = []
        for i in range(self.extent.inputs):
            drawing, example = drawings.truth(i), examples.truth(i)
            y = transfer_statistics(translator, drawing.x_a[None], example.x_b[None], "b")
            followed = body_color(y, drawing.upper[None])
            wanted = body_color(example.x_b[None], example.upper[None])
            errors.append(color_error(followed, wanted))
        return torch.cat(errors).mean().item()
