"""Heights and widths of images, before and after they are resized."""

MAX_ASPECT = 8  # resized to 256, an image of 4000x3 would become one of 87 million pixels


def is_too_long(size: tuple[int, int]) -> bool:
    """Return whether an image of a height and width is too long to be resized."""
    return max(size) > MAX_ASPECT * min(size)


def resized(size: tuple[int, int], shortest: int | None) -> tuple[int, int]:
    """Return an image's height and width after resizing, rounded as torchvision's resize does.

    Args:
        size: Height and width.
        shortest: Pixels of the shortest side afterwards; ``None`` keeps the size.
    """
    if shortest is None:
        return size
    height, width = size
    if height <= width:
        return shortest, int(shortest * width / height)
    return int(shortest * height / width), shortest


def by(size: tuple[int, int]) -> str:
    """Return a height and width as they are written in messages."""
    return f"{size[0]}x{size[1]}"
