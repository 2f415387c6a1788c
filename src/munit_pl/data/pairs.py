"""Pairs of images that lie apart, such as those of two columns of a table."""

import copy

from munit_pl.data.image_folder import ImageFolder


def make_pairs(a: ImageFolder, b: ImageFolder) -> None:
    """Have the images of two folders that stand at equal places read as pairs.

    Both are cropped and mirrored alike, where both have contrast in color, whatever their channels.
    What cannot be used is left out together with its partner.

    Args:
        a: Images of domain a.
        b: As many of domain b.

    Raises:
        ValueError: No pair is left.
    """
    misfits = a.find_misfits(), b.find_misfits()
    for folder, own, other in ((a, *misfits), (b, *misfits[::-1])):
        partners = {place: f"has a partner that {fault}" for place, fault in other.items()}
        folder.leave_out(partners | own)
    a.pair = b.pair = _in_color(a), _in_color(b)


def _in_color(folder: ImageFolder) -> ImageFolder:
    if folder.channels == 3:
        return folder
    colored = copy.copy(folder)
    colored.channels = 3
    return colored
