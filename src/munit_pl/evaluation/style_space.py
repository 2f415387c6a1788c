"""A map of a domain's styles: the plane in which they differ most, and pictures at their places."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.images.tensors import to_pil_image
from munit_pl.evaluation.task import Direction, EvaluationTask
from munit_pl.inference.styles import random_styles

_MOST = 200  # styles of each kind on a map
_ACROSS = 11  # pictures that have room beside each other
_SIDE = 96  # pixels of a picture at most


class Moments(NamedTuple):
    """What N(0, I) has at 0 and 1 in each dimension.

    Attributes:
        mean: ``(S,)``.
        variance: ``(S,)``, the unbiased one.
    """

    mean: Tensor
    variance: Tensor


class Layer(NamedTuple):
    """Styles of one kind on a map.

    Attributes:
        points: Where they are, ``(N, 2)``.
        pictures: What some of them look like, by index, in RGB: as many as have room.
    """

    points: Tensor
    pictures: Mapping[int, Image.Image]


class StyleMap(NamedTuple):
    """A map of the target domain's styles.

    Attributes:
        direction: From the domain of the image that random styles are shown with.
        encoded: Real images at the places of their styles.
        sampled: One image's translations at the places of random styles.
        side: A picture's longer side, in units of the map.
        explained: Shares of the variance along the two axes.
        found: Mean and variance of each dimension of the encoded styles.
    """

    direction: Direction
    encoded: Layer
    sampled: Layer
    side: float
    explained: tuple[float, float]
    found: Moments


def map_styles(task: EvaluationTask, direction: Direction) -> StyleMap:
    """Encode test images of the target domain, and show a source image in as many random styles.

    Only translations that have room on the map are computed.
    """
    translator, (source, target) = task.translator, direction
    where = "style map", target
    images = task.test_images(target)
    codes, seen = [], []
    for i in task.choose(len(images), min(_MOST, len(images)), *where):
        x = images.load(i, None)
        codes.append(translator.encode_style(x[None], target))
        seen.append(_thumbnail(x))
    encoded = torch.cat(codes)
    sampled = random_styles(len(encoded), encoded.shape[1], task.seed, *where)
    real, drawn, explained = project(encoded, sampled)
    points = torch.cat([real, drawn])
    side = (points.amax(0) - points.amin(0)).max().item() / _ACROSS or 1.0
    content = task.test_images(source).load(0, None)[None]
    shown = thin_out(drawn, side)
    translations = translator.translate(content, sampled[shown], target)[0]
    return StyleMap(
        direction,
        Layer(real, {i: seen[i] for i in thin_out(real, side)}),
        Layer(drawn, {i: _thumbnail(y) for i, y in zip(shown, translations, strict=True)}),
        side,
        explained,
        moments(encoded),
    )


def _thumbnail(x: Tensor) -> Image.Image:
    picture = to_pil_image(x).convert("RGBA")
    picture.thumbnail((_SIDE, _SIDE))
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture).convert("RGB")


def project(encoded: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """Show encoded and sampled styles in the plane in which both together differ most.

    Principal component analysis of the two sets as one. An axis has no direction of its own; here
    it points the way in which its largest coefficient is positive, so that equal styles always
    give equal maps.

    Args:
        encoded: Styles of real images, ``(N, S)``.
        sampled: Styles drawn from the prior, ``(M, S)``.

    Returns:
        Points of the encoded styles ``(N, 2)`` and of the sampled ones ``(M, 2)``, float64, their
        common mean at the origin, and the shares of the variance that lie along the two axes. An
        axis along which nothing varies, such as the second of styles of one dimension, is 0.

    Raises:
        ValueError: If the styles are no two sets of one length of code, or there are none.
    """
    if encoded.ndim != 2 or sampled.ndim != 2 or encoded.shape[1] != sampled.shape[1]:
        raise ValueError(
            f"encoded and sampled styles must be (N, S) and (M, S), but are "
            f"{tuple(encoded.shape)} and {tuple(sampled.shape)}"
        )
    styles = torch.cat([encoded, sampled]).double()
    if not styles.numel():
        raise ValueError("there are no styles to show")
    centered = styles - styles.mean(0)
    _, lengths, axes = torch.linalg.svd(centered, full_matrices=False)
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    points = centered.new_zeros(len(styles), 2)
    shown = min(2, len(axes))
    points[:, :shown] = centered @ (axes * largest.sign())[:shown].T
    variances = points.square().sum(0)
    total = lengths.square().sum().clamp_min(torch.finfo(torch.float64).tiny)
    first, second = (variances / total).tolist()
    return points[: len(encoded)], points[len(encoded) :], (first, second)


def moments(styles: Tensor) -> Moments:
    """Return mean and variance of each dimension of styles ``(N, S)``, N at least 2, in float64."""
    variance, mean = torch.var_mean(styles.double(), 0)
    return Moments(mean, variance)


def thin_out(points: Tensor, apart: float) -> list[int]:
    """Choose points that have room for a picture each.

    Args:
        points: ``(N, 2)``. Earlier ones go first.
        apart: Side of a picture's square. None overlaps another.

    Returns:
        Indices into ``points``, ascending.
    """
    chosen: list[int] = []
    for i, point in enumerate(points):
        if all((point - points[j]).abs().max() >= apart for j in chosen):
            chosen.append(i)
    return chosen
