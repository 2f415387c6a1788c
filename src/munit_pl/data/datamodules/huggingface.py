"""A data set of Hugging Face's hub, or a file of such, as a LightningDataModule."""

import logging
from functools import cached_property
from typing import Annotated

from lightning.pytorch.utilities import rank_zero_only

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
from munit_pl.data.domain import DomainName, Split
from munit_pl.data.huggingface.finding import (
    Selection,
    Selections,
    check_pairs,
    find_domains,
    image_column_of,
    rows_of,
)
from munit_pl.data.huggingface.opening import OpenedSet, open_set, require_datasets
from munit_pl.data.huggingface.rows import Rows
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.bit_depth import MaxValue
from munit_pl.data.images.reading import Channels, Rgb
from munit_pl.data.pairs import make_pairs

_log = logging.getLogger(__name__)


class HuggingFaceDataModule(EncodedDomains):
    """Images of a set that Hugging Face's `datasets` opens; none belongs to any other.

    The tables stay on disk, and images are decoded as those of folders are. Which rows and columns
    are domains a and b is found where it is clear: `find_domains` says when.

    Args:
        path: A set of the hub, "USER/SET", which is fetched into the cache of `datasets`; or a
            folder that `save_to_disk` wrote, a parquet file, a tar shard as WebDataset has them, or
            a folder of these.
        revision: Branch, tag or commit of the hub's set.
        domain_a: Which of the set's images are domain a, as far as it is not clear: a `Selection`.
        domain_b: Likewise of domain b.
        label_column: Column of the labels that selections name.
        paired: The images of a row are a pair, in two columns: batches hold both, cropped and
            mirrored alike. Otherwise each domain has its own order, crops and flips.
        resize: Pixels of the shortest side after resizing; None keeps the size.
        crop: Height and width that are cut out, or one number for both: at random for training,
            from the center otherwise.
        flip: Mirror half of the training images.
        channels_a: Channels of domain a: 1 (gray), 3 (RGB) or 4 (with alpha).
        channels_b: Channels of domain b.
        background: What shows through transparent pixels, RGB in [0, 255].
        max_images: Use the first so many images of each domain.
        batch_size: Images of each domain in one process and iteration.
        num_workers: Processes that load images.
        seed: What order, crops and flips depend on.
        max_bad_fraction: Share of a domain's images that may be unusable.
        timeout: Seconds to wait for a batch of stuck workers; 0 waits for ever.
        max_value_a: What is white in 16-bit gray images of domain a, 1 to 65535; "auto" is 2^n - 1
            of the fewest bits, 8 to 16, that hold the values of up to 64 of its training images.
        max_value_b: Of domain b.

    Raises:
        ImportError: If `datasets` is not installed.
        OSError: If there is no such set, here or on the hub.
        ValueError: If the set cannot be opened, it is not clear which images are meant, they are
            no pairs, a domain is empty or too many of its images cannot be used.
    """

    @checked
    def __init__(
        self,
        path: str,
        revision: str | None = None,
        domain_a: Annotated[Arguments, ArgumentsOf(Selection)] = None,
        domain_b: Annotated[Arguments, ArgumentsOf(Selection)] = None,
        label_column: str | None = None,
        paired: bool = False,
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
        self.named = Selection(**domain_a or {}), Selection(**domain_b or {})
        masks = [selection.mask is not None for selection in self.named]
        if any(masks) and not all(masks):
            raise ValueError("name a column of masks for both domains, or for none")
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
            masks=all(masks),
        )
        require_datasets()
        self.path = path
        self.revision = revision
        self.label_column = label_column
        self._made: dict[tuple[DomainName, Split], ImageFolder] = {}

    @cached_property
    def opened(self) -> OpenedSet:
        """The data set."""
        return open_set(self.path, self.revision)

    @cached_property
    def found(self) -> Selections:
        """Where in the set both domains are."""
        found = find_domains(self.opened, self.named, self.label_column)
        if self.paired:
            check_pairs(found)
        for name, domain in zip("ab", found, strict=True):
            rank_zero_only(_log.info)("domain %s: %s", name, domain)
        return found

    def make_domains(self, split: Split) -> tuple[ImageFolder, ImageFolder]:
        """Return both domains' images of a split, without those that cannot hold the crop."""
        of_a, of_b = self.found
        a, b = self._domain_of("a", of_a, split), self._domain_of("b", of_b, split)
        if self.paired and not a.pair:
            make_pairs(a, b)
        return a, b

    def _domain_of(self, name: DomainName, found: Selection, split: Split) -> ImageFolder:
        split = split if found.test else "train"
        if (name, split) not in self._made:
            self._made[name, split] = self._make(name, found, split)
        return self._made[name, split]

    def _make(self, name: DomainName, found: Selection, split: Split) -> ImageFolder:
        rows = rows_of(self.opened, found, split, self.label_column)
        domain = self.make_domain(name, rows)
        if found.mask is not None and isinstance(domain.files, Rows):
            column = image_column_of(self.opened, found, split, found.mask)
            masks = domain.files.of(column)
            domain.masks = ImageFolder(masks, 1, self.resize, None, background=(0, 0, 0))
        if not self.paired:
            domain.check_sizes()
        return domain
