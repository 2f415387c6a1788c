import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl import UnpairedDataModule
from munit_pl.data import cache
from munit_pl.data.cache import ImageCache, Memory, estimate, keep_in_memory
from munit_pl.data.folder import ImageFolder
from munit_pl.randomness import rng_for

MIB = 2**20
ROOM = 2**16


def picture(seed=0, height=20, width=30, mode="RGB"):
    rng = np.random.default_rng(seed)
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))


def save(folder, count, **size):
    folder.mkdir(parents=True)
    for i in range(count):
        picture(i, **size).save(folder / f"{i:02d}.png")
    return sorted(folder.iterdir())


@pytest.fixture
def images():
    return ImageCache(Memory(MIB), first=3, room=ROOM)


# Keeping


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_what_is_kept_comes_back_as_it_was(images, mode):
    kept = picture(mode=mode)
    assert images.get(5) is None
    images.put(5, kept)
    back = images.get(5)
    assert (back.mode, back.size, back.tobytes()) == (kept.mode, kept.size, kept.tobytes())
    assert images.get(4) is None
    assert images.get(6) is None


def test_lists_that_lie_behind_each_other_do_not_mix(images):
    behind = ImageCache(images.memory, first=5, room=ROOM)
    images.put(1, picture(1))
    behind.put(0, picture(2))
    assert images.get(1).tobytes() == picture(1).tobytes()
    assert images.get(2).tobytes() == behind.get(0).tobytes() == picture(2).tobytes()


def test_no_more_memory_is_taken_than_there_may_be():
    images = ImageCache(Memory(3 * 4096), first=0, room=ROOM)
    for i in range(5):  # of 1809 bytes, in a page each
        images.put(i, picture(i))
    assert [images.get(i) is not None for i in range(5)] == [True] * 3 + [False] * 2
    assert images.memory.taken == 3 * 4096


def test_an_image_half_written_is_none(images, monkeypatch):
    """As where a process is killed, or memory runs out, in the middle of it."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: real(file, data[: len(data) // 2], at))
    images.put(0, picture())
    assert images.get(0) is None


def test_memory_that_cannot_be_had_is_no_error(images, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    images.put(0, picture())
    assert images.get(0) is None


# Sharing


@pytest.mark.process
def test_a_process_that_is_sent_the_cache_reads_and_writes_the_same(images):
    """As one that loads images and was not forked."""
    images.put(0, picture(1))
    code = """
import pickle, sys
images = pickle.load(sys.stdin.buffer)
images.put(1, images.get(0).rotate(180))
"""
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(images), check=True)
    assert images.get(1).tobytes() == picture(1).rotate(180).tobytes()


def test_nothing_is_left_once_nobody_knows_the_memory():
    memory = Memory(MIB)
    path, _ = place = memory.place
    del memory
    assert not Path(path).exists()
    with pytest.raises(OSError, match="No such file"):
        Memory.opened(place, MIB)


def test_another_file_of_the_same_number_is_not_taken_for_it():
    memory, other = Memory(MIB), Memory(MIB)
    with pytest.raises(OSError, match="is another file by now"):
        Memory.opened((memory.place[0], other.place[1]), MIB)


@pytest.fixture
def together(monkeypatch):
    """Make a folder keep images as the last process of a run does; return its memory.

    The others' offers are where they are (None: here), the place of their memory and its limit.
    """

    def keep(folder, *offers):
        def gather(everyone, own):
            here, *_ = own
            everyone[:] = [(here if there is None else there, *of) for there, *of in offers] + [own]

        distributed = SimpleNamespace(
            is_available=lambda: True,
            is_initialized=lambda: True,
            get_world_size=lambda: 1 + len(offers),
            all_gather_object=gather,
        )
        monkeypatch.setattr(cache, "distributed", distributed)
        keep_in_memory([folder])
        return folder.cache.memory

    return keep


def test_processes_of_a_machine_share_the_memory_of_the_first(tmp_path, together):
    files = save(tmp_path / "x", 2)
    first = Memory(MIB)
    folder = ImageFolder(files, resize=10, crop=None)
    memory = together(folder, (None, first.place, MIB), (None, Memory(MIB).place, MIB))
    assert memory.place[1] == first.place[1]
    folder.load(1, None)
    assert first.taken == 4096


def test_a_process_of_another_machine_or_of_other_files_keeps_its_own(tmp_path, together):
    elsewhere = Memory(MIB)
    folder = ImageFolder(save(tmp_path / "x", 2), resize=10, crop=None)
    memory = together(folder, (("another", "layout"), elsewhere.place, MIB))
    assert memory.place[1] != elsewhere.place[1]


def test_memory_that_cannot_be_opened_is_passed_over(tmp_path, together):
    folder = ImageFolder(save(tmp_path / "x", 2), resize=10, crop=None)
    memory = together(folder, (None, ("/proc/0/fd/0", (0, 0)), MIB))
    folder.load(0, None)
    assert memory.taken == 4096


# Folders


def test_each_file_is_decoded_once_and_loaded_the_same(tmp_path):
    files = save(tmp_path / "x", 3)
    plain, kept = (ImageFolder(files, resize=16, crop=(12, 14)) for _ in range(2))
    keep_in_memory([kept])
    for _ in range(2):
        for i in range(3):
            for rng in (lambda: None, lambda i=i: rng_for(i)):
                assert torch.equal(kept.load(i, rng()), plain.load(i, rng()))
    for file in files:
        file.unlink()
    assert kept.load(2, None).shape == (3, 12, 14)


def test_folders_of_the_same_files_share_what_is_kept(tmp_path):
    files = save(tmp_path / "x", 2)
    train, test, gray = (ImageFolder(files, n, resize=10, crop=None) for n in (3, 3, 1))
    keep_in_memory([train, gray, test])
    train.load(1, None)
    assert test.cache.get(1) is not None
    assert gray.cache.get(1) is None


def test_a_bad_file_is_never_kept_and_fails_each_time(tmp_path):
    files = save(tmp_path / "x", 2)
    files[0].write_bytes(files[0].read_bytes()[:60])
    folder = ImageFolder(files, resize=10, crop=None)
    keep_in_memory([folder])
    for _ in range(2):
        with pytest.raises(OSError, match="cannot read image"):
            folder.load(0, None)
    assert folder.cache.memory.taken == 0


def test_the_memory_needed_is_told_by_headers(tmp_path):
    """20x30 becomes 64x96, and 18432 + 9 bytes take five pages."""
    files = save(tmp_path / "x", 7)
    files.append(tmp_path / "gone.png")
    assert estimate(ImageFolder(files, resize=64, crop=None)) == 8 * 5 * 4096


def test_too_little_memory_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "free_memory", lambda: 4 * 4096)
    folder = ImageFolder(save(tmp_path / "x", 5), resize=10, crop=None)
    with pytest.warns(UserWarning, match=r"cache memory: .* the others are decoded anew") as told:
        keep_in_memory([folder])
    assert len(told) == 1
    for i in range(5):
        folder.load(i, None)
    assert [folder.cache.get(i) is not None for i in range(5)] == [True, True, False, False, False]


def test_a_containers_limit_counts_less_the_files_that_may_be_forgotten(tmp_path, monkeypatch):
    for name, text in {
        "memory.max": "1000000",
        "memory.current": "700000",
        "memory.stat": "anon 5\ninactive_file 200000\n",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(cache, "_CONTROL_GROUP", tmp_path)
    assert cache.free_memory() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert cache.free_memory() > 10**6


# Data modules


@pytest.fixture
def root(tmp_path):
    for folder, count in {"trainA": 9, "trainB": 7, "testA": 2, "testB": 3}.items():
        save(tmp_path / folder, count)
    torn = tmp_path / "trainA" / "03.png"
    torn.write_bytes(torn.read_bytes()[:60])
    Image.new("RGB", (30, 20), "white").save(tmp_path / "trainB" / "02.png")
    return tmp_path


def passes(root, workers, **options):
    """Return two epochs and two validations, and what was found of bad files."""
    datamodule = UnpairedDataModule(
        root, resize=16, crop=(12, 12), batch_size=2, num_workers=workers, **options
    )
    datamodule.setup("fit")
    trainer = SimpleNamespace(global_step=0, world_size=1, global_rank=0)
    datamodule.trainer = trainer
    loader, read = datamodule.train_dataloader(), []
    for _ in range(2):
        batches = iter(loader)
        for _ in range(len(loader)):
            read.append(next(batches))
            trainer.global_step += 1
    validation = datamodule.val_dataloader()
    for _ in range(2):
        read += list(validation)
    return read, datamodule.bad_files.found


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_and_bad_files_are_the_same_with_a_cache(root, workers):
    plain, bad = passes(root, 0)
    kept, bad_then = passes(root, workers, cache="memory")
    assert bad_then == bad
    assert {Path(found.file).name: found.blank for found in bad.values()} == {
        "03.png": False,
        "02.png": True,
    }
    assert len(kept) == len(plain)
    for here, there in zip(plain, kept, strict=True):
        for x, y in zip(here, there, strict=True):
            assert x.dtype == torch.uint8
            assert torch.equal(x, y)


def test_workers_leave_what_they_decode_to_each_other(root):
    datamodule = UnpairedDataModule(
        root, resize=16, crop=(12, 12), batch_size=3, num_workers=2, cache="memory"
    )
    datamodule.setup("fit")
    list(datamodule.val_dataloader())
    for folder in datamodule.domains["test"]:
        assert all(folder.cache.get(i) for i in range(len(folder)))


def test_other_caches_are_refused(tmp_path):
    with pytest.raises(ValueError, match="cache is 'disk', but must be 'memory' or None"):
        UnpairedDataModule(tmp_path, cache="disk")
