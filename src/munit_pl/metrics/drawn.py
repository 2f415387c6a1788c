"""Metrics of translations between line drawings and colored shoes, against ground truth.

No network takes part: the shape is read off a picture because no part of a drawn shoe is as light
as its white ground, the color because the truth says which pixels carry it. What a colored shoe's
line drawing should be is known outright.
"""

from collections.abc import Callable
from inspect import signature
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from munit_pl.metrics.drawn_edges import edge_f1
from munit_pl.metrics.energy_distance import energy_distance

Values = TypeVar("Values")

# The smallest channel, in [-1, 1]. A pixel half shoe, half ground lies between 0 and 0.53.
_GROUND = 0.3


def silhouette(x: Tensor) -> Tensor:
    """Read the shoe's shape off colored pictures.

    A pixel belongs to the shoe if its smallest channel is below 0.3. The ground's is 1, that of
    bodies and soles at most 0.05. On real pictures of 64 by 64 the masks so read and the true ones
    have a mean intersection over union of 0.99.

    Args:
        x: Pictures, ``(N, 3, H, W)`` in [-1, 1].

    Returns:
        Masks, bool ``(N, H, W)``.
    """
    return x.amin(1) < _GROUND


def silhouette_iou(x: Tensor, mask: Tensor) -> Tensor:
    """Return the intersection over union of the pictures' silhouettes with the true ones.

    Args:
        x: Pictures, ``(N, 3, H, W)`` in [-1, 1].
        mask: True silhouettes, none of them empty, bool ``(N, H, W)``.

    Returns:
        ``(N,)`` in [0, 1]; 1 means that the shape was kept to the pixel.
    """
    read = silhouette(x)
    return (read & mask).sum((1, 2)) / (read | mask).sum((1, 2))


def body_color(x: Tensor, upper_mask: Tensor) -> Tensor:
    """Return the mean color over each picture's upper.

    Shading and seams are part of the mean, so a translation's target is this same measure of the
    picture whose style it was given, not that shoe's body color.

    Args:
        x: Pictures, ``(N, 3, H, W)`` in [-1, 1].
        upper_mask: Where the true upper lies, none of them empty, bool ``(N, H, W)``.

    Returns:
        RGB, ``(N, 3)`` in [0, 255].
    """
    weight = upper_mask[:, None].to(x.dtype)
    mean = (x * weight).sum((2, 3)) / weight.sum((2, 3))
    return (mean + 1) * 127.5


def color_error(color: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of the channels, ``(N,)`` in [0, 255].

    Args:
        color: RGB, ``(N, 3)`` in [0, 255].
        target: What it should be, the same shape and range.
    """
    return (color - target).abs().mean(1)


def chance_error(followed: Tensor, examples: Tensor) -> float:
    """Return the mean `color_error` against the other examples: what ignoring the example gives.

    Args:
        followed: Colors of translations in the style of an example each, ``(N, 3)`` in [0, 255].
        examples: Their examples' colors, the same shape and range; at least 2.
    """
    others = [color_error(followed, examples.roll(i, 0)).mean() for i in range(1, len(examples))]
    return torch.stack(others).mean().item()


def color_spread(colors: Tensor) -> Tensor:
    """Return how far colors lie apart: the root of the channels' summed variances.

    Translations of one shape under many styles should spread as far as the real set does, so the
    ratio of the two spreads measures variety.

    Args:
        colors: RGB in [0, 255]; one set ``(M, 3)``, or ``K`` colors of each of ``N`` shapes,
            ``(N, K, 3)``. The variance is unbiased, over ``M`` or ``K``, at least 2.

    Returns:
        A scalar, in the colors' unit. The summed variance is averaged over the ``N`` shapes
        before the root, so equally varied shapes give the same spread alone and together.
    """
    return colors.var(-2).sum(-1).mean().sqrt()


def mean_absolute_error(x: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute difference of each picture's values, ``(N,)`` in [0, 255].

    Args:
        x: Pictures, ``(N, C, H, W)`` in [-1, 1].
        truth: What they should be, the same shape and range.
    """
    return (x - truth).abs().mean((1, 2, 3)) * 127.5


class DrawnA2B(NamedTuple):
    """How good translations from line drawings to colored shoes are.

    64 test shoes of 64 by 64, painted by the ground-truth renderer in the colors of others, come to
    0.99, 0.8, 71, 0.97, 3.0 and 0; all white translations to 0, 157, 157, 0, 438 and 22; copied
    drawings to 0.33, 118, 118, 0, 310 and 0.

    Attributes:
        silhouette_iou: Mean intersection over union of the translations' silhouettes with the
            drawn shapes, in [0, 1].
        guided_error: Mean body color error of example-guided translations, in [0, 255].
        chance_error: The same against the colors of the other examples: what ignoring the
            example gives.
        color_spread: Spread of body colors over random styles for the same shape, as a share of
            the real set's.
        color_energy: Energy distance of the translations' body colors under random styles to
            the examples' real ones, in [0, 255] units: the distance itself, not its root. It is
            blind to whether each shape has all colors or each its own, which the spread shows.
        cycle_error: Mean absolute difference of the drawings and their translations to b and
            back, in [0, 255]. A translator that changes nothing has none either.
    """

    silhouette_iou: float
    guided_error: float
    chance_error: float
    color_spread: float
    color_energy: float
    cycle_error: float


def drawn_a2b(
    translations: Tensor,
    guided: Tensor,
    cycled: Tensor,
    drawings: Tensor,
    silhouettes: Tensor,
    uppers: Tensor,
    examples: Tensor,
    example_uppers: Tensor,
) -> DrawnA2B:
    """Measure translations of ``N`` drawings, under ``K`` random styles and under examples.

    Args:
        translations: Under random styles, ``(N, K, 3, H, W)`` in [-1, 1].
        guided: Drawing ``i`` in the style of example ``i``, ``(N, 3, H, W)``.
        cycled: The drawings translated to b under some style and back under their own,
            ``(N, 3, H, W)``.
        drawings: The line drawings, ``(N, 3, H, W)``.
        silhouettes: Their shoes' true silhouettes, bool ``(N, H, W)``.
        uppers: Where their shoes' uppers lie, bool ``(N, H, W)``.
        examples: Colored shoes, ``(N, 3, H, W)``, at least 2.
        example_uppers: Where the examples' uppers lie, bool ``(N, H, W)``.
    """
    k = translations.shape[1]
    flat = translations.flatten(0, 1)
    iou = silhouette_iou(flat, silhouettes.repeat_interleave(k, 0))
    colors = body_color(flat, uppers.repeat_interleave(k, 0))
    real, followed = body_color(examples, example_uppers), body_color(guided, uppers)
    return DrawnA2B(
        silhouette_iou=iou.mean().item(),
        guided_error=color_error(followed, real).mean().item(),
        chance_error=chance_error(followed, real),
        color_spread=(color_spread(colors.view(-1, k, 3)) / color_spread(real)).item(),
        color_energy=energy_distance(colors, real).item(),
        cycle_error=mean_absolute_error(cycled, drawings).mean().item(),
    )


class DrawnB2A(NamedTuple):
    """How good translations from colored shoes to line drawings are.

    On 64 test shoes of 64 by 64, the true drawings have 1 and 0, all white translations 0 and 21,
    copied pictures 0.47 and 37, the drawings of other shoes 0.19 and 34.

    Attributes:
        edge_f1: Mean F1 score of the translations' ink against the true drawings', pixel by
            pixel, in [0, 1].
        paired_error: Mean absolute difference of the translations and the true drawings of the
            same shoes, in [0, 255].
    """

    edge_f1: float
    paired_error: float


def drawn_b2a(translations: Tensor, truths: Tensor) -> DrawnB2A:
    """Measure translations of ``N`` colored shoes.

    Args:
        translations: Line drawings made of them, ``(N, 3, H, W)`` in [-1, 1].
        truths: The true line drawings of the same shoes, the same shape and range.
    """
    return DrawnB2A(
        edge_f1=edge_f1(translations, truths).mean().item(),
        paired_error=mean_absolute_error(translations, truths).mean().item(),
    )


class DrawnMetric(Metric, Generic[Values]):
    """`drawn_a2b` or `drawn_b2a` over all batches and processes.

    Args:
        measure: Which of the two. Its arguments are those of ``update``.
    """

    full_state_update = False

    def __init__(self, measure: Callable[..., Values]) -> None:
        super().__init__()
        self.measure = measure
        self.arguments = tuple(signature(measure).parameters)
        for name in self.arguments:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, *tensors: Tensor) -> None:
        """Add the tensors of ``N`` inputs, in the order of the function's arguments."""
        for name, tensor in zip(self.arguments, tensors, strict=True):
            getattr(self, name).append(tensor.to(self.device))

    def compute(self) -> Values:
        """Return the metrics over all inputs so far."""
        return self.measure(**{name: dim_zero_cat(getattr(self, name)) for name in self.arguments})
