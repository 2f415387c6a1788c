"""The base of the data modules whose images are encoded, in files or in rows of a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from munit_pl.checks import HeightWidth, PositiveInt
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.domain import DomainName
from munit_pl.data.huggingface.rows import Rows
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.bit_depth import MaxValue
from munit_pl.data.images.reading import Channels, Color, Rgb
from munit_pl.data.sizes import Half, check_crop, height_and_width


class EncodedDomains(TwoDomains):
    """How images are made of files, or of rows; a subclass finds them.

    Args:
        resize: Pixels of the shortest side after resizing; None keeps the size.
        crop: Height and width that are cut out, or one number for both.
        flip: Mirror half of the training images.
        channels: Of each domain's images: 1 (gray), 3 (RGB) or 4 (with alpha).
        background: What shows through transparent pixels, RGB in [0, 255].
        max_images: Use the first so many images of each domain.
        max_values: What is white in each domain's 16-bit gray files, 1 to 65535, or "auto".
        **loading: As of `TwoDomains`.
    """

    def __init__(
        self,
        resize: PositiveInt | None,
        crop: HeightWidth,
        flip: bool,
        channels: tuple[Channels, Channels],
        background: Rgb,
        max_images: PositiveInt | None,
        max_values: tuple[MaxValue, MaxValue],
        **loading: Any,
    ) -> None:
        super().__init__(height_and_width(crop), **loading)
        check_crop(resize, self.size)
        self.resize = resize
        self.flip = flip
        self.channels = {"a": channels[0], "b": channels[1]}
        self.max_values = {"a": max_values[0], "b": max_values[1]}
        red, green, blue = background
        self.background: Color = (red, green, blue)
        self.max_images = max_images

    def make_domain(
        self,
        domain: DomainName,
        files: Sequence[Path] | Rows,
        bad: Mapping[Any, str] | None = None,
        half: Half | None = None,
    ) -> ImageFolder:
        """Return a domain of files or rows; its arguments are those of `ImageFolder`."""
        return ImageFolder(
            files,
            self.channels[domain],
            self.resize,
            self.size,
            self.flip,
            self.background,
            self.max_images,
            half,
            bad,
            self.max_value(domain, files),
        )
