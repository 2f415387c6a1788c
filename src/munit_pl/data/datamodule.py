"""The two domains as LightningDataModules: folders of images, or shoes drawn on the spot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from munit_pl.data.drawn import DrawnShoes
from munit_pl.data.folder import ImageFolder
from munit_pl.data.images import Colour, list_images, read_list
from munit_pl.data.unpaired import Domain, StreamSampler, TrainingPairs, ValidationPairs
from munit_pl.layers import at_least_one

DomainName = Literal["a", "b"]
Split = Literal["train", "test"]
Loader = DataLoader[tuple[Tensor, Tensor]]


class TwoDomains(LightningDataModule):
    """Loaders over two domains that a subclass names.

    Training batches are a function of seed and iteration, for any number of workers and
    processes. Validation reads every test image once, in order.

    Args:
        size: Height and width of the images.
        batch_size: Images of each domain in one process and iteration.
        num_workers: Processes that load images.
        seed: What the order and the augmentation depend on.
        paired: Whether the two images of a batch's place show the same thing.
    """

    def __init__(
        self,
        size: tuple[int, int],
        batch_size: int,
        num_workers: int,
        seed: int,
        paired: bool = False,
    ) -> None:
        super().__init__()
        at_least_one(batch_size=batch_size)
        if num_workers < 0:
            raise ValueError(f"num_workers is {num_workers}, but must not be negative")
        self.size = size
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.paired = paired
        self.domains: dict[Split, tuple[Domain, Domain]] = {}

    def make_domains(self, split: Split) -> tuple[Domain, Domain]:
        """Return both domains' images of a split."""
        raise NotImplementedError

    def batch_domains(self, split: Split) -> tuple[Domain, Domain]:
        """Return what a split's batches are read from: its ``domains``, unless overridden."""
        return self.domains[split]

    def setup(self, stage: str | None = None) -> None:
        """Find the images of both splits."""
        if not self.domains:
            self.domains = {"train": self.make_domains("train"), "test": self.make_domains("test")}

    def train_dataloader(self) -> Loader:
        """Return the stream of training batches, from the trainer's current iteration on."""
        pairs = TrainingPairs(*self.batch_domains("train"), seed=self.seed, paired=self.paired)
        trainer = self.trainer
        assert trainer is not None
        sampler = StreamSampler(
            pairs,
            self.batch_size,
            lambda: trainer.global_step,
            num_replicas=trainer.world_size,
            rank=trainer.global_rank,
        )
        return self._loader(pairs, sampler)

    def val_dataloader(self) -> Loader:
        """Return all pairs of test images, in order."""
        return self._loader(ValidationPairs(*self.batch_domains("test")))

    def _loader(
        self, pairs: TrainingPairs | ValidationPairs, sampler: StreamSampler | None = None
    ) -> Loader:
        return DataLoader(
            pairs,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
        )


class UnpairedDataModule(TwoDomains):
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
        crop: Height and width that are cut out: at random for training, from the centre otherwise.
        flip: Mirror half of the training images.
        channels_a: Channels of domain a: 1 (grey), 3 (RGB) or 4 (with alpha).
        channels_b: Channels of domain b.
        background: What shows through transparent pixels, RGB in [0, 255].
        max_images: Use the first so many files of each domain.
        batch_size: Images of each domain in one process and iteration.
        num_workers: Processes that load images.
        seed: What order, crops and flips depend on.

    Raises:
        FileNotFoundError: If a folder or list is missing.
        ValueError: If a domain is empty, or its images cannot hold the crop.
    """

    def __init__(
        self,
        root: str | Path,
        train_a: str = "trainA",
        train_b: str = "trainB",
        test_a: str = "testA",
        test_b: str = "testB",
        lists: Mapping[str, str | None] | None = None,
        resize: int | None = 256,
        crop: Sequence[int] = (256, 256),
        flip: bool = True,
        channels_a: int = 3,
        channels_b: int = 3,
        background: Sequence[int] = (255, 255, 255),
        max_images: int | None = None,
        batch_size: int = 1,
        num_workers: int = 4,
        seed: int = 0,
    ) -> None:
        height, width = crop
        super().__init__((height, width), batch_size, num_workers, seed)
        self.root = Path(root)
        self.folders = {"train_a": train_a, "train_b": train_b, "test_a": test_a, "test_b": test_b}
        self.lists = dict(lists or {})
        if unknown := self.lists.keys() - self.folders.keys():
            raise ValueError(
                f"lists has {min(unknown)}, but may have {', '.join(self.folders)} only"
            )
        self.resize = resize
        self.flip = flip
        self.channels = {"a": channels_a, "b": channels_b}
        red, green, blue = background
        self.background: Colour = (red, green, blue)
        self.max_images = max_images

    def make_domains(self, split: Split) -> tuple[ImageFolder, ImageFolder]:
        """List both domains' images of a split and make sure that they can hold the crop."""
        return self._make_domain(split, "a"), self._make_domain(split, "b")

    def _make_domain(self, split: Split, domain: DomainName) -> ImageFolder:
        name = f"{split}_{domain}"
        if split == "test" and not (self.root / self.folders[name]).exists():
            name = f"train_{domain}"
        source, names = self.root / self.folders[name], self.lists.get(name)
        files = read_list(self.root / names, source) if names else list_images(source)
        folder = ImageFolder(
            files,
            channels=self.channels[domain],
            resize=self.resize,
            crop=self.size,
            flip=self.flip,
            background=self.background,
            max_images=self.max_images,
        )
        folder.check_sizes()
        return folder


class DrawnDataModule(TwoDomains):
    """The embedded data set: line drawings of shoes (a) and coloured shoes (b).

    Equal indices of ``domains`` show different shoes always, as the evaluation asks for.

    Args:
        size: Height and width of the drawings, at least 16.
        length: Training drawings of each domain.
        test_length: Test drawings of each domain.
        batch_size: Drawings of each domain in one process and iteration.
        num_workers: Processes that draw.
        seed: What the shoes and their order depend on.
        paired: Training and validation batches hold domain a's shoes in both domains.
    """

    def __init__(
        self,
        size: Sequence[int] = (64, 64),
        length: int = 2000,
        test_length: int = 64,
        batch_size: int = 1,
        num_workers: int = 0,
        seed: int = 0,
        paired: bool = False,
    ) -> None:
        height, width = size
        super().__init__((height, width), batch_size, num_workers, seed, paired)
        self.lengths = {"train": length, "test": test_length}

    def make_domains(self, split: Split) -> tuple[DrawnShoes, DrawnShoes]:
        """Return both domains' drawings of a split."""
        return self._make_domain(split, "a", "a"), self._make_domain(split, "b", "b")

    def batch_domains(self, split: Split) -> tuple[Domain, Domain]:
        """Return both domains' drawings of a split; if paired, domain a's shoes in both."""
        a, b = self.domains[split]
        return a, self._make_domain(split, "b", "a") if self.paired else b

    def _make_domain(self, split: Split, domain: DomainName, shoes_of: DomainName) -> DrawnShoes:
        length = self.lengths[split]
        return DrawnShoes(domain, split, length, self.size, self.seed, shoes_of)
