import multiprocessing
import os

import pytest

from munit_pl.commands.errors import InputError
from munit_pl.commands.runtime.lock import locked


def hold(folder, held, over):
    with locked(folder):
        held.set()
        over.wait(30)


def test_a_folder_is_held_until_its_process_ends(tmp_path):
    context = multiprocessing.get_context("fork")
    held, over = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, held, over))
    other.start()
    assert held.wait(30)
    with pytest.raises(InputError, match=rf"in use by another run \(process {other.pid} on"):
        locked(tmp_path).__enter__()
    other.kill()  # it could not have cleaned up
    other.join()
    with locked(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / "run.lock").read_text()


def test_a_folder_that_cannot_be_written_to_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    for folder, why in ((tmp_path / "file", "File exists"), (tmp_path / "file/x", "Not a dir")):
        with pytest.raises(InputError, match=rf"nothing can be written to {folder}: {why}"):
            locked(folder).__enter__()


def test_a_process_that_is_forked_neither_ends_the_lock_nor_keeps_it(tmp_path):
    """As those that load images are."""
    context = multiprocessing.get_context("fork")
    over = context.Event()
    ending, staying = context.Process(), context.Process(target=over.wait, args=(30,))
    with locked(tmp_path):
        ending.start()
        staying.start()
        ending.join()
        with pytest.raises(InputError, match=rf"\(process {os.getpid()} on"):
            locked(tmp_path).__enter__()
    with locked(tmp_path):
        over.set()
    staying.join()


def test_a_folder_is_free_again_afterwards(tmp_path):
    for _ in range(2):
        with locked(tmp_path / "new"):
            pass


@pytest.mark.parametrize("error", [OSError(38, "not implemented"), OSError(37, "no locks")])
def test_a_file_system_without_locks_stops_no_run(tmp_path, monkeypatch, error):
    def flock(*_):
        raise error

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", flock)
    for _ in range(2):
        with locked(tmp_path), locked(tmp_path):
            assert (tmp_path / "run.lock").exists()
