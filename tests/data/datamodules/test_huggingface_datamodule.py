import io
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


# Pairs


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def pairs(tmp_path):
    """A set of 9 rows, whose pixels say where they are and in which row; b's left side is white."""
    y, x = np.mgrid[:30, :40]
    columns = {"imageA": [], "imageB": []}
    for row in range(9):
        pixels = np.stack([y, x, np.full_like(y, row)], axis=2).astype(np.uint8)
        columns["imageA"].append(png(pixels))
        pixels[:, :20] = 255
        columns["imageB"].append(png(pixels))

    def save(**changes):
        path = tmp_path / f"pairs{len([*tmp_path.iterdir()])}"
        for name, images in changes.items():
            for row, image in images.items():
                columns[name][row] = image
        kinds = datasets.Features({name: datasets.Image() for name in columns})
        rows = {n: [{"bytes": x, "path": None} for x in images] for n, images in columns.items()}
        datasets.Dataset.from_dict(rows, kinds).save_to_disk(path)
        return str(path)

    return save


PAIRED = {"resize": None, "crop": (12, 10), "batch_size": 9, "num_workers": 0, "paired": True}


def test_the_images_of_a_row_are_cropped_and_mirrored_alike_where_both_show_something(pairs):
    seen, path = set(), pairs()
    datamodule = HuggingFaceDataModule(path, **PAIRED)
    read = batches(datamodule, 4) + [tuple(x) for x in datamodule.val_dataloader()]
    for x_a, x_b in read:
        white = (x_b == 255).all(1, keepdim=True).expand_as(x_b)
        assert torch.equal(x_b[~white], x_a[~white])
        assert not white.flatten(1).all(1).any()  # as a third of the crops would be
        seen |= {(*x[:2, 0, 0].tolist(), bool(x[1, 0, 0] > x[1, 0, 9])) for x in x_a}
    assert len(seen) > 12
    gray = HuggingFaceDataModule(path, **PAIRED, channels_b=1)
    assert [torch.equal(x[0], y[0]) for x, y in zip(batches(gray, 4), read, strict=False)] == [
        1
    ] * 4
    assert_same(batches(HuggingFaceDataModule(path, **PAIRED), 2, 1), read[1:3])


def test_what_cannot_be_used_leaves_with_its_partner(pairs):
    small, noise = np.zeros((9, 9, 3), np.uint8), np.eye(40, dtype=np.uint8)[..., None] * 255
    cut = png(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8))[:900]
    path = pairs(imageA={2: png(small)}, imageB={4: png(small), 5: cut, 7: png(noise.repeat(3, 2))})
    datamodule = HuggingFaceDataModule(path, **PAIRED | {"max_bad_fraction": 1})
    read = batches(datamodule, 3)
    a, b = datamodule.domains["train"]
    assert [row.index for row in a.files] == [row.index for row in b.files] == [0, 1, 3, 5, 6, 7, 8]
    for domain, own in ((a, 2), (b, 4)):
        told = {row.index: fault[:24] for row, fault in domain.bad.items()}
        assert told == {own: "is 9x9 (height x width),", 6 - own: "has a partner that is 9x"}
    for x_a, x_b in read:
        rows = x_a[:, 2, 0, 0].tolist()
        assert {2, 4, 5, 7}.isdisjoint(rows)
        assert x_b[:, 2].amin((1, 2)).tolist() == rows
    reasons = {bad.file[-8:]: bad.reason for bad in datamodule.skipped_files.found.values()}
    assert "imageB/5" in reasons["imageA/5"]
    assert "are resized to 30x40 and 40x40: make them of one shape" in reasons["imageA/7"]
    masks = {f"domain_{x.lower()}": {"column": f"image{x}", "mask": "imageA"} for x in "AB"}
    gray = PAIRED | {"max_bad_fraction": 1, "channels_a": 1} | masks
    for x_a, _, mask_a, mask_b in batches(HuggingFaceDataModule(path, **gray), 3):
        assert torch.equal(mask_a, x_a)
        assert torch.equal(mask_b, x_a)
