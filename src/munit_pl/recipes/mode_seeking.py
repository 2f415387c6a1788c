"""Mode seeking: translations that differ as much as their styles do."""

from torch import Tensor

from munit_pl.layers.autocast import to_float32


def mode_seeking(x: Tensor, y: Tensor, z: Tensor, w: Tensor) -> Tensor:
    """Return how little two translations of an image differ for how much their styles do.

    The regularization of Mao et al., "Mode Seeking Generative Adversarial Networks for Diverse
    Image Synthesis", CVPR 2019, section 3.2: the ratio of the images' mean absolute difference to
    the styles', which they maximize and this negates.

    Args:
        x: Translations, ``(N, C, H, W)``.
        y: Translations of the same images under other styles.
        z: The styles of ``x``, ``(N, style_dim)``.
        w: The styles of ``y``.

    Returns:
        A scalar, 0 or less.
    """
    images = (to_float32(x) - to_float32(y)).abs().flatten(1).mean(1)
    styles = (to_float32(z) - to_float32(w)).abs().mean(1)
    return -(images / styles).mean()
