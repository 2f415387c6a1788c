"""The metrics of one trained row of the table, and those of real images."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.datamodules.drawn import DrawnDataModule
from munit_pl.data.datasets import ValidationPairs
from munit_pl.data.domain import Domain
from munit_pl.evaluation.comparison.drawn_subject import DrawnSubject
from munit_pl.evaluation.comparison.folder_subject import FolderSubject
from munit_pl.evaluation.comparison.rows import SEED, Extent
from munit_pl.evaluation.comparison.subject import Metrics, Subject
from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.metrics.diversity import Diversity, PairDistance
from munit_pl.metrics.fid_kid_is import kernel_distance
from munit_pl.metrics.network_metric import to_rgb
from munit_pl.models.base.micro_batch import MicroBatch
from munit_pl.models.base.module import AdversarialModule
from munit_pl.models.base.objective import Images

_BATCH = 8


def make_subject(datamodule: TwoDomains, extent: Extent) -> Subject:
    """Return what methods that train on some data are compared on.

    Raises:
        ValueError: If there are too few images.
        OSError: If they cannot be read.
    """
    if isinstance(datamodule, DrawnDataModule):
        return DrawnSubject(datamodule.size, extent, datamodule.paired)
    datamodule.setup()
    return FolderSubject(datamodule, extent)


def measure(
    translator: Translator, subject: Subject, extractors: FeatureExtractors
) -> tuple[Metrics, Metrics]:
    """Measure translations from domain a to domain b.

    Args:
        translator: The trained model.
        subject: What it is measured on.
        extractors: The feature extractors.

    Returns:
        The metrics, and those among them of the real images. The metrics are the subject's own;
        "kernel_distance" of translations under one random style each to real images;
        "pair_distance", the mean distance of translations of the same image; and "parameters" of
        the networks that a translation passes.
    """
    metrics, real = subject.measure(translator)
    outputs, n = _outputs(translator, subject), subject.extent.compared
    metrics["kernel_distance"] = _kernel_distance(
        outputs, _images(subject.real, n), extractors, subject.extent
    )
    metrics["pair_distance"] = _pair_distance(translator, subject, extractors)
    gen_a, gen_b = translator.generators
    metrics["parameters"] = _count(gen_a.content_encoder) + _count(gen_b.decoder)
    return metrics, real


def measure_real(subject: Subject, extractors: FeatureExtractors) -> Metrics:
    """Return "kernel_distance" of two sets of real images, and "pair_distance" of random pairs."""
    n, others, test = subject.extent.compared, subject.others, subject.real
    distance = PairDistance(extractors.distance).to(extractors.device)
    for x, y in zip(_images(others, n), _images(test, n), strict=True):
        distance.update(x.to(extractors.device), y.to(extractors.device))
    kernel = _kernel_distance(_images(others, n), _images(test, n), extractors, subject.extent)
    return {"kernel_distance": kernel, "pair_distance": distance.compute().item()}


@torch.no_grad()
def measure_losses(module: AdversarialModule, subject: Subject) -> Metrics:
    """Return the generators' terms on test images, unweighted, the sums of both domains'.

    Args:
        module: The trained model.
        subject: What it is measured on, in pairs if the method is trained on pairs.
    """
    module.eval()
    inputs, images = subject.extent.inputs, subject.datamodule
    pairs = ValidationPairs(*images.batch_domains("test"), paired=images.paired)
    sums: Metrics = {}
    for places in _batches(inputs):
        samples = [pairs[i] for i in places]
        x_a = torch.stack([sample.x_a for sample in samples]).to(module.device)
        x_b = torch.stack([sample.x_b for sample in samples]).to(module.device)
        part = MicroBatch(Images(x_a, x_b), module.draw_all((x_a, x_b), "table1", places[0]))
        for term, pair in module.validation_terms(part).items():
            sums[term] = sums.get(term, 0.0) + pair.sum().item() * len(places)
    return {term: value / inputs for term, value in sums.items()}


def _kernel_distance(
    outputs: Iterator[Tensor], real: Iterator[Tensor], extractors: FeatureExtractors, extent: Extent
) -> float:
    with torch.no_grad():
        theirs, ours = (
            torch.cat(
                [
                    extractors.features.features_and_logits(x.to(extractors.device))[0]
                    for x in images
                ]
            )
            for images in (outputs, real)
        )
    return kernel_distance(ours, theirs, extent.subset, SEED).item()


def _pair_distance(
    translator: Translator, subject: Subject, extractors: FeatureExtractors
) -> float:
    if translator.style_dim("b") == 0:
        return 0.0  # all translations of an image are one
    diversity = Diversity(extractors.distance, "consecutive").to(extractors.device)
    for i in range(subject.extent.varied):
        x, k = subject.inputs.load(i, None)[None], subject.extent.pairs + 1
        styles = random_styles(k, translator.style_dim("b"), SEED, "pairs", i)
        outputs = to_rgb(translator.translate(x, styles, "b")[0])[None]
        diversity.update(outputs.to(extractors.device))
    return diversity.compute().item()


def _outputs(translator: Translator, subject: Subject) -> Iterator[Tensor]:
    """Yield translations of the first inputs, under a random style each."""
    n = subject.extent.compared
    styles = random_styles(n, translator.style_dim("b"), SEED, "table1")
    for x, style in zip(_images(subject.inputs, n), torch.split(styles, _BATCH), strict=True):
        yield to_rgb(translator.translate(x, style[:, None], "b")[:, 0])


def _images(images: Domain, n: int) -> Iterator[Tensor]:
    """Yield the first ``n`` images in batches."""
    for places in _batches(n):
        yield torch.stack([images.load(i, None) for i in places])


def _batches(n: int) -> Iterator[range]:
    for first in range(0, n, _BATCH):
        yield range(first, min(n, first + _BATCH))


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
