"""The loader: samples become batches, skipped files are counted, errors are known in time."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from munit_pl.data.datasets import Sample, TrainingPairs, ValidationPairs
from munit_pl.data.sampler import StreamSampler
from munit_pl.data.skipped_files import BadFile, DataError, SkippedFiles, StopReason
from munit_pl.data.worker_processes import WorkerMonitor, explain
from munit_pl.exits import ExitCode


class Batch(NamedTuple):
    """A batch as a worker hands it over.

    Attributes:
        images: ``x_a`` and ``x_b``, ``(N, C, H, W)`` in [-1, 1], or uint8 in [0, 255]; then their
            masks if there are any, ``(N, 1, H, W)`` in [0, 1], or uint8 in [0, 255].
        skipped: The files that could not be used.
        replaced: How many samples others took the place of.
    """

    images: tuple[Tensor, ...]
    skipped: list[BadFile]
    replaced: int


class _Failure(NamedTuple):
    stop_reason: StopReason
    error: Exception  # for whoever asks for the batch all the same


class Samples(Dataset[Sample | StopReason]):
    """Samples by position, or the reason to stop, which a worker's exception would lose."""

    def __init__(self, pairs: TrainingPairs | ValidationPairs) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, position: int) -> Sample | StopReason:
        try:
            return self.pairs[position]
        except DataError as error:
            return error.stop_reason


def collate(samples: Sequence[Sample | StopReason]) -> Batch | StopReason:
    """Make one batch of samples, unless one is a reason to stop, which is then returned."""
    good: list[Sample] = []
    for sample in samples:
        if isinstance(sample, StopReason):
            return sample
        good.append(sample)
    *columns, skipped = map(list, zip(*good, strict=True))
    images = tuple(default_collate(column) for column in columns if column[0] is not None)
    return Batch(images, [bad for files in skipped for bad in files], sum(map(bool, skipped)))


class PairLoader(DataLoader[Any]):
    """A `DataLoader` that yields ``(x_a, x_b)``, each ``(N, C, H, W)`` in [-1, 1].

    With masks it yields ``(x_a, x_b, mask_a, mask_b)``, masks ``(N, 1, H, W)`` in [0, 1]. Where a
    domain gives uint8 in [0, 255], so does this.

    It fetches a batch ahead of the one that it yields, on training data across the end of an epoch
    too. If that fails it is noted while there is a batch to go on with, so that the run can
    end in order; whoever asks for the next batch all the same gets a `DataError`. Skipped files
    count when their batch is yielded, as a checkpoint counts iterations.

    Args:
        dataset: `Samples`.
        skipped_files: Where skipped files are counted.
        **kwargs: What else a `DataLoader` takes.
    """

    def __init__(self, dataset: Samples, skipped_files: SkippedFiles, **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        self.skipped_files = skipped_files
        self._next_epoch: tuple[int, Iterator[Any], Batch | _Failure | None] | None = None

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:  # type: ignore[override]
        training = isinstance(self.sampler, StreamSampler)
        batches, batch = self._start()
        while batch is not None:
            if isinstance(batch, _Failure):
                raise batch.error
            if training and self.skipped_files.stop_reason:
                raise DataError(self.skipped_files.stop_reason)
            following = self._fetch(batches)
            next_one = self._start_next_epoch() if following is None else following
            if isinstance(next_one, _Failure):
                self.skipped_files.stop_reason = (
                    self.skipped_files.stop_reason or next_one.stop_reason
                )
            self.skipped_files.add(batch.skipped, batch.replaced if training else 0)
            self.skipped_files.warn_unless_listed()
            yield batch.images
            batch = following

    def _start(self) -> tuple[Iterator[Any], Batch | _Failure | None]:
        """Return an epoch's batches after the first, and the first."""
        started, self._next_epoch = self._next_epoch, None
        if started is not None and isinstance(self.sampler, StreamSampler):
            iteration, batches, first = started
            gone = self.num_workers > 0 and batches is not self._iterator
            if iteration == self.sampler.iteration() and not gone:
                return batches, first
        batches = super().__iter__()
        return batches, self._fetch(batches)

    def _start_next_epoch(self) -> Batch | _Failure | None:
        """Fetch the first batch of the epoch that follows, while this one's last is waiting."""
        if not isinstance(self.sampler, StreamSampler):
            return None
        self.sampler.ahead = 1
        batches: Iterator[Any] = iter(())
        try:
            batches = super().__iter__()
            first = self._fetch(batches)
        except Exception as error:  # of workers that do not answer
            first = self._explained(error)
        finally:
            self.sampler.ahead = 0
        self._next_epoch = (self.sampler.iteration() + 1, batches, first)
        return first

    def _fetch(self, batches: Iterator[Any]) -> Batch | _Failure | None:
        """Return the next batch, or why there is none; None after the last."""
        try:
            batch: Batch | StopReason | None = next(batches, None)
        except Exception as error:
            return self._explained(_of_worker(error, batches))
        return _Failure(batch, DataError(batch)) if isinstance(batch, StopReason) else batch

    def _explained(self, error: Exception) -> _Failure:
        monitors = [self.worker_init_fn] if isinstance(self.worker_init_fn, WorkerMonitor) else []
        if (message := explain(str(error), monitors)) is None:
            return _Failure(StopReason(1, f"loading images failed: {error!r}"), error)
        late = str(error).startswith("DataLoader timed out")
        told = DataError(StopReason(ExitCode.DATA_LOST if late else 1, message))
        told.__cause__ = error
        return _Failure(told.stop_reason, told)


def _of_worker(error: Exception, batches: Iterator[Any]) -> Exception:
    """Return PyTorch's word on a dead worker, if that is why a batch could not be received."""
    if not isinstance(error, OSError | EOFError):
        return error
    try:
        time.sleep(1)  # it comes, as the signal that a child died, unless it has come already
    except RuntimeError as told:
        return told
    dead = [str(w.pid) for w in getattr(batches, "_workers", []) if not w.is_alive()]
    pids = ", ".join(dead)
    return RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") if dead else error


def explain_loader_error(error: BaseException, datamodule: object) -> str | None:
    """Return in one line what an error of the loaders means; None if it is of something else.

    PyTorch raises in the middle of whatever goes on when a worker dies.

    Args:
        error: What ended a run.
        datamodule: The run's data.
    """
    if isinstance(error, DataError):
        return error.stop_reason.message
    return explain(str(error), getattr(datamodule, "monitors", []))
