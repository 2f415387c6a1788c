import os
import re
import signal
import time
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from lightning.fabric.utilities.data import _update_dataloader
from lightning.pytorch.utilities.combined_loader import _shutdown_workers_and_reset_iterator
from number_domains import UNDECODABLE, Numbers, raising
from torch.utils.data import SequentialSampler

from munit_pl.data import loader as loading
from munit_pl.data.datasets import TrainingPairs, ValidationPairs
from munit_pl.data.loader import PairLoader, Samples, collate, explain_loader_error
from munit_pl.data.sample_order import sample_at
from munit_pl.data.sampler import StreamSampler
from munit_pl.data.skipped_files import DataError, SkippedFiles
from munit_pl.data.worker_processes import WorkerMonitor
from munit_pl.exits import ExitCode


class Stream:
    """A loader of training batches, of one place each unless said otherwise, and what it needs."""

    def __init__(self, a, b=None, workers=0, batch_size=1, **options):
        # No part refers to the whole: workers of what only the collector finds end slowly.
        self.run = run = SimpleNamespace(iteration=0)
        self.skipped = SkippedFiles({"a": len(a), "b": 10}, max_fraction=1)
        pairs = TrainingPairs(a, b or Numbers(2))
        watch = WorkerMonitor(workers) if workers else None
        self.monitors = [watch]
        self.loader = PairLoader(
            Samples(pairs),
            self.skipped,
            batch_size=batch_size,
            sampler=StreamSampler(pairs, batch_size, lambda: run.iteration),
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
            worker_init_fn=watch,
            **options,
        )

    def epoch(self):
        """Yield what domain a shows in an epoch's batches, as a trainer asks for them."""
        batches = iter(self.loader)
        for _ in range(len(self.loader)):
            x_a, _ = next(batches)
            yield x_a[:, 0].int().tolist()
            self.run.iteration += 1


@pytest.fixture
def stream():
    """Make a `Stream`, whose workers end with the test, as a trainer sees to it."""
    made = []

    def make(*args, **options):
        made.append(Stream(*args, **options))
        return made[-1]

    yield make
    for each in made:
        _shutdown_workers_and_reset_iterator(each.loader)


def read_at(place, n):
    """Return which image of domain a is read there."""
    return sample_at(place, n, "a", 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_epochs_together_are_the_stream(stream, workers):
    data = stream(Numbers(5), workers=workers, batch_size=2)
    read = [index for _ in range(4) for batch in data.epoch() for index in batch]
    assert read == [read_at(p, 5) for p in range(4 * 6)]


def test_an_epoch_that_was_left_early_is_gone_on_with_where_the_run_is(stream):
    data = stream(Numbers(5), batch_size=2)
    assert len(list(data.epoch())) == 3  # the next epoch has been started
    data.run.iteration = 1
    assert next(data.epoch()) == [read_at(2, 5), read_at(3, 5)]


def test_the_first_batch_of_the_next_epoch_is_read_before_the_last_one_is_given(stream):
    domain = Numbers(3)
    epoch = stream(domain).epoch()
    loads = []
    for _ in epoch:
        loads.append(domain.loads)
    assert loads == [2, 3, 4]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_passed_over_counts_when_its_batch_is_given(stream, workers):
    place = 4
    data = stream(Numbers(9, {read_at(place, 9): UNDECODABLE}), workers=workers)
    counts = []
    for _ in data.epoch():
        files, replaced = data.skipped.take_news()
        counts.append((len(files), replaced))
    assert counts == [(1, 1) if i == place else (0, 0) for i in range(9)]


def test_a_sample_with_two_bad_images_is_one_that_was_substituted(stream):
    data = stream(Numbers(4, {read_at(0, 4): UNDECODABLE}), Numbers(4, {2: UNDECODABLE}))
    list(data.epoch())
    _, count = data.skipped.take_news()
    replaced = {0} | {p for p in range(4) if sample_at(p, 4, "b", 0) == 2}
    assert count == len(replaced)


class Ending(Numbers):
    """Six images, of which none can be used from a place of the stream on."""

    def __init__(self, place):
        super().__init__(6)
        self.good = {read_at(p, 6) for p in range(place)}
        self.ended = False

    def load(self, index, rng):
        self.ended = self.ended or index not in self.good
        if self.ended:
            raise OSError("its end is missing")
        return super().load(index, rng)


@pytest.mark.parametrize("workers", [0, 2])
def test_that_no_batch_follows_is_known_while_there_is_one_to_train_on(stream, workers):
    data = stream(Ending(3), workers=workers)
    batches = iter(data.loader)
    for place in range(3):
        next(batches)
        assert (data.skipped.stop_reason is None) == (place < 2)
    assert data.skipped.stop_reason.code == ExitCode.BAD_DATA
    with pytest.raises(DataError, match="100 images in a row"):
        next(batches)


class Breaking(Numbers):
    """One image that can be read so many times only, by whichever worker."""

    def __init__(self, times):
        super().__init__(1)
        self.left = torch.tensor(times).share_memory_()

    def load(self, index, rng):
        if self.left <= 0:
            raise OSError("its end is missing")
        self.left -= 1
        return super().load(index, rng)


@pytest.mark.parametrize("workers", [0, 2])
def test_that_no_epoch_follows_is_known_with_the_last_batch_of_one(stream, workers):
    """An epoch of one batch: each look ahead is beyond its end."""
    data = stream(Breaking(2), Numbers(1), workers=workers)
    for iteration in range(2):
        assert list(data.epoch()) == [[0]]
        assert (data.skipped.stop_reason is None) == (iteration < 1)
    with pytest.raises(DataError, match="100 images in a row"):
        next(data.epoch())


@pytest.mark.parametrize("workers", [0, 1])
def test_what_fails_with_the_first_batch_is_raised(stream, workers):
    data = stream(Numbers(4, {-1: UNDECODABLE}), workers=workers)
    with pytest.raises(DataError, match="domain a: 100 images in a row"):
        next(iter(data.loader))


def test_a_mistake_in_the_program_is_raised_as_it_is_and_ends_the_run_in_order_before(stream):
    data = stream(Numbers(4, {read_at(1, 4): raising(TypeError("a mistake"))}))
    batches = iter(data.loader)
    next(batches)
    assert data.skipped.stop_reason.code == 1
    assert "TypeError" in data.skipped.stop_reason.message
    with pytest.raises(TypeError, match="a mistake"):
        next(batches)


def test_a_reason_to_stop_ends_the_stream_where_nobody_else_minds_it(stream):
    data = stream(Numbers(4))
    data.skipped.max_fraction = 0
    data.loader.dataset.pairs.a.faults = {read_at(p, 4): UNDECODABLE for p in (0, 1)}
    batches = iter(data.loader)
    next(batches)
    next(batches)  # with this one two files are known
    with pytest.raises(DataError, match="2 of 4 images"):
        next(batches)


# Validation


def validation(a, b, sampler=None):
    skipped = SkippedFiles({"a": len(a), "b": len(b)}, max_fraction=1)
    samples = Samples(ValidationPairs(a, b))
    sampler = sampler or SequentialSampler(samples)
    return PairLoader(samples, skipped, batch_size=2, sampler=sampler, collate_fn=collate)


def test_validation_notes_bad_files_but_substitutes_no_training_samples():
    loader = validation(Numbers(3, {1: UNDECODABLE}), Numbers(3))
    read = [x_a[:, 0].tolist() for x_a, _ in loader]
    assert read == [[0, 2], [2]]
    files, replaced = loader.skipped_files.take_news()
    assert [bad.file for bad in files] == ["image 1"]
    assert replaced == 0


def test_lightning_can_make_the_loader_anew_for_several_processes():
    loader = validation(Numbers(5), Numbers(3))
    anew = _update_dataloader(loader, [4, 1, 0])
    assert isinstance(anew, PairLoader)
    assert anew.skipped_files is loader.skipped_files
    assert [x_a[:, 0].tolist() for x_a, _ in anew] == [[4, 1], [0]]


# Workers


def test_a_killed_worker_is_explained(stream):
    place = 4

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    data = stream(Numbers(9, {read_at(place, 9): die}), workers=1)
    with pytest.raises(RuntimeError) as error:
        list(data.epoch())
    message = explain_loader_error(error.value, data)
    # PyTorch tells one or the other, as it comes to know by a signal or by missing an answer.
    how = "(is killed by signal: Killed|exited unexpectedly)"
    reading = f"worker 0, which was reading 'image {read_at(place, 9)}'"
    remedy = re.escape("if memory ran out, take fewer workers (num_workers)")
    assert re.fullmatch(f"{reading}, {how}: {remedy}", message)


def test_a_worker_found_dead_is_named_without_a_signal(monkeypatch):
    """The signal may have come while nobody listened."""
    monkeypatch.setattr(loading.time, "sleep", lambda _: None)
    dead, alive = (SimpleNamespace(pid=i, is_alive=lambda i=i: i == 2) for i in (1, 2))
    batches = SimpleNamespace(_workers=[dead, alive])
    told = loading._of_worker(ConnectionResetError(), batches)
    assert str(told) == "DataLoader worker (pid(s) 1) exited unexpectedly"
    batches._workers.remove(dead)
    error = ConnectionResetError()
    assert loading._of_worker(error, batches) is error


def test_a_stuck_worker_is_explained_and_asks_for_a_new_start(stream):
    data = stream(Numbers(9, {read_at(1, 9): partial(time.sleep, 2.5)}), workers=1, timeout=1)
    batches = iter(data.loader)
    next(batches)
    code, message = data.skipped.stop_reason
    assert code == ExitCode.DATA_LOST
    file = f"image {read_at(1, 9)}"
    assert f"no images came for 1 seconds: worker 0, which was reading '{file}'" in message
    with pytest.raises(DataError) as error:
        next(batches)
    assert explain_loader_error(error.value, SimpleNamespace()) == message


def test_other_errors_are_not_explained_away():
    assert explain_loader_error(RuntimeError("CUDA out of memory"), SimpleNamespace()) is None
