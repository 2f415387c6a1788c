import pickle
from pathlib import Path

import pytest

from munit_pl.data.file_list import FileList


def test_paths_come_out_as_they_went_in():
    names = ["a.jpg", "sub/b c.png", "umlaut ü.jpg", "not utf-8 \udcff.jpg"]
    files = FileList(names, Path("photos"))
    assert list(files) == [Path("photos", name) for name in names]
    assert (len(files), files[-1], files[2]) == (
        4,
        Path("photos", names[3]),
        Path("photos", names[2]),
    )
    assert list(files[1:3]) == list(files)[1:3]
    assert list(files[::2]) == list(files)[::2]
    assert list(FileList.of(list(files))) == list(files)
    assert pickle.loads(pickle.dumps(files)) == files
    for index in (4, -5):
        with pytest.raises(IndexError):
            files[index]


def test_lists_are_equal_that_hold_equal_paths():
    files = FileList(["a.jpg", "b.jpg"], Path("photos"))
    assert files == [Path("photos/a.jpg"), Path("photos/b.jpg")]
    assert files == FileList(["photos/a.jpg", "photos/b.jpg"])
    assert files != FileList(["a.jpg", "b.jpg"], Path("others"))
    assert files != files[:1]
    assert list(FileList([])) == []


def test_all_paths_at_once_are_those_one_by_one():
    for folder in (Path("photos"), Path(), Path("/data"), None):
        files = FileList(["a.jpg", "sub/b.jpg"], folder)
        assert files.joined() == b"".join(bytes(path) + b"\0" for path in files)
        assert FileList([], folder).joined() == b""


def test_a_path_takes_little_more_than_its_letters():
    files = FileList([f"{i:06}.jpg" for i in range(10_000)], Path("photos"))
    assert len(pickle.dumps(files)) < 10_000 * (len("000000.jpg") + 1 + 8) + 1000
