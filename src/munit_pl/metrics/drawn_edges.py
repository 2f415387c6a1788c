"""The F1 score of line drawings' ink against that of the true drawings."""

import torch.nn.functional as F
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


def edge_f1(x: Tensor, truth: Tensor, tolerance: int = 0) -> Tensor:
    """Return the F1 score of the drawings' ink against the true drawings'.

    Precision is the share of ink that lies near true ink, recall the share of true ink that lies
    near ink; F1 is their harmonic mean.

    Args:
        x: Line drawings, ``(N, C, H, W)`` in [-1, 1].
        truth: The true ones, the same shape and range.
        tolerance: How many pixels away is still near, along rows, columns and diagonals alike. On
            a picture of 64 by 64, where lines are one to two pixels wide, most of a shoe lies
            within one pixel of a line.

    Returns:
        ``(N,)`` in [0, 1]; 1 means that all ink of either has some of the other's near, 0 that
        none has, or that one of the two has no ink.

    Raises:
        ValueError: If the tolerance is negative.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance is {tolerance}, but must be at least 0")
    drawn, true = ink(x), ink(truth)
    precision, recall = _share_near(drawn, true, tolerance), _share_near(true, drawn, tolerance)
    # 0 / 0, thus NaN, where there is no ink or none of it is near the other's.
    return (2 * precision * recall / (precision + recall)).nan_to_num()


def _share_near(mask: Tensor, other: Tensor, tolerance: int) -> Tensor:
    """Return the share of a mask's pixels within ``tolerance`` of another's; NaN if it is empty."""
    near = F.max_pool2d(other.float(), 2 * tolerance + 1, stride=1, padding=tolerance) > 0
    return (mask & near).sum((1, 2)) / mask.sum((1, 2))
