"""FID, LPIPS and their like, by random styles and by examples, as StarGAN v2 was measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from munit_pl.data.domain import Domain
from munit_pl.evaluation.feature_extractors import FeatureExtractors, given
from munit_pl.evaluation.protocols.base import (
    Available,
    EvaluationProtocol,
    MetricEntry,
    Row,
    Sample,
)
from munit_pl.evaluation.task import DIRECTIONS, DOMAINS, Direction, EvaluationTask
from munit_pl.inference.styles import random_styles
from munit_pl.metrics.diversity import Diversity
from munit_pl.metrics.fid_kid_is import DistributionMetrics
from munit_pl.metrics.inception_v3 import Inception

Source = Literal["random", "example"]

_FEATURES = ("features", "logits", "real")  # what `DistributionMetrics` takes
_KEYS: dict[Source, str] = {"random": "latent", "example": "reference"}
_LABELS: dict[Source, str] = {"random": "random styles", "example": "examples"}


@dataclass(frozen=True)
class StarGANv2(EvaluationProtocol):
    """Section 4 of Choi et al., "StarGAN v2", CVPR 2020, for two domains.

    Every test image is translated under random styles ("latent") and in the styles of test images
    of the target domain, drawn at random ("reference"). Diversity is the mean distance over all
    pairs of an input's translations, realism FID against the target domain's training images;
    KID, IS, precision, recall, density and coverage stand beside it. The real images' values are
    those of the target domain's test images, if there are any.

    Args:
        inputs: Test images of each domain that are translated, at most; None takes all.
        outputs: Translations of each.
        kernel_subset: Images of each set in one estimate of the kernel distance.
    """

    name: ClassVar[str] = "starganv2"
    version: ClassVar[int] = 1
    provides: ClassVar[Mapping[str, Sequence[str]]] = {
        "train": _FEATURES,  # the target domain's training images
        "test": _FEATURES,  # its test images
        "random": ("inputs", "outputs", *_FEATURES),
        "example": ("inputs", "outputs", *_FEATURES),
    }

    inputs: int | None = None
    outputs: int = 10
    kernel_subset: int = 100

    def check(self, task: EvaluationTask) -> None:
        """Raise a `ValueError` if there are too few images."""
        for domain in DOMAINS:
            train, test = task.train_images(domain), task.test_images(domain)
            least = max(DistributionMetrics.smallest, task.world_size)
            if min(len(train), len(test)) < least:
                raise ValueError(
                    f"protocol {self.name} compares sets of at least {least} images here, but "
                    f"domain {domain} has {len(train)} for training and {len(test)} for testing: "
                    f"protocol munit2018 with a limit of {min(map(len, task.test))} measures "
                    "diversity alone"
                )
            task.test_images(domain, self._translated(test))

    def metrics(self, direction: Direction, available: Available) -> list[MetricEntry]:
        """Return diversity and `DistributionMetrics`, under random styles and of examples."""
        extractors = given(available.extractors)
        distances = {"train": _FEATURES, "test": _FEATURES}

        def make(task: EvaluationTask) -> DistributionMetrics:
            return DistributionMetrics(self._subset(direction, task), task.seed)

        real = None
        if direction.target in available.tested:  # training images are no measure of themselves
            real = MetricEntry(make, distances, _rows("random", extractors))
        entries = []
        for source in _sources(available.reads_styles):
            label = f"{_LABELS[source]}: diversity, {extractors.distance.name}"
            row = Row(f"{_KEYS[source]}/diversity", label, "higher", averaged=True)
            entries += [
                MetricEntry(
                    lambda _: Diversity(extractors.distance, "all"),
                    {source: ("outputs",)},
                    [row],
                    per_input=label,
                ),
                MetricEntry(
                    make,
                    {"train": _FEATURES, source: _FEATURES},
                    _rows(source, extractors),
                    real,
                ),
            ]
        return entries

    def draw_samples(
        self, direction: Direction, task: EvaluationTask, extractors: FeatureExtractors | None
    ) -> Iterator[Sample]:
        """Yield real images of the target domain, then the translations of each input."""
        network = given(extractors).features
        for kind, images in (
            ("train", task.train_images(direction.target)),
            ("test", task.test_images(direction.target)),
        ):
            name = "training" if kind == "train" else kind
            for i in task.share(len(images), f"{direction}: {name} images"):
                place = kind, direction.target, i
                found = None if task.real_features is None else task.real_features.get(place)
                if found is None:
                    found = network.features_and_logits(images.load(i, None)[None].to(task.device))
                    if task.real_features is not None:
                        task.real_features[place] = found
                features, logits = found
                real = kind == "train"
                yield Sample(kind, {"features": features, "logits": logits, "real": real})
        inputs = task.test_images(direction.source)
        for source in _sources(task.translator.reads_styles):
            for i in task.share(self._translated(inputs), f"{direction}: {_KEYS[source]}"):
                x = inputs.load(i, None)[None]
                styles = self._styles(direction, source, task, i)
                outputs = task.translator.translate(x, styles, direction.target).to(task.device)
                features, logits = network.features_and_logits(outputs[0])
                values = {"inputs": x, "outputs": outputs, "features": features, "logits": logits}
                yield Sample(source, {**values, "real": False})

    def deviations(self, task: EvaluationTask) -> list[str]:
        """Say if there are no examples, or too few images for an estimate of KID."""
        lines = []
        if not task.translator.reads_styles:
            lines.append("no examples, since the method reads no style from an image")
        for direction in DIRECTIONS:
            subset = self._subset(direction, task)
            if subset < self.kernel_subset:
                lines.append(
                    f"{direction}: kernel_subset {subset} instead of {self.kernel_subset}, for "
                    "want of images"
                )
        return lines

    def _subset(self, direction: Direction, task: EvaluationTask) -> int:
        """Return how many images of each set an estimate of KID can have."""
        outputs = self.outputs * self._translated(task.test_images(direction.source))
        train, test = task.train_images(direction.target), task.test_images(direction.target)
        return min(self.kernel_subset, outputs, len(train), len(test))

    def _translated(self, images: Domain) -> int:
        """Return how many of a domain's test images are translated."""
        return len(images) if self.inputs is None else min(self.inputs, len(images))

    def _styles(self, direction: Direction, source: Source, task: EvaluationTask, i: int) -> Tensor:
        """Return the styles of input ``i``, ``(outputs, style_dim)``."""
        where = self.name, str(direction), i
        if source == "random":
            dim = task.translator.style_dim(direction.target)
            return random_styles(self.outputs, dim, task.seed, *where)
        examples = task.test_images(direction.target)
        chosen = task.choose(len(examples), self.outputs, *where)
        x = torch.stack([examples.load(j, None) for j in chosen])
        return task.translator.encode_style(x, direction.target)


def _sources(reads_styles: bool) -> list[Source]:
    """Return where styles come from, as far as the method has it."""
    return ["random", "example"] if reads_styles else ["random"]


def _rows(source: Source, extractors: FeatureExtractors) -> list[Row]:
    """Return the rows of `DistributionMetrics`, whose names only FID's network gives them."""
    original = isinstance(extractors.features, Inception)
    by = "" if original else f" ({extractors.features.name})"
    names = {"fd": "FID", "kd": "KID"} if original else {"fd": "FD", "kd": "KD"}
    names["is"] = "IS"
    return [
        Row(
            f"{_KEYS[source]}/{key}",
            f"{_LABELS[source]}: {names.get(key, key)}{by}",
            "lower" if key in ("fd", "kd") else "higher",
            averaged=key == "fd",
        )
        for key in ("fd", "kd", "is", "precision", "recall", "density", "coverage")
    ]
