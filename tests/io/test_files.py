import hashlib
import os
import stat
from pathlib import Path

import pytest

from munit_pl.io.files import digest, whole_file, whole_folder, write_whole, writer_of

LONGEST = "x" * 251 + ".png"  # bytes of a name that most systems take


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_gets_its_name_when_it_is_written(tmp_path):
    for name in ("x.png", "no ending", ".hidden", "a.b.c", LONGEST):
        path = tmp_path / name
        with whole_file(path) as unfinished:
            unfinished.write_text("old")
            assert names(tmp_path) == [unfinished.name]
            assert unfinished.name.endswith(path.suffix)
            assert writer_of(unfinished) == os.getpid()
        with whole_file(path) as unfinished:
            unfinished.write_text("new")
            assert path.read_text() == "old"
        assert path.read_text() == "new"
        assert names(tmp_path) == [name]
        assert writer_of(path) is None
        path.unlink()


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_a_file_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, error):
    write_whole(tmp_path / "x", "before")

    def fail(unfinished, content):
        with unfinished.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise error

    monkeypatch.setattr(Path, "write_bytes", fail)
    for name in ("x", "other"):
        with pytest.raises(type(error)):
            write_whole(tmp_path / name, b"after, in twice as many bytes")
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x").read_text() == "before"


def test_what_a_killed_process_of_this_number_left_is_not_written_to(tmp_path):
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / f".x.tmp-{os.getpid()}").symlink_to("elsewhere")
    write_whole(tmp_path / "x", "new")
    left = tmp_path / f".y.tmp-{os.getpid()}"
    left.mkdir()
    (left / "half").touch()
    with whole_folder(tmp_path / "y"):
        pass
    assert names(tmp_path) == ["elsewhere", "x", "y"]
    assert names(tmp_path / "y") == []
    assert [(tmp_path / name).read_text() for name in ("elsewhere", "x")] == ["kept", "new"]


@pytest.mark.skipif(os.name != "posix", reason="other systems have no umask")
def test_files_and_folders_have_the_modes_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", "")
        with whole_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "folder")]
    assert modes == [0o640, 0o750]


def test_a_folder_gets_its_name_when_it_is_full(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", LONGEST):
        with whole_folder(tmp_path / name) as unfinished:
            (unfinished / "file").touch()
            assert not (tmp_path / name / "file").exists()
        assert names(tmp_path / name) == ["file"]
    assert names(tmp_path) == sorted(["new", "empty", LONGEST])


def test_nothing_is_left_of_a_folder_that_fails(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "file").touch()
    for path in (tmp_path / "full", tmp_path / "file"):
        with pytest.raises(OSError), whole_folder(path) as unfinished:  # noqa: PT011
            (unfinished / "half").touch()
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "new") as unfinished:
        (unfinished / "half").write_text(str(1 / 0))
    with (
        pytest.raises(OSError, match=r"No such file or directory: '.*none/x'"),
        whole_folder(tmp_path / "none/x"),
    ):
        pass
    assert names(tmp_path) == ["file", "full"]
    assert names(tmp_path / "full") == ["file"]


def test_the_digest_is_the_files_sha256(tmp_path):
    content = bytes(range(256)) * 9000  # more than two blocks
    (tmp_path / "file").write_bytes(content)
    assert digest(tmp_path / "file") == hashlib.sha256(content).hexdigest()
