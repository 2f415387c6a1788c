"""The metrics of one trained row of the table, and those of real shoes."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from munit_pl.data.datamodules.drawn import DrawnDataModule
from munit_pl.data.datasets import ValidationPairs
from munit_pl.data.domain import Domain
from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.evaluation import measuring
from munit_pl.evaluation.comparison.rows import Extent
from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.evaluation.protocols.drawn_ground_truth import Drawn
from munit_pl.evaluation.style_transfer import transfer_statistics
from munit_pl.evaluation.task import EvaluationTask
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.metrics.diversity import Diversity, PairDistance
from munit_pl.metrics.drawn import body_color, color_error
from munit_pl.metrics.fid_kid_is import kernel_distance
from munit_pl.models.base.micro_batch import MicroBatch
from munit_pl.models.base.module import AdversarialModule
from munit_pl.models.base.objective import Images

Figures = dict[str, float]

_DRAWN = ("silhouette_iou", "color_energy", "color_spread", "guided_error")
_BATCH = 8
_SEED = 0  # of test shoes and random styles, which are the same for all runs


def make_shoes(size: Sequence[int], extent: Extent, paired: bool = False) -> DrawnDataModule:
    """Return the shoes that every run is measured on, whatever it was trained with.

    Args:
        size: Height and width.
        extent: How many are needed.
        paired: Whether batches show the same shoes in both domains.
    """
    test_length = max(extent.inputs, extent.varied, extent.compared)
    shoes = DrawnDataModule(size, test_length=test_length, seed=_SEED, paired=paired)
    shoes.setup()
    return shoes


def measure(
    translator: Translator, shoes: DrawnDataModule, extractors: FeatureExtractors, extent: Extent
) -> tuple[Figures, Figures]:
    """Measure translations of line drawings to colored shoes.

    Args:
        translator: The trained model.
        shoes: From `make_shoes`.
        extractors: The feature extractors.
        extent: How much to measure.

    Returns:
        The figures, and those among them that the drawings' maker would get. The figures are
        "silhouette_iou", "color_energy" and "color_spread" of protocol drawn; "guided_error" of
        the same if the method reads styles, and "transfer_error", its like by
        `transfer_statistics`, if it has a content code; "kernel_distance" of translations under one
        random style each to real shoes; "pair_distance", the mean distance of translations of the
        same drawing; and "parameters" of the networks that a translation passes.
    """
    task = EvaluationTask(translator, shoes.domains["train"], shoes.domains["test"], _SEED)
    drawn = measuring.measure(Drawn(extent.inputs, extent.styles), task)
    of_drawn = {figure.key: figure for figure in drawn.figures}
    figures = {key: of_drawn[f"a2b/{key}"].value for key in _DRAWN}
    real = {key: of_drawn[f"a2b/{key}"].real or 0.0 for key in _DRAWN}
    if not translator.reads_styles:
        del figures["guided_error"]
    if translator.reconstructs:
        figures["transfer_error"] = _transfer_error(translator, shoes, extent.inputs)
    outputs = _outputs(translator, shoes, extent.compared)
    test = _images(shoes.domains["test"][1], extent.compared)
    figures["kernel_distance"] = _kernel_distance(outputs, test, extractors, extent)
    figures["pair_distance"] = _pair_distance(translator, shoes, extractors, extent)
    gen_a, gen_b = translator.generators
    figures["parameters"] = _count(gen_a.content_encoder) + _count(gen_b.decoder)
    return figures, real


def measure_real(shoes: DrawnDataModule, extractors: FeatureExtractors, extent: Extent) -> Figures:
    """Return "kernel_distance" of two sets of real shoes, and "pair_distance" of random pairs."""
    n, others, test = extent.compared, shoes.domains["train"][1], shoes.domains["test"][1]
    distance = PairDistance(extractors.distance).to(extractors.device)
    for x, y in zip(_images(others, n), _images(test, n), strict=True):
        distance.update(x.to(extractors.device), y.to(extractors.device))
    kernel = _kernel_distance(_images(others, n), _images(test, n), extractors, extent)
    return {"kernel_distance": kernel, "pair_distance": distance.compute().item()}


@torch.no_grad()
def measure_losses(module: AdversarialModule, shoes: DrawnDataModule, inputs: int) -> Figures:
    """Return the generators' terms on test images, unweighted, the sums of both domains'.

    Args:
        module: The trained model.
        shoes: From `make_shoes`; paired if the method is.
        inputs: So many images of each domain.
    """
    module.eval()
    pairs = ValidationPairs(*shoes.batch_domains("test"))
    sums: Figures = {}
    for places in _batches(inputs):
        samples = [pairs[i] for i in places]
        x_a = torch.stack([sample.x_a for sample in samples]).to(module.device)
        x_b = torch.stack([sample.x_b for sample in samples]).to(module.device)
        part = MicroBatch(Images(x_a, x_b), module.draw_all((x_a, x_b), "table1", places[0]))
        for term, pair in module.validation_terms(part).items():
            sums[term] = sums.get(term, 0.0) + pair.sum().item() * len(places)
    return {term: value / inputs for term, value in sums.items()}


def _transfer_error(translator: Translator, shoes: DrawnDataModule, inputs: int) -> float:
    """Return the body colors' error of examples followed by AdaIN statistics, in [0, 255]."""
    drawings, examples = shoes.domains["test"]
    assert isinstance(drawings, DrawnShoes)
    assert isinstance(examples, DrawnShoes)
    errors = []
    for i in range(inputs):
        drawing, example = drawings.truth(i), examples.truth(i)
        y = transfer_statistics(translator, drawing.x_a[None], example.x_b[None], "b")
        followed = body_color(y, drawing.upper[None])
        wanted = body_color(example.x_b[None], example.upper[None])
        errors.append(color_error(followed, wanted))
    return torch.cat(errors).mean().item()


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
    return kernel_distance(ours, theirs, extent.subset, _SEED).item()


def _pair_distance(
    translator: Translator, shoes: DrawnDataModule, extractors: FeatureExtractors, extent: Extent
) -> float:
    if translator.style_dim("b") == 0:
        return 0.0  # all translations of a drawing are one
    diversity = Diversity(extractors.distance, "consecutive").to(extractors.device)
    for i in range(extent.varied):
        x = shoes.domains["test"][0].load(i, None)[None]
        styles = random_styles(extent.pairs + 1, translator.style_dim("b"), _SEED, "pairs", i)
        diversity.update(translator.translate(x, styles, "b").to(extractors.device))
    return diversity.compute().item()


def _outputs(translator: Translator, shoes: DrawnDataModule, n: int) -> Iterator[Tensor]:
    """Yield translations of the first ``n`` drawings, under a random style each."""
    styles = random_styles(n, translator.style_dim("b"), _SEED, "table1")
    for x, style in zip(
        _images(shoes.domains["test"][0], n), torch.split(styles, _BATCH), strict=True
    ):
        yield translator.translate(x, style[:, None], "b")[:, 0]


def _images(images: Domain, n: int) -> Iterator[Tensor]:
    """Yield the first ``n`` images in batches."""
    for places in _batches(n):
        yield torch.stack([images.load(i, None) for i in places])


def _batches(n: int) -> Iterator[range]:
    for first in range(0, n, _BATCH):
        yield range(first, min(n, first + _BATCH))


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
