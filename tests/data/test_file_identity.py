import os
import warnings
from pathlib import Path

import pytest

from munit_pl.data.file_identity import compare_files, fingerprint, overlap


def make(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(f"{folder} {name}")
    return [folder / name for name in names]


def test_links_of_both_kinds_are_the_files_that_they_lead_to(tmp_path):
    files = make(tmp_path / "a", "xyz")
    for kind in ("hard", "symbolic"):
        (tmp_path / kind).mkdir()
    for file in files:
        os.link(file, tmp_path / "hard" / file.name)
        (tmp_path / "symbolic" / file.name).symlink_to(file)
    for kind in ("hard", "symbolic"):
        assert overlap(files, sorted((tmp_path / kind).iterdir())) == (3, 3, True)


def test_copies_are_other_files(tmp_path):
    a, b = make(tmp_path / "a", "xyz"), make(tmp_path / "b", "xyz")
    assert overlap(a, b) == (0, 3, False)


def test_a_part_of_the_files_is_not_all(tmp_path):
    files = make(tmp_path / "a", "vwxyz")
    assert overlap(files, files[1:4]) == (3, 3, False)


def test_of_many_files_few_are_looked_at(tmp_path, monkeypatch):
    (file,) = make(tmp_path, "x")
    looked_at = []
    status = os.stat(file)
    monkeypatch.setattr(os, "stat", lambda path: looked_at.append(path) or status)
    assert overlap([file] * 100_000, [file] * 100_000).same
    assert len(looked_at) <= 4000


def test_missing_files_are_none(tmp_path):
    gone = [tmp_path / "gone"]
    assert overlap(gone, gone) == (0, 0, False)


def test_the_same_images_are_refused_with_an_example(tmp_path):
    files = make(tmp_path / "a", "xy")
    with pytest.raises(
        ValueError, match=r"both are the same files, such as '.*/a/x' and .*: do so"
    ):
        compare_files(files, list(files), "both", "do so")
    compare_files(files, list(files), "both", "do so", by_name_too=False)


def test_shared_images_are_counted_in_a_warning(tmp_path):
    files = make(tmp_path / "a", "vwxyz")
    with pytest.warns(UserWarning, match="both share files: 2 of the 2 that were looked at"):
        compare_files(files, files[:2], "both", "do so")


def test_different_images_are_no_matter(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare_files(make(tmp_path / "a", "x"), make(tmp_path / "b", "x"), "both", "do so")


def test_a_digest_depends_on_names_and_order_but_not_on_where_the_folder_is():
    def of(root, *names):
        return fingerprint([Path(root, name) for name in names], Path(root))

    assert of("/data/set", "a/1", "a/2") == of("/elsewhere", "a/1", "a/2") == of(".", "a/1", "a/2")
    others = {of(".", "a/1", "a/2"), of(".", "a/2", "a/1"), of(".", "a/1"), of(".", "a/1a", "2")}
    assert len(others) == 4
    assert of(".", os.fsdecode(b"\xff"))
