"""Realism and diversity as the StarGAN v2 paper measured them, MUNIT among others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics.aggregation import CatMetric

from munit_pl.data.domain import Domain
from munit_pl.evaluation.extractors import FeatureExtractors
from munit_pl.evaluation.report import Figure
from munit_pl.evaluation.sets import SetComparison, add_images
from munit_pl.evaluation.task import DIRECTIONS, DOMAINS, Direction, EvaluationTask, Measured
from munit_pl.inference.styles import random_styles
from munit_pl.metrics.diversity import Diversity


@dataclass(frozen=True)
class StarGANv2:
    """Section 4 of Choi et al., "StarGAN v2", CVPR 2020, for two domains.

    Every test image is translated under random styles ("latent") and in the styles of test images
    of the target domain, drawn at random ("reference"). Diversity is the mean distance over all
    pairs of an input's translations, realism FID against the target domain's training images;
    KID, IS, precision, recall, density and coverage stand beside it. The real images' values are
    those of the target domain's test images.

    Args:
        inputs: Test images of each domain that are translated, at most; None takes all.
        outputs: Translations of each.
        kernel_subset: Images of each set in one estimate of the kernel distance.
    """

    name: ClassVar[str] = "starganv2"
    version: ClassVar[int] = 1

    inputs: int | None = None
    outputs: int = 10
    kernel_subset: int = 100

    def check(self, task: EvaluationTask) -> None:
        """Raise a `ValueError` if there are too few images."""
        for domain in DOMAINS:
            train, test = task.train_images(domain), task.test_images(domain)
            least = max(SetComparison.smallest, task.world_size)
            if min(len(train), len(test)) < least:
                raise ValueError(
                    f"protocol {self.name} compares sets of at least {least} images here, but "
                    f"domain {domain} has {len(train)} for training and {len(test)} for testing: "
                    f"--protocol munit2018 --limit {min(map(len, task.test))} measures "
                    "diversity alone"
                )
            task.test_images(domain, self._translated(test))

    def keys(self, extractors: FeatureExtractors, reads_styles: bool) -> list[str]:
        """Return the keys of all figures, fewer for a method that reads no style from an image."""
        in_directions = [
            f"{direction}/{how}/{key}"
            for direction in DIRECTIONS
            for how in _hows(reads_styles)
            for key in ("diversity", *SetComparison.keys)
        ]
        return in_directions + [
            f"mean/{how}/{key}" for how in _hows(reads_styles) for key in ("diversity", "fd")
        ]

    def measure(self, task: EvaluationTask, extractors: FeatureExtractors) -> Measured:
        """Measure both directions, with random styles and with examples."""
        measured = Measured([], {}, [])
        if not task.translator.reads_styles:
            measured.deviations.append("no examples, since the method reads no style from an image")
        for direction in DIRECTIONS:
            self._measure(direction, task, extractors, measured)
        means = _means(measured.figures, _hows(task.translator.reads_styles))
        return measured._replace(figures=measured.figures + means)

    def _measure(
        self,
        direction: Direction,
        task: EvaluationTask,
        extractors: FeatureExtractors,
        into: Measured,
    ) -> None:
        n = self._translated(task.test_images(direction.source))
        train = task.train_images(direction.target)
        test = task.test_images(direction.target)
        subset = min(self.kernel_subset, n * self.outputs, len(train), len(test))
        if subset < self.kernel_subset:
            into.deviations.append(
                f"{direction}: kernel_subset {subset} instead of {self.kernel_subset}, for want of "
                "images"
            )
        sets = {
            how: SetComparison(extractors.features, subset, task.seed, task.device)
            for how in (*_hows(task.translator.reads_styles), "real")
        }
        for i in task.share(len(train), f"{direction}: training images"):
            add_images(train.load(i, None)[None], True, *sets.values())
        for i in task.share(len(test), f"{direction}: test images"):
            add_images(test.load(i, None)[None], False, sets["real"])
        real = sets["real"].values()
        for how in _hows(task.translator.reads_styles):
            what = _WHAT[how]
            label = f"{what}: diversity, {extractors.distance.name}"
            diversity, spread = self._translate(direction, how, task, extractors, sets[how])
            into.distributions[f"{direction}, {label}"] = spread
            into.figures.append(Figure(f"{direction}/{how}/diversity", label, diversity, "higher"))
            into.figures.extend(
                Figure(f"{direction}/{how}/{key}", f"{what}: {name}", value, better, real[key][1])
                for key, (name, value, better) in sets[how].values().items()
            )

    def _translate(
        self,
        direction: Direction,
        how: str,
        task: EvaluationTask,
        extractors: FeatureExtractors,
        outputs_seen: SetComparison,
    ) -> tuple[float, list[float]]:
        """Translate one way into a comparison; return the diversity, and that of each input."""
        images = task.test_images(direction.source)
        per_input = CatMetric(nan_strategy="disable").to(task.device)
        diversity = Diversity(extractors.distance, "all").to(task.device)
        for i in task.share(self._translated(images), f"{direction}: {how}"):
            styles = self._styles(direction, how, task, i)
            outputs = task.translator.translate(
                images.load(i, None)[None], styles, direction.target
            )
            # A step's value is that of its own input.
            per_input.update(diversity(outputs.to(task.device))[None])
            add_images(outputs[0], False, outputs_seen)
        spread = task.in_order(per_input.compute().flatten())
        return diversity.compute().item(), spread

    def _translated(self, images: Domain) -> int:
        """Return how many of a domain's test images are translated."""
        return len(images) if self.inputs is None else min(self.inputs, len(images))

    def _styles(self, direction: Direction, how: str, task: EvaluationTask, i: int) -> Tensor:
        """Return the styles of input ``i``, ``(outputs, style_dim)``."""
        where = self.name, str(direction), i
        if how == "latent":
            dim = task.translator.style_dim(direction.target)
            return random_styles(self.outputs, dim, task.seed, *where)
        examples = task.test_images(direction.target)
        chosen = task.choose(len(examples), self.outputs, *where)
        x = torch.stack([examples.load(j, None) for j in chosen])
        return task.translator.encode_style(x, direction.target)


_WHAT = {"latent": "random styles", "reference": "examples"}


def _hows(reads_styles: bool) -> list[str]:
    """Return where styles come from, as far as the method has it."""
    return list(_WHAT) if reads_styles else ["latent"]


def _means(figures: Sequence[Figure], hows: Sequence[str]) -> list[Figure]:
    """Return the means over both directions: what the paper prints."""
    by_key = {figure.key: figure for figure in figures}
    means = []
    for how in hows:
        for name in ("diversity", "fd"):
            there, back = (by_key[f"{direction}/{how}/{name}"] for direction in DIRECTIONS)
            value = (there.value + back.value) / 2
            means.append(there._replace(key=f"mean/{how}/{name}", value=value, real=None))
    return means
