import errno

import pytest
import torch
from number_domains import UNDECODABLE, VANISHED, Numbers, raising

from munit_pl.data import replacement as substitutes
from munit_pl.data.cropping import BlankCrop
from munit_pl.data.datasets import TrainingPairs
from munit_pl.data.replacement import Source, WithReplacement, candidates_from, first_readable
from munit_pl.data.skipped_files import DataError
from munit_pl.exits import ExitCode


@pytest.fixture
def slept(monkeypatch):
    """The seconds that were waited for, without waiting."""
    seconds = []
    monkeypatch.setattr(substitutes.time, "sleep", seconds.append)
    return seconds


def first(domain):
    source = Source(domain, "a", candidates_from(0, len(domain)))
    ((image, _),), skipped = first_readable([source], 0)
    return image, skipped


def test_attempts_go_on_until_one_succeeds():
    faults = dict.fromkeys(range(99), UNDECODABLE)
    image, skipped = first(Numbers(100, faults))
    assert int(image[0]) == 99
    assert [bad.file for bad in skipped] == [f"image {i}" for i in range(99)]


def test_a_hundred_bad_images_in_a_row_are_bad_data(slept):
    domain = Numbers(200, {-1: UNDECODABLE})
    with pytest.raises(DataError, match="domain a: 100 images in a row cannot be used") as error:
        first(domain)
    assert error.value.stop_reason.code == ExitCode.BAD_DATA
    assert "'image 99' its end is missing" in str(error.value)
    assert domain.loads == 100
    assert slept == []


def test_nine_files_that_are_gone_are_skipped_at_once(slept):
    image, skipped = first(Numbers(20, dict.fromkeys(range(9), VANISHED)))
    assert int(image[0]) == 9
    assert len(skipped) == 9
    assert slept == []


def test_bad_files_between_missing_ones_do_not_make_a_lost_disk(slept):
    faults = {i: UNDECODABLE if i == 5 else VANISHED for i in range(15)}
    image, _ = first(Numbers(20, faults))
    assert int(image[0]) == 15
    assert slept == []


def test_a_disk_that_comes_back_changes_nothing(monkeypatch):
    faults = {-1: VANISHED}
    away = TrainingPairs(Numbers(50, faults), Numbers(50), seed=3)
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if sum(waited) >= 3:
            faults.clear()

    monkeypatch.setattr(substitutes.time, "sleep", sleep)
    there = TrainingPairs(Numbers(50), Numbers(50), seed=3)[7]
    here = away[7]
    assert torch.equal(here.x_a, there.x_a)
    assert here.skipped == []
    assert waited == [1, 2]


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("told by no system call"),
        PermissionError(errno.EACCES, "Permission denied"),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ENOTCONN, "Transport endpoint is not connected"),
    ],
)
def test_a_disk_that_stays_away_is_waited_for_a_minute(slept, error):
    with pytest.raises(DataError, match="no image can be read any more, after 60 sec") as lost:
        first(Numbers(50, {-1: raising(error)}))
    assert lost.value.stop_reason.code == ExitCode.DATA_LOST
    assert slept == [1, 2, 4, 8, 16, 29]


def test_a_blank_image_is_known_as_such():
    _, (blank, torn) = first(Numbers(5, {0: raising(BlankCrop("blank")), 1: UNDECODABLE}))
    assert blank.blank
    assert not torn.blank


def test_errors_of_the_program_are_not_taken_for_bad_files():
    with pytest.raises(TypeError):
        first(Numbers(5, {0: raising(TypeError("a mistake"))}))


def test_the_next_image_replaces_one_that_cannot_be_used():
    class Images:
        def __len__(self):
            return 3

        def load(self, index, rng):
            if index != 1:
                raise OSError("broken")
            return torch.full((1,), float(index))

    images = WithReplacement(Images(), "a")
    assert [images.load(index, None).item() for index in range(len(images))] == [1, 1, 1]
