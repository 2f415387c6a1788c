"""The base of the data modules: loaders over two domains, and what a resumed run compares."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from munit_pl.checks import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Seed,
    checked,
)
from munit_pl.data.datasets import TrainingPairs, ValidationPairs
from munit_pl.data.domain import Domain, DomainName, SampleDomain, Split
from munit_pl.data.file_identity import compare_files, files_of, fingerprint, warn_of_changes
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.bit_depth import FULL, MaxValue, find_max_value
from munit_pl.data.images.opening import ImageFile
from munit_pl.data.images.tensors import from_uint8
from munit_pl.data.loader import PairLoader, Samples, collate
from munit_pl.data.masks import to_unit_range
from munit_pl.data.replacement import MAX_ATTEMPTS, Candidate, UnreadableImage, read_candidate
from munit_pl.data.sampler import StreamSampler
from munit_pl.data.sizes import ImageSize
from munit_pl.data.skipped_files import SkippedFiles, StopReason, skipped_when_listed
from munit_pl.data.uint8_images import Uint8Images
from munit_pl.data.worker_processes import WorkerMonitor, warn_of_little_shared_memory

Domains = Mapping[Split, tuple[Domain, Domain]]


class TwoDomains(LightningDataModule):
    """Loaders over two domains that a subclass names.

    Images of files come from the loaders as bytes, uint8 in [0, 255], which are a quarter of what
    floats are to hand over, to pin and to send; the trainer has `on_after_batch_transfer` make
    floats of them on the device.

    Training batches are a function of seed and iteration, for any number of workers and
    processes. Validation reads every test image once, in order. An image that cannot be used is
    replaced by another and counted, up to a limit.

    Args:
        size: Height and width of the images.
        batch_size: Images of each domain in one process and iteration.
        num_workers: Processes that load images.
        seed: What the order and the augmentation depend on.
        paired: Whether the two images of a batch's place show the same thing.
        max_bad_fraction: Share of a domain's files that may be unusable, in [0, 1]. A single one
            always may.
        timeout: Seconds to wait for a batch of stuck workers; 0 waits for ever.
        masks: Whether batches hold masks too. `batch_domains` then gives images with their masks.

    Attributes:
        resize: Pixels of the shortest side before images are cropped, None where they keep their
            size; the crop's shortest side unless a subclass says otherwise.
        channels: Of each domain's images; 3 unless a subclass says otherwise.
        domains: Both domains' images of each split, after `setup`.
        skipped_files: Which files were skipped.
        monitors: Of the workers of each loader.
    """

    @checked
    def __init__(
        self,
        size: tuple[int, int],
        batch_size: PositiveInt,
        num_workers: NonNegativeInt,
        seed: Seed,
        paired: bool = False,
        max_bad_fraction: Fraction = 0.01,
        timeout: NonNegativeFloat = 300,
        masks: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.resize: int | None = min(size)
        self.channels: dict[DomainName, int] = {"a": 3, "b": 3}
        self.max_values: dict[DomainName, MaxValue] = {"a": FULL, "b": FULL}
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.paired = paired
        self.max_bad_fraction = max_bad_fraction
        self.timeout = timeout
        self.masks = masks
        self.domains: dict[Split, tuple[Domain, Domain]] = {}
        self.skipped_files = SkippedFiles({})
        self.monitors: list[WorkerMonitor] = []

    @property
    def image_size(self) -> ImageSize:
        """How images are brought to size, which checkpoints hold."""
        return ImageSize(self.resize, self.size)

    def max_value(self, domain: DomainName, files: Sequence[ImageFile] = ()) -> int:
        """Return what is white in a domain's 16-bit gray files.

        Args:
            domain: Which domain.
            files: Those that "auto" is settled by, once: the first that are asked about, which are
                the training images.
        """
        value = self.max_values[domain]
        if value == "auto":
            value = self.max_values[domain] = find_max_value(files)
        return value

    @property
    def has_pairs(self) -> bool:
        """Whether the data has pairs, used or not."""
        return self.paired

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the run should end after the current iteration; None as long as it should not."""
        return self.skipped_files.stop_reason

    def make_domains(self, split: Split) -> tuple[Domain, Domain]:
        """Return both domains' images of a split."""
        raise NotImplementedError

    def batch_domains(self, split: Split) -> tuple[SampleDomain, SampleDomain]:
        """Return what a split's batches are read from: its ``domains``, unless overridden."""
        return self.domains[split]

    def check_domains(self, domains: Domains) -> None:
        """Refuse empty domains, and test images that are training images by another name."""
        for split, pair in domains.items():
            for name, domain in zip("ab", pair, strict=True):
                if not len(domain):
                    raise ValueError(f"domain {name} has no {split} images")
        for name, train, test in zip("ab", domains["train"], domains["test"], strict=True):
            compare_files(
                files_of(train),
                files_of(test),
                f"the training and test images of domain {name}",
                "name a folder of other images for the test, or none",
                by_name_too=False,
            )

    def setup(self, stage: str | None = None) -> None:
        """Find the images of both splits.

        Raises:
            ValueError: If a domain is empty or has too many files that cannot be used, or if its
                test images are its training images by another name.
        """
        if self.domains:
            return
        domains: dict[Split, tuple[Domain, Domain]] = {
            "train": self.make_domains("train"),
            "test": self.make_domains("test"),
        }
        self.check_domains(domains)
        self.skipped_files = skipped_when_listed(domains.values(), self.max_bad_fraction)
        if self.skipped_files.stop_reason:
            raise ValueError(self.skipped_files.stop_reason.message)
        self.domains = domains

    def train_dataloader(self) -> PairLoader:
        """Return the stream of training batches, from the trainer's current iteration on.

        Without a trainer, as to look at some, from the start.
        """
        domains = as_uint8(self.batch_domains("train"))
        pairs = TrainingPairs(*domains, seed=self.seed, paired=self.paired)
        trainer = self.trainer
        sampler = StreamSampler(
            pairs,
            self.batch_size,
            lambda: trainer.global_step if trainer else 0,
            num_replicas=trainer.world_size if trainer else 1,
            rank=trainer.global_rank if trainer else 0,
        )
        height, width = self.size
        values = (sum(self.channels.values()) + 2 * self.masks) * height * width
        bytes_each = 1 if all(isinstance(domain, Uint8Images) for domain in domains) else 4
        warn_of_little_shared_memory(self.num_workers, bytes_each * self.batch_size * values)
        return self._loader(pairs, sampler)

    def val_dataloader(self) -> PairLoader:
        """Return all pairs of test images, in order."""
        domains = as_uint8(self.batch_domains("test"))
        return self._loader(ValidationPairs(*domains, paired=self.paired))

    def predict_dataloader(self) -> PairLoader:
        """Return all pairs of test images, in order."""
        return self.val_dataloader()

    def on_after_batch_transfer(
        self, batch: tuple[Tensor, ...], dataloader_idx: int
    ) -> tuple[Tensor, ...]:
        """Turn bytes into floats in [-1, 1], on the device, of the trainer's precision.

        Returns:
            ``(x_a, x_b)``; with masks ``(x_a, x_b, mask_a, mask_b)``, masks ``(N, 1, H, W)`` in
            [0, 1].
        """
        images = (x if x.is_floating_point() else from_uint8(x) for x in batch[:2])
        floats = (*images, *map(to_unit_range, batch[2:]))
        plugin = self.trainer.precision_plugin if self.trainer else None
        return plugin.convert_input(floats) if plugin else floats

    def first_images(self, split: Split, domain: DomainName, n: int) -> Tensor:
        """Return a domain's first images, ``(N, C, H, W)`` in [-1, 1], not augmented.

        Those that cannot be used are skipped and counted.

        Args:
            split: Which images.
            domain: Of which domain.
            n: How many, or as many as there are.

        Raises:
            OSError: If none can be used.
        """
        images = self.domains[split]["ab".index(domain)]
        shown: list[Tensor] = []
        for index in range(min(len(images), n + MAX_ATTEMPTS)):
            if len(shown) == n:
                break
            try:
                shown.append(read_candidate(images, domain, Candidate(index), index).x)
            except UnreadableImage as error:
                self.skipped_files.add([error.bad])
        if not shown:
            raise OSError(f"domain {domain}: none of the first {split} images can be used")
        return torch.stack(shown)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run's images are compared with."""
        root = getattr(self, "root", Path())
        return {
            "images": {
                f"{split} images of domain {name}": (
                    len(domain),
                    fingerprint(files_of(domain), root),
                )
                for split, pair in self.domains.items()
                for name, domain in zip("ab", pair, strict=True)
            },
            "at_once": self._at_once(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Warn if the order of images cannot be what it was."""
        now = self.state_dict()
        warn_of_changes(state_dict["images"], now["images"])
        if state_dict["at_once"] != now["at_once"]:
            rank_zero_warn(
                f"an iteration read {state_dict['at_once']} images of each domain in all processes "
                f"before, and reads {now['at_once']} now; which are read differs from here on"
            )

    def _at_once(self) -> int:
        return self.batch_size * (self.trainer.world_size if self.trainer else 1)

    def _loader(
        self, pairs: TrainingPairs | ValidationPairs, sampler: StreamSampler | None = None
    ) -> PairLoader:
        monitor = WorkerMonitor(self.num_workers) if self.num_workers else None
        if monitor is not None:
            self.monitors.append(monitor)
        return PairLoader(
            Samples(pairs),
            self.skipped_files,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
            worker_init_fn=monitor,
            timeout=self.timeout if self.num_workers else 0,
        )


def as_uint8(domains: tuple[SampleDomain, SampleDomain]) -> tuple[SampleDomain, SampleDomain]:
    """Return domains whose images are uint8, where they are images of files."""
    a, b = (Uint8Images(d) if isinstance(d, ImageFolder) else d for d in domains)
    return a, b
