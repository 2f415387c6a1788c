"""Two folders of images as a LightningDataModule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

from munit_pl.checks import (
    Arguments,
    ArgumentsOf,
    Fraction,
    HeightWidth,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Seed,
    checked,
)
from munit_pl.data.datamodules.encoded import EncodedDomains
from munit_pl.data.domain import Domain, DomainName, Split
from munit_pl.data.file_identity import compare_files, files_of
from munit_pl.data.huggingface.rows import Rows
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.bit_depth import MaxValue
from munit_pl.data.images.reading import Channels, Rgb
from munit_pl.data.listing import scan_folder, scan_list
from munit_pl.data.masks import find_masks


class Lists(NamedTuple):
    """Text files below the root that name images of a folder; None reads the whole folder."""

    train_a: str | None = None
    train_b: str | None = None
    test_a: str | None = None
    test_b: str | None = None


class UnpairedDataModule(EncodedDomains):
    """Two folders of images, of which none belongs to any other.

    Each folder is read with all its subfolders, unless ``lists`` names the files to read.

    Args:
        root: What the folders' paths start from.
        train_a: Folder of training images of domain a.
        train_b: Training images of domain b.
        test_a: Test images of domain a; none given and no such folder, the training ones.
        test_b: Test images of domain b, likewise.
        lists: For any of the four folders a text file below ``root``, which names one image a line,
            relative to that folder.
        resize: Pixels of the shortest side after resizing; None keeps the size.
        crop: Height and width that are cut out, or one number for both: at random for training,
            from the center otherwise.
        flip: Mirror half of the training images.
        channels_a: Channels of domain a: 1 (gray), 3 (RGB) or 4 (with alpha).
        channels_b: Channels of domain b.
        background: What shows through transparent pixels, RGB in [0, 255].
        max_images: Use the first so many files of each domain.
        batch_size: Images of each domain in one process and iteration.
        num_workers: Processes that load images.
        seed: What order, crops and flips depend on.
        max_bad_fraction: Share of a domain's files that may be unusable.
        timeout: Seconds to wait for a batch of stuck workers; 0 waits for ever.
        allow_same_domain: Both domains may be the same images.
        masks: Batches hold masks as well, of the folders beside: see `find_masks`.
        max_value_a: What is white in 16-bit gray files of domain a, 1 to 65535; "auto" is 2^n - 1
            of the fewest bits, 8 to 16, that hold the values of up to 64 of its training images.
        max_value_b: Of domain b.

    Raises:
        FileNotFoundError: If a folder or list is missing.
        ValueError: If a domain is empty, too many of its images cannot be used, both domains are
            the same images, or so are a domain's training and test images though not by name; or
            if an image has no mask of its size.
    """

    @checked
    def __init__(
        self,
        root: str | Path,
        train_a: str = "trainA",
        train_b: str = "trainB",
        test_a: str = "testA",
        test_b: str = "testB",
        lists: Annotated[Arguments, ArgumentsOf(Lists)] = None,
        resize: PositiveInt | None = 256,
        crop: HeightWidth = (256, 256),
        flip: bool = True,
        channels_a: Channels = 3,
        channels_b: Channels = 3,
        background: Rgb = (255, 255, 255),
        max_images: PositiveInt | None = None,
        batch_size: PositiveInt = 1,
        num_workers: NonNegativeInt = 4,
        seed: Seed = 0,
        max_bad_fraction: Fraction = 0.01,
        timeout: NonNegativeFloat = 300,
        allow_same_domain: bool = False,
        masks: bool = False,
        max_value_a: MaxValue = "auto",
        max_value_b: MaxValue = "auto",
    ) -> None:
        super().__init__(
            resize,
            crop,
            flip,
            (channels_a, channels_b),
            background,
            max_images,
            (max_value_a, max_value_b),
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            max_bad_fraction=max_bad_fraction,
            timeout=timeout,
            masks=masks,
        )
        self.root = Path(root)
        self.folders = {"train_a": train_a, "train_b": train_b, "test_a": test_a, "test_b": test_b}
        self.lists: dict[str, str | None] = Lists(**lists or {})._asdict()
        self.allow_same_domain = allow_same_domain
        self._made: dict[str, ImageFolder] = {}

    def make_domains(self, split: Split) -> tuple[ImageFolder, ImageFolder]:
        """List both domains' images of a split and skip those that cannot hold the crop."""
        return self._make_domain(split, "a"), self._make_domain(split, "b")

    def check_domains(self, domains: Mapping[Split, tuple[Domain, Domain]]) -> None:
        """Refuse two domains that are the same images, unless that is wanted."""
        super().check_domains(domains)
        for split, (a, b) in domains.items():
            if not self.allow_same_domain:
                compare_files(
                    files_of(a),
                    files_of(b),
                    f"the {split} images of domains a and b",
                    "name two folders of different images, or set data.allow_same_domain=true",
                )

    def _make_domain(self, split: Split, domain: DomainName) -> ImageFolder:
        name = f"{split}_{domain}"
        absent = not (self.root / self.folders[name]).exists()
        if split == "test" and absent and not self.lists.get(name):
            name = f"train_{domain}"
        if name in self._made:
            return self._made[name]
        source, names = self.root / self.folders[name], self.lists.get(name)
        found = scan_list(self.root / names, source) if names else scan_folder(source)
        self._made[name] = folder = self.make_domain(domain, found.images, found.bad)
        folder.check_sizes()
        if self.masks and not isinstance(folder.files, Rows):
            masks = find_masks(folder.files, source)
            folder.masks = ImageFolder(masks, 1, self.resize, None, background=(0, 0, 0))
        return folder
