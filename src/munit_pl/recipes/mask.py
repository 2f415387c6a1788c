"""Regions that translations must leave as they are."""

from torch import Tensor

from munit_pl.layers.autocast import to_float32


def background_l1(x: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """Return how far translations differ from their sources where these must not change.

    The context-preserving loss of Mo et al., "InstaGAN: Instance-aware Image-to-Image Translation",
    ICLR 2019, weighted by the source's mask alone: translations have no masks here.

    It is a mean over all pixels. A mean over those outside would have no value where a mask is
    white all over, would pull at few pixels as hard as at many, and would depend on how a batch is
    split into parts.

    Args:
        x: Translations, ``(N, C, H, W)``.
        source: The images that were translated, ``(N, C, H, W)``.
        mask: Of each of these ``(N, 1, H, W)``: 1 where it may change, 0 where it must not.

    Returns:
        A scalar, at least 0; under masks that are 0 all over it is the mean absolute difference.
    """
    return ((1 - to_float32(mask)) * (to_float32(x) - to_float32(source)).abs()).mean()
