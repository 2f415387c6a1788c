import io
import sys
import tarfile

import pytest
from PIL import Image

from munit_pl.data.huggingface.columns import image_columns
from munit_pl.data.huggingface.opening import open_set

# A folder of tests has its name, too.
pytest.importorskip("datasets.features", reason="the extra datasets has it")
datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def png(level):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (level, 0, 0)).save(file, "PNG")
    return file.getvalue()


def table(*levels):
    images = {"image": [{"bytes": png(level), "path": None} for level in levels]}
    return datasets.Dataset.from_dict(images, datasets.Features(image=datasets.Image()))


def save_tar(file, *levels):
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for level in levels:
            entry = tarfile.TarInfo(f"{level}.image.png")
            entry.size = len(png(level))
            tar.addfile(entry, io.BytesIO(png(level)))


def levels(opened, configuration, split):
    there = opened.load(configuration, split)
    rows = there.with_format("arrow")[:].column(image_columns(there)[0]).to_pylist()
    return [Image.open(io.BytesIO(row["bytes"])).getpixel((0, 0))[0] for row in rows]


def load_all(path, revision):
    opened = open_set(path, revision)
    return [opened.load("default", split) for split in opened.splits("default")]


def parquet(root, **files):
    for name, there in files.items():
        path = root / f"{name.replace('__', '/').replace('_', '-')}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table(*there).to_parquet(path)
    return root


def test_saved_sets_parquet_files_and_tar_shards_are_the_same(tmp_path):
    datasets.DatasetDict(train=table(1, 2, 3), test=table(4)).save_to_disk(tmp_path / "saved")
    parquet(tmp_path / "parquet", train_00000_of_00002=[1, 2], train_00001_of_00002=[3], test=[4])
    for name, there in {"train-0": [1, 2], "train-1": [3], "test/000": [4]}.items():
        save_tar(tmp_path / "tar" / f"{name}.tar", *there)
    for kind in ("saved", "parquet", "tar"):
        opened = open_set(str(tmp_path / kind))
        assert opened.configurations == ["default"]
        assert {*opened.splits("default")} == {"train", "test"}
        assert levels(opened, "default", "train") == [1, 2, 3]
        assert levels(opened, "default", "test") == [4]


def test_one_table_is_a_training_split(tmp_path):
    table(1).save_to_disk(tmp_path / "saved")
    table(2).to_parquet(tmp_path / "0001.parquet")
    for path, level in (("saved", 1), ("0001.parquet", 2)):
        assert levels(open_set(str(tmp_path / path)), "default", "train") == [level]


def test_folders_above_the_splits_are_configurations(tmp_path):
    root = parquet(tmp_path / "x[1] *", horse__train_000=[1], zebra__train=[2], zebra__test=[3])
    opened = open_set(str(root))
    assert opened.configurations == ["horse", "zebra"]
    assert [levels(opened, name, "train") for name in opened.configurations] == [[1], [2]]
    assert opened.splits("horse") == ["train"]


def test_what_is_no_data_set_is_refused_in_one_line(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "x.png").write_bytes(png(1))
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 cut short")
    (tmp_path / "text.tar").write_bytes(b"this is no archive")
    table(1).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "data-00000-of-00001.arrow").write_bytes(b"nothing")
    for path, revision, message in [
        ("photos", None, "holds no parquet files, no tar shards .* data=folder data.root=FOLDER"),
        ("nowhere/at/all", None, "no such file or folder"),
        ("photos", "v1", "data.revision is of sets on the hub"),
        ("cut.parquet", None, r"cut.parquet' cannot be opened"),
        ("text.tar", None, r"text.tar' cannot be opened"),
        ("saved", None, "saved' cannot be opened"),
    ]:
        with pytest.raises((OSError, ValueError), match=message) as error:
            load_all(str(tmp_path / path), revision)
        assert len(str(error.value).splitlines()) == 1


def test_a_set_of_the_hub_is_asked_for_by_revision_and_configuration(monkeypatch):
    asked = []

    def load(path, name, revision):
        asked.append((path, name, revision))
        return datasets.DatasetDict(train=table(7), test=table(8))

    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda path, revision: ["x", "y"])
    monkeypatch.setattr(datasets, "load_dataset", load)
    opened = open_set("user/set", "v1")
    assert asked == []
    assert opened.configurations == ["x", "y"]
    assert opened.splits("y") == ["train", "test"]
    assert levels(opened, "y", "test") == [8]
    assert asked == [("user/set", "y", "v1")]


def test_a_hub_that_does_not_answer_is_told_in_one_line(monkeypatch):
    def fail(path, revision):
        raise datasets.exceptions.DatasetNotFoundError("it is not\nthere")

    monkeypatch.setattr(datasets, "get_dataset_config_names", fail)
    with pytest.raises(ConnectionError, match=r"'user/set', and from the hub .*: it is not there$"):
        open_set("user/set")


def test_without_datasets_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'munit-pl\[datasets\]'"):
        open_set("user/set")
