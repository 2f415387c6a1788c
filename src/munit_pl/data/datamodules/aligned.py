"""Both domains side by side in each file, as Isola et al. 2017 ("pix2pix") stored their pairs."""

from pathlib import Path

from munit_pl.checks import (
    Fraction,
    HeightWidth,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Seed,
    checked,
)
from munit_pl.data.datamodules.encoded import EncodedDomains
from munit_pl.data.domain import Split
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.bit_depth import MaxValue
from munit_pl.data.images.reading import Channels, Rgb
from munit_pl.data.listing import scan_folder
from munit_pl.data.sizes import Half


class AlignedDataModule(EncodedDomains):
    """One folder of images whose left half is of domain a and whose right half of domain b.

    The halves of a file are cut apart before they are resized. Equal indices of ``domains`` are
    the halves of one file, whether the batches are paired or not. Each folder is read with all its
    subfolders.

    Args:
        root: What the folders' paths start from.
        train: Folder of training images.
        test: Folder of test images; without such a folder, the training ones.
        reverse: The right half is of domain a and the left one of domain b.
        paired: Batches hold both halves of a file, cropped and mirrored alike; otherwise each
            domain has its own order, crops and flips, as in two folders of unpaired images.
        resize: Pixels of the shortest side of a half after resizing; None keeps the size.
        crop: Height and width that are cut out of each half, or one number for both: at random for
            training, from the center otherwise.
        flip: Mirror half of the training images.
        channels_a: Channels of domain a: 1 (gray), 3 (RGB) or 4 (with alpha).
        channels_b: Channels of domain b.
        background: What shows through transparent pixels, RGB in [0, 255].
        max_images: Use the first so many files.
        batch_size: Images of each domain in one process and iteration.
        num_workers: Processes that load images.
        seed: What order, crops and flips depend on.
        max_bad_fraction: Share of the files that may be unusable.
        timeout: Seconds to wait for a batch of stuck workers; 0 waits for ever.
        max_value_a: What is white in 16-bit gray files of domain a, 1 to 65535; "auto" is 2^n - 1
            of the fewest bits, 8 to 16, that hold the values of up to 64 of its training images.
        max_value_b: Of domain b.

    Raises:
        FileNotFoundError: If the training folder is missing.
        ValueError: If a folder holds no image of even width whose halves can hold the crop.
    """

    @checked
    def __init__(
        self,
        root: str | Path,
        train: str = "train",
        test: str = "val",
        reverse: bool = False,
        paired: bool = True,
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
            paired=paired,
            max_bad_fraction=max_bad_fraction,
            timeout=timeout,
        )
        self.root = Path(root)
        self.folders: dict[Split, str] = {"train": train, "test": test}
        self.reverse = reverse

    @property
    def has_pairs(self) -> bool:
        """There always are."""
        return True

    def make_domains(self, split: Split) -> tuple[ImageFolder, ImageFolder]:
        """List a split's files and skip those whose halves cannot be used."""
        folder = self.root / self.folders[split]
        if split == "test" and not folder.exists():
            folder = self.root / self.folders["train"]
        found = scan_folder(folder)
        halves: tuple[Half, Half] = ("right", "left") if self.reverse else ("left", "right")
        a = self.make_domain("a", found.images, found.bad, halves[0])
        a.check_sizes()  # b's halves are of the same size, and pairs need the same files
        b = self.make_domain("b", a.files, a.bad, halves[1])
        return a, b
