import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl import HuggingFaceDataModule, UnpairedDataModule
from munit_pl.data import image_folder

datasets = pytest.importorskip("datasets", reason="the extra datasets has it")

FOLDERS = {"trainA": 6, "trainB": 5, "testA": 2, "testB": 3}
SMALL = {"resize": 24, "crop": (20, 16), "batch_size": 2, "num_workers": 0, "max_bad_fraction": 0.2}
MASKS = {f"domain_{name}": {"mask": "mask"} for name in "ab"}


def save_set(root, masks=False):
    """Save the files of folders as a set of as many splits."""
    kinds = datasets.Features({name: datasets.Image() for name in ("image", "mask")[: 1 + masks]})
    splits = {}
    for folder in FOLDERS:
        rows = {
            name: [{"bytes": path.read_bytes(), "path": None} for path in sorted(place.iterdir())]
            for name, place in zip(kinds, (root / folder, root / f"{folder}_masks"), strict=False)
        }
        splits[folder] = datasets.Dataset.from_dict(rows, kinds)
    datasets.DatasetDict(splits).save_to_disk(root / "saved")
    return str(root / "saved")


@pytest.fixture
def root(tmp_path):
    """Folders of noise and masks, of which one image is turned by EXIF and one cut short."""
    rng = np.random.default_rng(0)
    for folder, count in FOLDERS.items():
        for name, channels in ((folder, 3), (f"{folder}_masks", 1)):
            (tmp_path / name).mkdir()
            for i in range(count):
                pixels = rng.integers(0, 256, (30, 40, channels), dtype=np.uint8)
                Image.fromarray(pixels.squeeze()).save(tmp_path / name / f"{i}.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    for name in ("trainA/0.png", "trainA_masks/0.png"):
        Image.open(tmp_path / name).save(tmp_path / name, exif=turned)
    bad = tmp_path / "trainB" / "3.png"
    bad.write_bytes(bad.read_bytes()[:200])
    return tmp_path


def batches(datamodule, n=7, global_step=0):
    """Return training batches, of more than two epochs."""
    datamodule.trainer = SimpleNamespace(
        global_step=global_step, world_size=1, global_rank=0, precision_plugin=None
    )
    datamodule.setup("fit")
    loader, read = datamodule.train_dataloader(), []
    while len(read) < n:
        for batch in loader:
            read.append(batch)
            datamodule.trainer.global_step += 1
    return read[:n]


def assert_same(here, there):
    for first, second in zip(here, there, strict=True):
        assert len(first) == len(second)
        assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_samples_are_those_of_folders_of_the_same_images(root):
    path = save_set(root)
    for options in ({}, {"seed": 5, "channels_a": 1, "max_images": 4}, {"num_workers": 2}):
        own = HuggingFaceDataModule(path, **SMALL | options)
        folders = UnpairedDataModule(root, **SMALL | options | {"num_workers": 0})
        assert_same(batches(own), batches(folders))
        assert_same([*own.val_dataloader()], [*folders.val_dataloader()])
        (bad,) = own.skipped_files.found.values()
        assert bad.file == f"{path}/trainB/image/3"
        assert own.skipped_files.totals == {
            name: len(folders.domains["train"][i]) + len(folders.domains["test"][i])
            for i, name in enumerate("ab")
        }


def test_a_column_of_masks_goes_with_the_images(root):
    own = HuggingFaceDataModule(save_set(root, masks=True), **SMALL | MASKS)
    folders = UnpairedDataModule(root, masks=True, **SMALL)
    assert own.masks
    assert_same(batches(own), batches(folders))
    with pytest.raises(ValueError, match="a column of masks for both domains, or for none"):
        HuggingFaceDataModule("x", domain_a={"mask": "mask"})


def test_a_resumed_run_reads_on(root):
    path = save_set(root)
    whole = batches(HuggingFaceDataModule(path, **SMALL), 7)
    for step in (1, 4):
        assert_same(batches(HuggingFaceDataModule(path, **SMALL), 2, step), whole[step : step + 2])


def test_images_that_cannot_hold_the_crop_are_left_out(root):
    Image.new("RGB", (10, 10)).save(root / "trainA" / "2.png")
    own = HuggingFaceDataModule(save_set(root, masks=True), **SMALL | MASKS | {"resize": None})
    own.setup("fit")
    train = own.domains["train"][0]
    assert [row.index for row in train.files] == [0, 1, 3, 4, 5]
    assert [row.index for row in train.masks.files] == [0, 1, 3, 4, 5]
    assert {str(row): fault[:21] for row, fault in train.bad.items()} == {
        f"{own.path}/trainA/image/2": "is 10x10 (height x wi"
    }


def test_few_of_many_rows_are_looked_at_unless_one_cannot_be_used(root, monkeypatch):
    monkeypatch.setattr(image_folder, "_ROWS_LOOKED_AT", 3)
    options = SMALL | {"resize": None, "max_bad_fraction": 1}
    for small, kept in ((1, [0, 1, 2, 3, 4, 5]), (2, [0, 3, 5])):
        for i in (small, 4) if small == 2 else (small,):
            Image.new("RGB", (10, 10)).save(root / "trainA" / f"{i}.png")
        own = HuggingFaceDataModule(save_set(root), **options)
        own.setup("fit")
        assert [row.index for row in own.domains["train"][0].files] == kept
        shutil.rmtree(own.path)


def test_a_resumed_run_is_warned_of_other_rows_and_not_of_another_place(root):
    before = HuggingFaceDataModule(save_set(root), **SMALL)
    before.setup("fit")
    state = before.state_dict()
    Image.effect_noise((40, 30), 9).save(root / "testA" / "0.png")
    (root / "saved").rename(root / "elsewhere")
    after = HuggingFaceDataModule(save_set(root.rename(root.with_name("moved"))), **SMALL)
    after.setup("fit")
    with pytest.warns(UserWarning, match="test images of domain a are others") as seen:
        after.load_state_dict(state)
    assert len(seen) == 1
