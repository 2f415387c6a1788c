import pickle

import numpy as np
import pytest

from munit_pl.data.huggingface.rows import ImageColumn, Rows
from munit_pl.data.images.reading import read_image

# A folder of tests has its name, too.
pytest.importorskip("datasets.features", reason="the extra datasets has it")
datasets = pytest.importorskip("datasets")


def column(values, kind, title="set", folders=()):
    table = datasets.Dataset.from_dict({"x": values}, datasets.Features(x=kind))
    return ImageColumn(table, "x", title, folders)


def test_a_row_holds_an_image_as_bytes_or_names_a_file_of_the_set(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/x.png").write_bytes(b"file")
    image, binary = datasets.Image(decode=False), datasets.Value("binary")
    text = datasets.Value("string")
    for value, kind, content in [
        ({"bytes": b"own", "path": "/not/there.png"}, image, b"own"),
        (b"own", binary, b"own"),
        ({"bytes": None, "path": "in/x.png"}, image, b"file"),
        ({"bytes": None, "path": str(tmp_path / "in/x.png")}, image, b"file"),
        ("in/x.png", text, b"file"),
    ]:
        with column([value], kind, folders=[tmp_path]).open(0) as file:
            assert file.read() == content


def test_a_row_that_names_a_file_elsewhere_or_none_is_refused(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    image = datasets.Image(decode=False)
    for name in (str(tmp_path / "secret.png"), "../secret.png", "link.png"):
        rows = Rows(column([{"bytes": None, "path": name}], image, folders=[folder]), range(1))
        with pytest.raises(OSError, match="cannot read image 'set/x/0': the row names the file"):
            read_image(rows[0], 3)
    empty = Rows(column([None, {"bytes": b"", "path": None}], image), range(2))
    for row, message in zip(
        empty, ("the row holds no image", "its header is of none"), strict=True
    ):
        with pytest.raises(OSError, match=message):
            read_image(row, 3)


def test_rows_are_a_sequence_that_keeps_numbers_alone(tmp_path):
    n = 1000
    table = datasets.Dataset.from_dict({"x": [b"%d" % i for i in range(n)]})
    table.save_to_disk(tmp_path)
    whole = Rows(ImageColumn(datasets.load_from_disk(str(tmp_path)), "x", "set", []), range(n))
    odd = Rows(whole.column, np.arange(1, n, 2, dtype=np.int32))
    assert [row.open().read() for row in odd[2:4]] == [b"5", b"7"]
    assert str(odd[-1]) == "set/x/999"
    assert [row.index for row in odd[:4].without([0, 2])] == [3, 7]
    assert whole == Rows(whole.column, range(n)) != odd
    again = pickle.loads(pickle.dumps(odd))
    assert again == odd
    assert again[3].open().read() == b"7"
    assert len(pickle.dumps(whole)) < 5000  # what is sent to a worker


def test_a_fingerprint_tells_sets_apart_and_not_places(tmp_path):
    binary = datasets.Value("binary")
    values = [b"%d" % i for i in range(100)]
    here, there = (Rows(column(values, binary, title), range(100)) for title in ("x", "y"))
    assert here.fingerprint() == there.fingerprint() != here[1:].fingerprint()
    other = Rows(column([b"new", *values[1:]], binary), range(100))
    assert other.fingerprint() != here.fingerprint()
