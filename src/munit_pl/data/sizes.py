"""Heights and widths of images, before and after they are resized."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

Half = Literal["left", "right"]  # of a file that holds two images side by side
Size = int | tuple[int, int]  # of the shortest side, or height and width

MAX_SIDE = 1 << 16  # pixels, of what a file may say of its images

MAX_ASPECT = 8  # resized to 256, an image of 4000x3 would become one of 87 million pixels


class ImageSize(NamedTuple):
    """How images are brought to size for training.

    Attributes:
        resize: Pixels of the shortest side after resizing; None keeps an image's size.
        crop: Height and width of what is then cut out.
    """

    resize: int | None
    crop: tuple[int, int]

    def as_plain(self) -> dict[str, Any]:
        """Return it as files hold it: ``{"resize": 64, "crop": [64, 64]}``."""
        return {"resize": self.resize, "crop": list(self.crop)}

    @classmethod
    def from_plain(cls, said: Any) -> "ImageSize | None":
        """Return what a file says, which may be untrusted; None if it says nothing.

        Raises:
            ValueError: If that is no size of images.
        """
        match said:
            case None:
                return None
            case {"resize": int() | None as resize, "crop": [int() as height, int() as width]}:
                sides = (height, width) if resize is None else (height, width, resize)
                if all(1 <= side <= MAX_SIDE for side in sides):
                    return cls(resize, (height, width))
        raise ValueError(f"its images' size is {str(said)[:100]!r}")

    def __str__(self) -> str:
        side = "any size" if self.resize is None else f"a shortest side of {self.resize} pixels"
        return f"images of {side}, cropped to {format_size(self.crop)}"


def is_too_long(size: tuple[int, int]) -> bool:
    """Return whether an image of a height and width is too long to be resized."""
    return max(size) > MAX_ASPECT * min(size)


def resized_size(size: tuple[int, int], shortest: int | None) -> tuple[int, int]:
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


def fitted_size(
    size: tuple[int, int],
    resize: int | None,
    crop: tuple[int, int] | None = None,
    half: Half | None = None,
) -> tuple[int, int]:
    """Return the height and width after resizing what is used of an image.

    Args:
        size: Height and width of the image.
        resize: Pixels of the shortest side afterwards; None keeps the size.
        crop: Height and width that must fit.
        half: Which half of the image is used; None uses all of it.

    Raises:
        ValueError: The image cannot be used; the message goes on where its name ends.
    """
    height, width = size
    if half is not None and width % 2:
        raise ValueError(
            f"is {format_size(size)} (height x width), but two images of equal width side by side "
            "have an even width: correct or remove it"
        )
    used = (height, width if half is None else width // 2)
    told = (
        f"is {format_size(used)}" if half is None else f"has a {half} half of {format_size(used)}"
    )
    told += " (height x width)"
    if resize is not None and is_too_long(used):
        raise ValueError(
            f"{told}, but one side may be {MAX_ASPECT} times the other at most for resizing: "
            "cut or remove it"
        )
    fitted = resized_size(used, resize)
    if crop is not None and (fitted[0] < crop[0] or fitted[1] < crop[1]):
        then = "" if fitted == used else f", resized {format_size(fitted)}"
        raise ValueError(
            f"{told}{then}, and cannot hold the crop {format_size(crop)}: set data.resize to "
            f"{max(crop)} or more, choose a smaller crop, or remove it"
        )
    return fitted


def format_size(size: tuple[int, int]) -> str:
    """Return a height and width as messages write them: ``256x512``."""
    return f"{size[0]}x{size[1]}"


def height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    """Return a size as height and width; a single number is both."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def check_crop(resize: int | None, crop: tuple[int, int] | None) -> None:
    """Refuse a crop that is larger than an image may be.

    Raises:
        ValueError: A side is below 1, or above the shortest side that images are resized to.
    """
    if crop is not None and min(crop) < 1:
        raise ValueError(f"crop is {format_size(crop)}, but both sides must be at least 1")
    if resize is not None and crop is not None and min(crop) > resize:
        raise ValueError(
            f"crop {format_size(crop)} does not fit an image whose shortest side is resized to "
            f"{resize}: set data.resize to {max(crop)} or more, or choose a smaller data.crop"
        )
