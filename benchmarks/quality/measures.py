"""What is measured of translations of a set's test images, against the truth."""

from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.quality.emoji_sets import read_shape
from benchmarks.quality.layout import Truth
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.metrics.drawn import body_color, color_error, color_spread, silhouette_iou
from munit_pl.metrics.drawn_edges import edge_f1
from munit_pl.metrics.efficientnet_lite0 import Lite0
from munit_pl.metrics.fid_kid_is import kernel_distance
from munit_pl.randomness import rng_for

SEED = 0  # of the random styles, which are the same for all runs
STYLES = 10
_BLACK = -0.5  # the mean channel, in [-1, 1], of outlines at most; the darkest tone's is -0.34
_COMPARED = 2  # translations of each image, for the kernel distance

Metrics = dict[str, float]


class Translations(NamedTuple):
    """Translations of ``N`` test images from a to b.

    Attributes:
        random: Under random styles, ``(N, S, 3, H, W)`` in [-1, 1].
        guided: In the style of an example of each version, ``(N, M, 3, H, W)``; None without.
    """

    random: Tensor
    guided: Tensor | None


def translate(translator: Translator, truth: Truth) -> Translations:
    """Translate the test images, each under random styles of its own, and under its examples."""
    dim = translator.style_dim("b")
    random = torch.cat(
        [
            translator.translate(x[None], random_styles(STYLES, dim, SEED, "quality", i))
            for i, x in enumerate(truth.x)
        ]
    )
    if truth.examples is None or not translator.reads_styles:
        return Translations(random, None)
    styles = translator.encode_style(truth.real, "b")[truth.examples]
    return Translations(random, translator.translate(truth.x, styles))


def perfect(truth: Truth) -> Translations:
    """Return what a perfect model would make: versions as often as domain b has them."""
    guided = None if truth.examples is None else truth.versions
    if truth.shares is None:
        return Translations(truth.versions, guided)
    n, rng = len(truth.x), rng_for(SEED, "perfect")
    chosen = torch.multinomial(truth.shares, n * STYLES, True, generator=rng).view(n, -1)
    random = torch.stack([y[k] for y, k in zip(truth.versions, chosen, strict=True)])
    return Translations(random, guided)


def expected_modes(shares: Tensor) -> float:
    """Return how many versions a perfect model reaches: in so few draws, not all."""
    return (1 - (1 - shares) ** STYLES).sum().item()


def measure(name: str, truth: Truth, shown: Translations) -> Metrics:
    """Return the metrics of colors and shapes that have a meaning for a set.

    Args:
        name: The set.
        truth: Its test images.
        shown: Their translations.

    Returns:
        "modes", how many versions are reached under random styles, and "share_distance", the total
        variation distance of how often they are to how often they should be; "nearest_error", the
        color error to the nearest version; "example_error", that to the example's version,
        "chance_error" to those of the other examples, "ignored_error" of random styles to the
        example's; "spread" of the colors of one image's translations, as a share of the versions';
        "shape", the silhouettes' intersection over union or the lines' F1 score. Colors are of 255.
    """
    distances = version_distances(name, shown.random, truth)
    metrics = {"shape": _shape(name, truth, shown.random, distances)}
    if truth.shares is not None:
        metrics |= _modes(distances, truth.shares)
    if name != "shoes":  # whose versions are not all that there is
        metrics["nearest_error"] = distances.amin(2).mean().item()
    if name != "designs":  # which has one version of each
        shares = truth.shares
        spread = color_spread(_colors(name, shown.random, truth))
        metrics["spread"] = (
            spread / _true_spread(_colors(name, truth.versions, truth), shares)
        ).item()
    if shown.guided is not None:
        metrics |= _examples(version_distances(name, shown.guided, truth))
        metrics["ignored_error"] = distances.mean().item()
    return metrics


@torch.no_grad()
def measure_kernel_distance(truth: Truth, y: Tensor, lite0: Lite0) -> float:
    """Return the kernel distance of translations to the test images of b.

    Args:
        truth: The test images.
        y: Their translations under random styles, ``(N, S, 3, H, W)`` in [-1, 1].
        lite0: The network whose features are compared.
    """
    features = [
        torch.cat([lite0(x) for x in images.split(8)])
        for images in (truth.real, y[:, :_COMPARED].flatten(0, 1))
    ]
    return kernel_distance(*features, min(100, *(len(x) for x in features)), SEED).item()


def version_distances(name: str, y: Tensor, truth: Truth) -> Tensor:
    """Return how far translations are from each version, ``(N, S, M)`` in [0, 255].

    It is the mean absolute difference of their colors, as of `_colors`, for drawn shoes; of the
    pixels in the region for pictures, which have several colors there.

    Args:
        name: The set.
        y: Translations, ``(N, S, 3, H, W)`` in [-1, 1].
        truth: The test images.
    """
    if name in ("shoes", "five"):
        return _color_distances(_colors(name, y, truth), _colors(name, truth.versions, truth))
    each = []
    for shown, versions, region in zip(y, truth.versions, truth.regions, strict=True):
        difference = shown[:, None, :, region] - versions[None, :, :, region]
        each.append(difference.abs().mean((2, 3)) * 127.5)
    return torch.stack(each)


def _colors(name: str, y: Tensor, truth: Truth) -> Tensor:
    """Return translations' mean colors in the region, medians in `five`: ``(N, S, 3)``."""
    if name == "five":
        each = [x[..., r].median(-1).values for x, r in zip(y, truth.regions, strict=True)]
        return (torch.stack(each) + 1) * 127.5
    regions = truth.regions.repeat_interleave(y.shape[1], 0)
    return body_color(y.flatten(0, 1), regions).view(*y.shape[:2], 3)


def _true_spread(colors: Tensor, shares: Tensor | None) -> Tensor:
    """Return `color_spread` of a perfect model; versions without shares are a sample of many."""
    if shares is None:
        return color_spread(colors)
    weights = shares[:, None]
    mean = (weights * colors).sum(1, keepdim=True)
    return (weights * (colors - mean) ** 2).sum((1, 2)).mean().sqrt()


def _color_distances(colors: Tensor, versions: Tensor) -> Tensor:
    s, m = colors.shape[1], versions.shape[1]
    pairs = colors[:, :, None].expand(-1, -1, m, -1), versions[:, None].expand(-1, s, -1, -1)
    return color_error(*(x.flatten(0, 2) for x in pairs)).view(-1, s, m)


def _modes(distances: Tensor, shares: Tensor) -> Metrics:
    nearest = torch.nn.functional.one_hot(distances.argmin(2), len(shares))
    shown = nearest.flatten(0, 1).double().mean(0)
    return {
        "modes": nearest.amax(1).sum(1).double().mean().item(),
        "share_distance": (shown - shares).abs().sum().item() / 2,
    }


def _examples(distances: Tensor) -> Metrics:
    m = distances.shape[2]
    own = distances.diagonal(dim1=1, dim2=2).mean()
    return {
        "example_error": own.item(),
        "chance_error": ((distances.mean() * m - own) / (m - 1)).item(),
    }


def _shape(name: str, truth: Truth, y: Tensor, distances: Tensor) -> float:
    s, flat = y.shape[1], y.flatten(0, 1)
    if name == "tones":
        nearest = distances.argmin(2)
        versions = torch.stack([v[k] for v, k in zip(truth.versions, nearest, strict=True)])
        # So that ink, in `edge_f1`, is what is black, and no fill.
        lighter = 0.18 - _BLACK
        return edge_f1(flat + lighter, versions.flatten(0, 1) + lighter).mean().item()
    shapes = truth.shapes.repeat_interleave(s, 0)
    if name == "designs":
        read = read_shape(flat)
        overlap = (read & shapes).sum((1, 2)) / (read | shapes).sum((1, 2))
        return overlap.mean().item()
    return silhouette_iou(flat, shapes).mean().item()
