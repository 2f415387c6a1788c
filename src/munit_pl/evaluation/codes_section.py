"""The report page's section on codes: tables, each with how to read it, and plots."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from munit_pl.data.domain import DomainName
from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.evaluation.codes import (
    drawn_independence,
    encoded_styles,
    recovered_styles,
    style_augmented_cycle,
)
from munit_pl.evaluation.codes_plots import plot_readings, plot_style_histograms
from munit_pl.evaluation.latent import (
    ks_bound,
    ks_statistics,
    largest_correlation,
    squared_wasserstein,
)
from munit_pl.evaluation.task import DIRECTIONS, DOMAINS, Direction, EvaluationTask
from munit_pl.inference.styles import random_styles
from munit_pl.metrics.drawn import mean_absolute_error

_CYCLED = 16  # images that are translated there and back
_STYLES = 4  # styles for each


class Block(NamedTuple):
    """A table of numbers.

    Attributes:
        title: What it is about.
        note: How to read it.
        head: Names of the columns.
        rows: Words and numbers, one for each column.
        plot: A PNG that shows them, if any does.
    """

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | float]]
    plot: bytes | None = None


def into_the_codes(task: EvaluationTask) -> list[Block]:
    """Look into a model's codes; there is nothing to look at where it reads no style from images.

    What codes tell about the truth takes content codes, and drawn shoes, for training and testing,
    of sides that need no padding; statistics of encoded styles take two test images.
    """
    if not task.translator.reads_styles:
        return []
    return [
        *(_independence(task, d) for d in DOMAINS if _is_known(task, d)),
        *(_against_prior(task, d) for d in DOMAINS if len(task.test_images(d)) > 1),
        *(_there_and_back(task, direction) for direction in DIRECTIONS),
    ]


def _is_known(task: EvaluationTask, domain: DomainName) -> bool:
    """Return whether the truth about a domain's images is known, and their contents whole."""
    multiple = task.translator.generators[DOMAINS.index(domain)].size_divisor
    return task.translator.reconstructs and all(
        isinstance(images, DrawnShoes) and not any(side % multiple for side in images.size)
        for images in (task.train_images(domain), task.test_images(domain))
    )


def _independence(task: EvaluationTask, domain: DomainName) -> Block:
    readings = drawn_independence(task, domain)
    lacking = " Line drawings have no colors to read off either." if domain == "a" else ""
    return Block(
        f"What the codes of domain {domain} tell",
        "How well the truth about images that were not trained on can be read off their codes by a "
        "linear map: 1 is perfectly. Each truth should be read off the code it belongs to, and off "
        "the other one no better than by chance. Networks without training let much of it through "
        f"to both, so what is not found says more than what is.{lacking}",
        ("truth", "measure", "belongs to", "content code", "style code", "chance"),
        [
            (name, measure, part, content, style, chance)
            for name, part, measure, content, style, chance in readings
        ],
        plot_readings(readings),
    )


def _against_prior(task: EvaluationTask, domain: DomainName) -> Block:
    encoded = encoded_styles(task, domain)
    n, dimensions = encoded.shape
    whitened = task.translator.generators[DOMAINS.index(domain)].arguments.get("whiten_styles")
    training = (
        "They are whitened by the training images' mean and covariance: what is left between the "
        "columns is how test images differ from those, and what no mean or covariance tells. What "
        "training did is in style/mean_* and style/var_* in the logs."
        if whitened
        else "Where training brought them to the prior, as it does at its optimum, both columns "
        "are alike."
    )
    drawn = random_styles(n, dimensions, task.seed, "against prior", domain)
    sets = encoded, drawn
    distances = torch.stack([ks_statistics(styles) for styles in sets], 1).tolist()
    return Block(
        f"Encoded styles of domain {domain} against N(0, I)",
        f"Styles of {n} test images beside as many random ones. {training} The Kolmogorov-Smirnov "
        "statistic is the largest distance between the two shares of values up to any; of random "
        f"sets 95 in 100 have less than {ks_bound(n):.2f}. A correlation shows that two dimensions "
        "share what they tell. The Wasserstein distance is that of the Gaussian fitted to the "
        "styles from N(0, I), squared.",
        ("measure", "encoded", "random"),
        [
            *((f"KS statistic, dimension {i}", *row) for i, row in enumerate(distances)),
            ("largest correlation of two dimensions", *map(largest_correlation, sets)),
            ("squared 2-Wasserstein distance", *map(squared_wasserstein, sets)),
        ],
        plot_style_histograms(encoded),
    )


def _there_and_back(task: EvaluationTask, direction: Direction) -> Block:
    translator, (source, target) = task.translator, direction
    images, where = task.test_images(source), ("there and back", str(direction))
    chosen = task.choose(len(images), min(_CYCLED, len(images)), *where)
    x = torch.stack([images.load(i, None) for i in chosen])
    dim = translator.style_dim(target)
    styles = torch.stack([random_styles(_STYLES, dim, task.seed, *where, i) for i in chosen])
    plain = []
    if translator.reconstructs:
        error = mean_absolute_error(translator.reconstruct(x, source), x).mean().item()
        plain = [("encoded and decoded, error of 255", error, 0.0)]
    cycled = style_augmented_cycle(translator, x, styles, source)
    read = recovered_styles(translator, x, styles, source)
    return Block(
        f"There and back: {source} → {target} → {source}",
        f"{len(x)} test images of domain {source}, each in {_STYLES} random styles of domain "
        f"{target}. At the optimum of training an image comes back as it was in its own style "
        "(style-augmented cycle consistency), and a style is read off the translation made with "
        "it. A style that is not read at all has a difference of about 0.80 and a correlation of "
        "about 0.",
        ("measure", "model", "optimum"),
        [
            *plain,
            ("there and back, error of 255", cycled.mean().item(), 0.0),
            ("style read back, mean difference", read.error.mean().item(), 0.0),
            *(
                (f"its correlation, dimension {i}", correlation, 1.0)
                for i, correlation in enumerate(read.correlation.tolist())
            ),
        ],
    )
