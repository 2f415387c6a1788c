import errno
import hashlib
import multiprocessing
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import torch

from munit_pl.io import checkpoint_files
from munit_pl.io.checkpoint_files import (
    check_schema,
    link_durably,
    newest_valid,
    remove_checkpoint,
    remove_leftovers,
    step_files,
    verify,
    write_durably,
)

OLD, NEW = b"old" * 1000, b"new" * 2000


def write(path, content):
    write_durably(path, lambda file: file.write(content))


def save(path, step):
    write_durably(path, lambda file: torch.save({"global_step": step, "x": torch.ones(99)}, file))


def flip(path, position):
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def write_and_die_after(path, count):
    """Write NEW, but end for good after ``count`` bytes."""

    def partly(file):
        file.write(NEW[:count])
        kill_self()

    write_durably(path, partly)


def write_and_die_at(path, number):
    """Write NEW, but end for good at one of the calls that change what is on the disk."""
    left = iter(range(number))

    def dying(call):
        def counted(*args, **options):
            if next(left, None) is None:
                kill_self()
            return call(*args, **options)

        return counted

    os.fsync, Path.replace, Path.unlink = map(dying, (os.fsync, Path.replace, Path.unlink))
    write(path, NEW)


@pytest.fixture
def child():
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["munit_pl.io.checkpoint_files"])

    def run(target, *args):
        process = server.Process(target=target, args=args)
        process.start()
        process.join(60)
        return process.exitcode

    return run


def test_a_file_is_listed_with_its_hash_as_sha256sum_lists_it(tmp_path):
    write(tmp_path / "x.ckpt", NEW)
    expected = f"{hashlib.sha256(NEW).hexdigest()}  x.ckpt\n"
    assert (tmp_path / "x.ckpt").read_bytes() == NEW
    assert (tmp_path / "x.ckpt.sha256").read_text() == expected
    write(tmp_path / "x.ckpt", OLD)  # once replaced, the former hash is not good any more
    assert (tmp_path / "x.ckpt.sha256").read_text().split()[0] == hashlib.sha256(OLD).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.ckpt", "x.ckpt.sha256"]
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "-c", "x.ckpt.sha256"], cwd=tmp_path, check=True)


@pytest.mark.process
@pytest.mark.parametrize("count", [0, 1, len(NEW) // 2, len(NEW) - 1])
@pytest.mark.parametrize("existing", [True, False])
def test_a_process_killed_while_it_writes_leaves_what_was_there(child, tmp_path, existing, count):
    path = tmp_path / "last.ckpt"
    if existing:
        write(path, OLD)
    assert child(write_and_die_after, path, count) == -signal.SIGKILL
    (leftover,) = tmp_path.glob(".last.tmp-*.ckpt")
    remove_leftovers(tmp_path)
    assert not leftover.exists()
    assert path.exists() == existing
    if existing:
        verify(path)
        assert path.read_bytes() == OLD


@pytest.mark.process
@pytest.mark.parametrize("listed", [True, False])
def test_at_every_instant_of_replacing_a_file_it_is_whole(child, tmp_path, listed):
    """Killed at any call that changes the disk, it leaves the old file or the new one, and good."""
    seen = []
    for number in range(100):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "best.ckpt"
        save(path, 1)
        if not listed:  # as of another program
            (folder / "best.ckpt.sha256").unlink()
        old = path.read_bytes()
        code = child(write_and_die_at, path, number)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        verify(path)
        seen.append({old: "old", NEW: "new"}[path.read_bytes()])
        remove_leftovers(folder)
        names = {p.name for p in folder.iterdir()}
        assert names <= {"best.ckpt", "best.ckpt.sha256"}
    assert seen == sorted(seen, reverse=True)  # "old" first
    assert {"old", "new"} == set(seen)


def test_content_is_on_the_disk_before_it_gets_its_name_and_the_name_after(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace

    def synced(number):
        events.append(("sync", Path(f"/proc/self/fd/{number}").resolve().name))
        fsync(number)

    def replaced(source, target):
        events.append(("name", target.name))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write(tmp_path / "x.ckpt", NEW)
    content, folder = ("sync", f".x.tmp-{os.getpid()}.ckpt"), ("sync", tmp_path.name)
    assert events.index(content) < events.index(("name", "x.ckpt"))
    assert events[events.index(("name", "x.ckpt")) + 1] == folder
    assert events.index(("name", "x.ckpt.sha256")) < events.index(("name", "x.ckpt"))


def test_a_full_disk_leaves_the_former_file_and_nothing_else(tmp_path):
    write(tmp_path / "x.ckpt", OLD)

    def full(file):
        file.write(NEW[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_durably(tmp_path / "x.ckpt", full)
    verify(tmp_path / "x.ckpt")
    assert (tmp_path / "x.ckpt").read_bytes() == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.ckpt", "x.ckpt.sha256"]


def test_what_is_written_is_never_whole_in_memory(tmp_path):
    pieces = []

    def saved(file):
        original = file.write
        file.write = lambda data: pieces.append(len(data)) or original(data)
        torch.save([torch.zeros(1 << 18) for _ in range(8)], file)

    write_durably(tmp_path / "x.ckpt", saved)
    assert max(pieces) <= 1 << 20 < 8 << 20 < sum(pieces)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "there is no checkpoint"),
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: os.truncate(path, path.stat().st_size - 1), "is damaged"),
        (lambda path: os.truncate(path, 100), "is damaged"),
        (lambda path: flip(path, path.stat().st_size // 2), "is damaged"),
        (lambda path: path.write_text("hello"), "is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_told(tmp_path, damage, message):
    path = tmp_path / "x.ckpt"
    save(path, 1)
    verify(path)
    damage(path)
    with pytest.raises(ValueError, match=message) as error:
        verify(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("damage", ["cut", "text", "flip"])
def test_a_file_without_a_hash_is_good_if_it_reads_as_a_checkpoint(tmp_path, damage):
    path = tmp_path / "x.ckpt"
    torch.save({"x": torch.zeros(99)}, path)
    verify(path)
    if damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    elif damage == "text":
        path.write_text("hello")
    else:
        flip(path, path.read_bytes().index(bytes(99 * 4)) + 50)  # among the zeros
    with pytest.raises(ValueError, match=r"is no checkpoint|is damaged"):
        verify(path)


def test_the_newest_that_is_whole_is_found_and_no_more_is_hashed_than_needed(tmp_path, monkeypatch):
    for step in (9, 10, 200):  # in the order of numbers, not of words
        save(tmp_path / f"{step}.ckpt", step)
    link_durably(tmp_path / "200.ckpt", tmp_path / "last.ckpt")
    save(tmp_path / "best.ckpt", 300)
    hashed = []
    original = checkpoint_files.digest
    monkeypatch.setattr(
        checkpoint_files, "digest", lambda path: hashed.append(path.name) or original(path)
    )
    assert newest_valid(tmp_path) == (tmp_path / "200.ckpt", [])
    assert hashed == ["200.ckpt"]
    flip(tmp_path / "200.ckpt", 99)
    found, passed = newest_valid(tmp_path)
    assert found == tmp_path / "10.ckpt"
    assert len(passed) == 1
    assert "200.ckpt is damaged" in passed[0]
    (tmp_path / "10.ckpt").write_bytes(b"")
    (tmp_path / "9.ckpt").unlink()
    found, passed = newest_valid(tmp_path)
    assert found is None
    assert [("200.ckpt" in line, "10.ckpt" in line) for line in passed] == [
        (True, False),
        (False, True),
    ]
    assert newest_valid(tmp_path / "none") == (None, [])


def test_last_is_taken_where_it_alone_is_the_newest(tmp_path):
    save(tmp_path / "00000010.ckpt", 10)
    save(tmp_path / "last.ckpt", 20)
    assert newest_valid(tmp_path)[0] == tmp_path / "last.ckpt"
    save(tmp_path / "last.ckpt", 5)
    assert newest_valid(tmp_path)[0] == tmp_path / "00000010.ckpt"
    (tmp_path / "last.ckpt").write_text("hello")
    found, passed = newest_valid(tmp_path)
    assert found == tmp_path / "00000010.ckpt"
    assert "last.ckpt is no checkpoint" in passed[0]


@pytest.mark.parametrize("linked", [True, False])
def test_a_second_name_is_the_same_file_or_a_copy_with_a_hash_of_its_own(
    tmp_path, monkeypatch, linked
):
    def unable(*_):
        raise OSError(errno.EPERM, "no links here")

    if not linked:
        monkeypatch.setattr(os, "link", unable)
    last = tmp_path / "last.ckpt"
    for step in (1, 2):
        save(tmp_path / f"{step}.ckpt", step)
        link_durably(tmp_path / f"{step}.ckpt", last)
        assert last.samefile(tmp_path / f"{step}.ckpt") == linked
        verify(last)
        assert torch.load(last, weights_only=True)["global_step"] == step
    link_durably(tmp_path / "2.ckpt", last)
    names = ["1.ckpt", "1.ckpt.sha256", "2.ckpt", "2.ckpt.sha256", "last.ckpt", "last.ckpt.sha256"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert (tmp_path / "last.ckpt.sha256").read_text().endswith("  last.ckpt\n")


def test_removing_a_checkpoint_removes_its_hash_and_nothing_else(tmp_path):
    for step in (1, 2):
        save(tmp_path / f"{step}.ckpt", step)
    (tmp_path / "notes.ckpt").write_text("")
    assert step_files(tmp_path) == [tmp_path / "2.ckpt", tmp_path / "1.ckpt"]
    remove_checkpoint(tmp_path / "1.ckpt")
    remove_checkpoint(tmp_path / "1.ckpt")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["2.ckpt", "2.ckpt.sha256", "notes.ckpt"]


def test_leftovers_of_the_living_stay(tmp_path):
    alive = f".x.tmp-{os.getppid()}.ckpt"
    kept = {alive, ".x.ckpt.tmp-y", "x.tmp-4194305.ckpt", "x.ckpt"}
    dead = {".x.tmp-4194305.ckpt", ".x.ckpt.tmp-4194305"}  # beyond any number; of earlier versions
    for name in kept | dead:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_a_checkpoint_of_a_newer_version_is_refused():
    check_schema({})
    check_schema({"munit_pl": {"schema": 1}})
    with pytest.raises(ValueError, match="written by a newer munit_pl"):
        check_schema({"munit_pl": {"schema": 2}})
