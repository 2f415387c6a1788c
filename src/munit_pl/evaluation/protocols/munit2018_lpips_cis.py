"""LPIPS diversity and (Conditional) Inception Scores as Huang et al., 2018, measured them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from munit_pl.evaluation.feature_extractors import FeatureExtractors, given
from munit_pl.evaluation.protocols.base import (
    Available,
    EvaluationProtocol,
    MetricEntry,
    Row,
    Sample,
)
from munit_pl.evaluation.task import DOMAINS, Direction, EvaluationTask
from munit_pl.inference.styles import random_styles
from munit_pl.metrics.diversity import Diversity, PairDistance
from munit_pl.metrics.inception_score import ConditionalInceptionScore

_SCORES = {
    "cis": "CIS, mean KL, as printed in the paper",
    "cis_exp": "CIS, its exponential, as in the original code",
    "inception": "IS, mean KL, as printed in the paper",
    "inception_exp": "IS, its exponential",
}


@dataclass(frozen=True)
class Munit2018(EvaluationProtocol):
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
    provides: ClassVar[Mapping[str, Sequence[str]]] = {
        "random": ("inputs", "outputs", "sampled"),  # the latter for the scores
        "real_pair": ("x", "y"),  # of the target domain's test images
    }

    inputs: int = 100
    pairs: int = 19
    samples: int = 100

    def check(self, task: EvaluationTask) -> None:
        """Raise a `ValueError` if there are too few test images."""
        for domain in DOMAINS:
            task.test_images(domain, self.inputs)

    def metrics(self, direction: Direction, available: Available) -> list[MetricEntry]:
        """Return diversity; distances from the truth if it is known, scores by a classifier."""
        extractors = given(available.extractors)
        distance, classifier = extractors.distance, extractors.classifiers.get(direction.target)

        def pair_distance(_: EvaluationTask) -> PairDistance:
            return PairDistance(distance)

        diversity = Row("diversity", f"diversity, {distance.name}", "higher")
        entries = [
            MetricEntry(
                lambda _: Diversity(distance, "consecutive"),
                {"random": ("outputs",)},
                [diversity],
                MetricEntry(pair_distance, {"real_pair": ("x", "y")}, [diversity]),
                per_input=diversity.label,
            )
        ]
        if available.paired:
            row = Row("paired", f"distance from the truth, {distance.name}", "lower")
            entries.append(
                MetricEntry(pair_distance, {"paired": ("translations", "truths")}, [row])
            )
        if classifier is not None:
            network, classes = classifier, len(classifier.classes)
            entries.append(
                MetricEntry(
                    lambda _: ConditionalInceptionScore(network, classes),
                    {"random": ("sampled",)},
                    [Row(k, f"{name} ({network.name})", "higher") for k, name in _SCORES.items()],
                )
            )
        return entries

    def draw_samples(
        self, direction: Direction, task: EvaluationTask, extractors: FeatureExtractors | None
    ) -> Iterator[Sample]:
        """Yield each input's translations, then pairs of real images."""
        scored = direction.target in given(extractors).classifiers
        translator, target = task.translator, direction.target
        images = task.test_images(direction.source, self.inputs)
        k = max(self.pairs + 1, self.samples if scored else 0)
        for i in task.share(self.inputs, f"{direction}: random styles"):
            where = self.name, str(direction), i
            x = images.load(i, None)[None]
            styles = random_styles(k, translator.style_dim(target), task.seed, *where)
            made = translator.translate(x, styles, target).to(task.device)
            outputs = made[:, : self.pairs + 1]
            sampled = made[:, : self.samples]
            yield Sample("random", {"inputs": x, "outputs": outputs, "sampled": sampled})
            if task.paired:
                truth = task.test_images(target, self.inputs).load(i, None).to(task.device)
                truths = truth.expand_as(outputs[0])
                yield Sample("paired", {"translations": outputs[0], "truths": truths})
        yield from self._real_pairs(direction, task)

    def _real_pairs(self, direction: Direction, task: EvaluationTask) -> Iterator[Sample]:
        """Yield random pairs of real images of the target domain, as many as of translations."""
        images = task.test_images(direction.target, 2)
        n = self.inputs * self.pairs
        first = task.choose(len(images), n, self.name, "first of a real pair", direction.target)
        # Never itself: from one to all but one places further on.
        ahead = task.choose(len(images) - 1, n, self.name, "second", direction.target)
        for i in task.share(n, f"{direction}: real pairs"):
            pair = first[i], (first[i] + 1 + ahead[i]) % len(images)
            x, y = (images.load(j, None)[None] for j in pair)
            yield Sample("real_pair", {"x": x, "y": y})
