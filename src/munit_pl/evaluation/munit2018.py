"""Diversity and (Conditional) Inception Scores as Huang et al., 2018, measured them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torchmetrics.aggregation import CatMetric

from munit_pl.evaluation.extractors import FeatureExtractors
from munit_pl.evaluation.report import Figure
from munit_pl.evaluation.task import DIRECTIONS, DOMAINS, Direction, EvaluationTask, Measured
from munit_pl.inference.styles import random_styles
from munit_pl.metrics.conditional import ConditionalInceptionScore
from munit_pl.metrics.diversity import Diversity, PairDistance


@dataclass(frozen=True)
class Munit2018:
    """Sections 5.1 and 5.2 of Huang et al., 2018: LPIPS between translations, CIS and IS.

    Under random styles only. Where the paper leaves it open: the pairs are neighbors in the list
    of an input's translations, and real images are compared in as many random pairs.

    Args:
        inputs: Test images of each domain that are translated, the first ones.
        pairs: Pairs of translations of each, whose distance is measured.
        samples: Translations of each for the scores, which want a classifier.
    """

    name: ClassVar[str] = "munit2018"
    version: ClassVar[int] = 1

    inputs: int = 100
    pairs: int = 19
    samples: int = 100

    def check(self, task: EvaluationTask) -> None:
        """Raise a `ValueError` if there are too few test images."""
        for domain in DOMAINS:
            task.test_images(domain, self.inputs)

    def keys(self, extractors: FeatureExtractors) -> list[str]:
        """Return the keys of the figures that any data has."""
        return [
            f"{direction}/{key}"
            for direction in DIRECTIONS
            for key in (
                "diversity",
                *(_SCORES if direction.target in extractors.classifiers else ()),
            )
        ]

    def measure(self, task: EvaluationTask, extractors: FeatureExtractors) -> Measured:
        """Measure both directions."""
        measured = Measured([], {}, [])
        for direction in DIRECTIONS:
            self._measure(direction, task, extractors, measured)
        return measured

    def _measure(
        self,
        direction: Direction,
        task: EvaluationTask,
        extractors: FeatureExtractors,
        into: Measured,
    ) -> None:
        device, name = task.device, extractors.distance.name
        diversity = Diversity(extractors.distance, "consecutive").to(device)
        per_input = CatMetric(nan_strategy="disable").to(device)
        from_truth = PairDistance(extractors.distance).to(device)
        classifier = extractors.classifiers.get(direction.target)
        scores = None
        if classifier is not None:
            scores = ConditionalInceptionScore(classifier, len(classifier.classes)).to(device)
        for i, outputs in self._outputs(direction, task, scored=scores is not None):
            compared = outputs[:, : self.pairs + 1]
            per_input.update(diversity(compared)[None])  # a step's value is that of its own input
            if scores is not None:
                scores.update(outputs[:, : self.samples])
            if task.paired:
                truth = task.test_images(direction.target, self.inputs).load(i, None).to(device)
                from_truth.update(compared[0], truth.expand_as(compared[0]))

        spread = task.in_order(per_input.compute().flatten())
        into.distributions[f"{direction}: diversity, {name}"] = spread
        real = self._real_diversity(direction, task, extractors)
        value = diversity.compute().item()
        into.figures.append(
            Figure(f"{direction}/diversity", f"diversity, {name}", value, "higher", real)
        )
        if task.paired:
            value = from_truth.compute().item()
            label = f"distance from the truth, {name}"
            into.figures.append(Figure(f"{direction}/paired", label, value, "lower"))
        if classifier is not None and scores is not None:
            found = scores.compute()._asdict()
            into.figures.extend(
                Figure(
                    f"{direction}/{key}",
                    f"{label} ({classifier.name})",
                    found[key].item(),
                    "higher",
                )
                for key, label in _SCORES.items()
            )

    def _outputs(
        self, direction: Direction, task: EvaluationTask, scored: bool
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield each input's number, and its translations ``(1, K, C, H, W)``."""
        translator, target = task.translator, direction.target
        images = task.test_images(direction.source, self.inputs)
        k = max(self.pairs + 1, self.samples if scored else 0)
        for i in task.share(self.inputs, f"{direction}: random styles"):
            where = self.name, str(direction), i
            styles = random_styles(k, translator.style_dim(target), task.seed, *where)
            outputs = translator.translate(images.load(i, None)[None], styles, target)
            yield i, outputs.to(task.device)

    def _real_diversity(
        self, direction: Direction, task: EvaluationTask, extractors: FeatureExtractors
    ) -> float:
        """Return the mean distance of random pairs of real images of the target domain."""
        images = task.test_images(direction.target, 2)
        n = self.inputs * self.pairs
        first = task.choose(len(images), n, self.name, "first of a real pair", direction.target)
        # Never itself: from one to all but one places further on.
        ahead = task.choose(len(images) - 1, n, self.name, "second", direction.target)
        distance = PairDistance(extractors.distance).to(task.device)
        for i in task.share(n, f"{direction}: real pairs"):
            pair = first[i], (first[i] + 1 + ahead[i]) % len(images)
            x, y = (images.load(j, None)[None].to(task.device) for j in pair)
            distance.update(x, y)
        return distance.compute().item()


_SCORES = {
    "cis": "CIS, mean KL, as printed in the paper",
    "cis_exp": "CIS, its exponential, as in the original code",
    "inception": "IS, mean KL, as printed in the paper",
    "inception_exp": "IS, its exponential",
}
