"""The F1 score of line drawings' ink against that of the true drawings."""

from torch import Tensor

# The mean channel, in [-1, 1]. Edges of lines are gray, and half coverage is their commonest gray:
# mid-gray would cut right through it, and the least error of a translation would turn such pixels
# over. 0.18 lies halfway between the next two grays, those of 7 and 6 sixteenths, which are rare.
_INK = 0.18


def ink(x: Tensor) -> Tensor:
    """Read the dark pixels off line drawings.

    A pixel is ink if the mean of its channels is below 0.18; on true drawings, if lines cover at
    least 7 sixteenths of it. There all lines stay whole, an error of 0.05 of any pixel changes
    nothing, and no pixel that a line touches is more than one pixel away from ink.

    Args:
        x: Line drawings, ``(N, C, H, W)`` in [-1, 1].

    Returns:
        Masks, bool ``(N, H, W)``.
    """
    return x.mean(1) < _INK


def edge_f1(x: Tensor, truth: Tensor) -> Tensor:
    """Return the F1 score of the drawings' ink against the true drawings', pixel by pixel.

    Precision is the share of ink that is true ink, recall the share of true ink that is ink; F1 is
    their harmonic mean.

    Args:
        x: Line drawings, ``(N, C, H, W)`` in [-1, 1].
        truth: The true ones, the same shape and range.

    Returns:
        ``(N,)`` in [0, 1]; 1 means that both have the same ink, 0 that they share none, or have
        none.
    """
    drawn, true = ink(x), ink(truth)
    both = (drawn & true).sum((1, 2))
    return (2 * both / (drawn.sum((1, 2)) + true.sum((1, 2)))).nan_to_num()  # 0 / 0 without ink
