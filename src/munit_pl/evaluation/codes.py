"""Analysis of content and style codes: linear probes, cycle consistency, recovered styles."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from munit_pl.data.domain import Domain, DomainName
from munit_pl.data.drawn.dataset import DrawnShoes, Truth
from munit_pl.data.drawn.shoes import KINDS
from munit_pl.evaluation.latent import (
    correlations,
    linear_probe,
    linear_probe_accuracy,
    principal_components,
)
from munit_pl.evaluation.task import EvaluationTask
from munit_pl.inference.translator import Translator
from munit_pl.metrics.drawn import mean_absolute_error

_MOST = 200  # images that are encoded
_BATCH = 16
_GRID = 4  # places across and down that remain of a content map
_COMPONENTS = 64  # numbers that remain of a content code


class Reading(NamedTuple):
    """How well one truth about drawn shoes can be read off their codes.

    Attributes:
        truth: What is read.
        part: The code that should tell it.
        measure: R^2 of a linear regression, or the accuracy of a linear classifier.
        content: Read off the content code.
        style: Read off the style code.
        chance: What a reading that knows nothing comes to.
    """

    truth: str
    part: Literal["content", "style"]
    measure: Literal["R²", "accuracy"]
    content: float
    style: float
    chance: float


class Recovered(NamedTuple):
    """How styles that were given are read off the images made with them.

    Attributes:
        error: Mean absolute difference per dimension, ``(S,)``; 0 at the optimum.
        correlation: Correlation per dimension, ``(S,)``; 1 at the optimum.
    """

    error: Tensor
    correlation: Tensor


def drawn_independence(task: EvaluationTask, domain: DomainName) -> list[Reading]:
    """Read the truth about drawn shoes off their style codes and off their content codes.

    Linear probes, see `linear_probe`, fitted to the first 200 training images and tried on the
    first 200 test images. A content map is averaged to 4 x 4 places, and of these numbers the first
    64 principal components of the training images remain. Ideally, of colored shoes (domain b),
    style tells colors and not the shape, content the shape and no colors; line drawings (domain
    a) have no colors to tell.

    The height of a shoe's silhouette is read, but not its width: nearly all fill the picture's.
    Neither are laces, which a heel does not show. Height of collar, toe, sole and opening are
    shares of the range of the shoe's kind.

    Raises:
        ValueError: If the images are no drawn shoes, or no 2 of them for training.
    """
    truths = [_truths(images) for images in (task.train_images(domain), task.test_images(domain))]
    encode = task.translator.encode_style, task.translator.encode_content
    styles, maps = ([_encode(part, code, domain) for part in truths] for code in encode)
    contents = principal_components(maps[0], maps[1], _COMPONENTS)
    numbers = [_read(part, _NUMBERS) for part in truths]
    by_content, by_style = (
        linear_probe(codes[0], numbers[0], codes[1], numbers[1]).tolist()
        for codes in (contents, styles)
    )
    readings = [
        Reading(name, "style" if name in _COLORS else "content", "R²", content, style, 0.0)
        for name, content, style in zip(_NUMBERS, by_content, by_style, strict=True)
    ]
    for name, one in _CLASSES.items():
        labels, test_labels = (_read(part, {name: one})[:, 0].long() for part in truths)
        content, style = (
            linear_probe_accuracy(codes[0], labels, codes[1], test_labels)
            for codes in (contents, styles)
        )
        chance = test_labels.bincount().max().item() / len(test_labels)
        readings.append(Reading(name, "content", "accuracy", content, style, chance))
    return readings


def style_augmented_cycle(
    translator: Translator, x: Tensor, styles: Tensor, source: DomainName
) -> Tensor:
    """Return how far images come back from the other domain changed.

    An image is shown in styles of the other domain, and the content of what comes out in the
    image's own style. Where the model's losses are at their optimum, translation with the style on
    both sides is one to one, and the image comes back as it was: the style-augmented cycle
    consistency of Huang et al. (2018), which they prove and impose by no loss.

    Args:
        translator: The model.
        x: Images of ``source``, ``(N, C, H, W)`` in [-1, 1].
        styles: Styles of the other domain, ``(K, S)``, the same for all images, or ``(N, K, S)``.
        source: The images' domain.

    Returns:
        Mean absolute difference over each image's values and its styles, ``(N,)`` in [0, 255].
    """
    there = translator.translate(x, styles, _other(source))
    own = translator.encode_style(x, source)
    k = there.shape[1]
    back = translator.translate(there.flatten(0, 1), own.repeat_interleave(k, 0)[:, None], source)[
        :, 0
    ]
    return mean_absolute_error(back, x.repeat_interleave(k, 0)).view(-1, k).mean(1)


def recovered_styles(
    translator: Translator, x: Tensor, styles: Tensor, source: DomainName
) -> Recovered:
    """Compare styles with those that are encoded from the translations made with them.

    The encoder of styles is the decoder's inverse at the optimum of the model's losses, among which
    is the difference measured here. A style of a standard normal distribution that is not read at
    all, but taken for its mean, is off by sqrt(2 / pi), about 0.80.

    Args:
        translator: The model.
        x: Images of ``source``, ``(N, C, H, W)`` in [-1, 1].
        styles: Styles of the other domain, ``(N, K, S)``.
        source: The images' domain.
    """
    target = _other(source)
    there = translator.translate(x, styles, target)
    given = styles.flatten(0, 1).double()
    read = translator.encode_style(there.flatten(0, 1), target).double()
    return Recovered((read - given).abs().mean(0), correlations(read, given))


def encoded_styles(task: EvaluationTask, domain: DomainName) -> Tensor:
    """Return the styles ``(N, S)`` of at most 200 test images, chosen at random."""
    images = task.test_images(domain)
    chosen = task.choose(len(images), min(_MOST, len(images)), "codes", domain)
    encode = task.translator.encode_style
    return torch.cat([encode(images.load(i, None)[None], domain) for i in chosen])


def _truths(images: Domain) -> list[Truth]:
    if not isinstance(images, DrawnShoes):
        raise ValueError("what codes tell is known for drawn shoes only (data=drawn)")
    return [images.truth(i) for i in range(min(_MOST, len(images)))]


def _encode(
    truths: Sequence[Truth], encode: Callable[[Tensor, DomainName], Tensor], domain: DomainName
) -> Tensor:
    """Return codes of one domain's pictures, ``(N, D)``."""
    pictures = torch.stack([truth.x_a if domain == "a" else truth.x_b for truth in truths])
    return torch.cat([_flat(encode(x, domain)) for x in torch.split(pictures, _BATCH)])


def _flat(codes: Tensor) -> Tensor:
    """Return codes as ``(N, D)``, maps averaged to few places."""
    return (F.adaptive_avg_pool2d(codes, _GRID) if codes.ndim == 4 else codes).flatten(1)


def _read(truths: Sequence[Truth], what: Mapping[str, Callable[[Truth], float]]) -> Tensor:
    """Return values of the truth, ``(N, len(what))``."""
    return torch.tensor(
        [[one(truth) for one in what.values()] for truth in truths], dtype=torch.float64
    )


def _other(domain: DomainName) -> DomainName:
    return "b" if domain == "a" else "a"


_COLORS: Mapping[str, Callable[[Truth], float]] = {
    "body, red": lambda truth: truth.shoe.body[0],
    "body, green": lambda truth: truth.shoe.body[1],
    "body, blue": lambda truth: truth.shoe.body[2],
    "sole, red": lambda truth: truth.shoe.sole[0],
    "sole, green": lambda truth: truth.shoe.sole[1],
    "sole, blue": lambda truth: truth.shoe.sole[2],
}
_SHAPES: Mapping[str, Callable[[Truth], float]] = {
    "area of the silhouette": lambda truth: truth.silhouette.double().mean().item(),
    "height of the silhouette": lambda truth: truth.silhouette.any(1).double().mean().item(),
    "height of the collar": lambda truth: truth.shoe.height,
    "height of the toe": lambda truth: truth.shoe.toe,
    "thickness of the sole": lambda truth: truth.shoe.sole_height,
    "width of the opening": lambda truth: truth.shoe.opening,
}
_NUMBERS = {**_COLORS, **_SHAPES}
_CLASSES: Mapping[str, Callable[[Truth], float]] = {
    "kind of shoe": lambda truth: KINDS.index(truth.shoe.kind),
    "way it faces": lambda truth: truth.shoe.faces_left,
}
