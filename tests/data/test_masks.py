"""Masks go with their images: here each image shows its own mask, so that both must be alike."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl import DrawnDataModule, UnpairedDataModule
from munit_pl.data.loader import PairLoader
from munit_pl.data.masks import find_masks
from munit_pl.data.tools.copy_image import CopySettings
from munit_pl.data.tools.prepare import prepare

FOLDERS = {"trainA": 5, "trainB": 6, "testA": 2, "testB": 3}
WAYS = [
    {},
    {"num_workers": 2},
    {"resize": None},
    {"channels_a": 1, "channels_b": 4},
]


def save(root, folder, name, size=(40, 30), seed=0):
    """Save noise and, as its mask, the same noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
    for place, mode in ((f"{folder}/{name}", "RGB"), (f"{folder}_masks/{name}", "L")):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).convert(mode).save(root / place)


@pytest.fixture
def root(tmp_path):
    for folder, count in FOLDERS.items():
        for i in range(count):
            save(tmp_path, folder, f"{i}.png", seed=len(list(tmp_path.rglob("*"))))
    return tmp_path


def make(root, **options):
    small = {"resize": 24, "crop": (20, 16), "batch_size": 2, "num_workers": 0, "masks": True}
    return UnpairedDataModule(root, **small | options)


def ready(datamodule, global_step=0):
    datamodule.trainer = SimpleNamespace(
        global_step=global_step, world_size=1, global_rank=0, precision_plugin=None
    )
    datamodule.setup("fit")
    return datamodule


def batches(datamodule, n=7, global_step=0):
    """Return training batches as a module gets them."""
    loader: PairLoader = ready(datamodule, global_step).train_dataloader()
    read = []
    while len(read) < n:  # epochs of three batches
        read += [datamodule.on_after_batch_transfer(batch, 0) for batch in loader]
        datamodule.trainer.global_step = global_step + len(read)
    return read[:n]


def assert_alike(batch):
    x_a, x_b, m_a, m_b = batch
    for x, m in ((x_a, m_a), (x_b, m_b)):
        assert m.shape == (len(x), 1, *x.shape[2:])
        assert m.unique().numel() > 30
        for channel in x.split(1, 1)[:3]:
            assert torch.equal(m, (channel + 1) / 2)


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_masks_are_resized_cropped_and_mirrored_as_their_images(root, options):
    for batch in batches(make(root, **options)):
        assert_alike(batch)
        assert batch[0].shape[1:] == (options.get("channels_a", 3), 20, 16)


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_images_are_the_same_with_masks_and_without(root, options):
    masked, plain = (batches(make(root, masks=masks, **options)) for masks in (True, False))
    for with_masks, without in zip(masked, plain, strict=True):
        assert len(without) == 2
        for x, y in zip(with_masks[:2], without, strict=True):
            assert torch.equal(x, y)
            assert x.is_contiguous()


def test_masks_of_validation_are_those_of_the_test_images(root):
    datamodule = ready(make(root))
    read = [datamodule.on_after_batch_transfer(b, 0) for b in datamodule.val_dataloader()]
    assert [len(m_b) for *_, m_b in read] == [2, 1]
    for batch in read:
        assert_alike(batch)


def test_a_resumed_run_reads_on_with_the_same_masks_in_mid_epoch(root):
    whole, (resumed,) = batches(make(root)), batches(make(root), n=1, global_step=4)
    for x, y in zip(resumed, whole[4], strict=True):
        assert torch.equal(x, y)


def test_what_stands_in_for_a_bad_image_or_mask_comes_with_its_own(root):
    for path in (root / "trainA" / "1.png", root / "trainB_masks" / "2.png"):
        path.write_bytes(path.read_bytes()[:60])  # starts well: found when it is read
    datamodule = make(root, max_bad_fraction=1)
    for batch in batches(datamodule):
        assert_alike(batch)
    told = {domain: str(bad) for (domain, _), bad in datamodule.skipped_files.found.items()}
    assert "cannot read image" in told["a"]
    image, mask = (root / folder / "2.png" for folder in ("trainB", "trainB_masks"))
    assert told["b"].startswith(f"cannot use the mask of image '{image}': cannot read image")
    assert str(mask) in told["b"]


def test_masks_of_a_prepared_copy_fit_its_images(tmp_path):
    for i in range(2):
        for folder in FOLDERS:
            save(tmp_path / "large", folder, f"{i}.png", (90, 67), seed=i)
    prepare(tmp_path / "large", tmp_path / "small", CopySettings(33, "png"))
    with Image.open(tmp_path / "small" / "trainA_masks" / "0.png") as mask:
        assert mask.size == (44, 33)
    for batch in batches(make(tmp_path / "small"), n=2):
        assert_alike(batch)


def test_masks_have_the_place_and_the_name_of_their_image_but_for_the_ending(root):
    for name in ("deep/0.png", "deep/b.c.png"):
        save(root, "trainA", name)
        (root / "trainA" / name).rename((root / "trainA" / name).with_suffix(".jpg"))
    save(root, "trainA_masks", "of no image.png")
    images = [root / "trainA" / name for name in ("deep/b.c.jpg", "0.png", "deep/0.jpg")]
    found = find_masks(images, root / "trainA")
    assert [str(path.relative_to(root / "trainA_masks")) for path in found] == [
        "deep/b.c.png",
        "0.png",
        "deep/0.png",
    ]


def test_masks_follow_what_is_read_of_a_folder(root):
    """By a list, without what cannot hold the crop, and as far as ``max_images`` goes."""
    save(root, "trainA", "tiny.png", size=(50, 8))
    (root / "some.txt").write_text("4.png\ntiny.png\n2.png\n3.png\n")
    options = {"lists": {"train_a": "some.txt"}, "resize": None, "max_images": 3}
    datamodule = make(root, max_bad_fraction=1, **options)
    for batch in batches(datamodule, n=2):
        assert_alike(batch)
    folder = datamodule.domains["train"][0]
    assert [path.name for path in folder.masks.files] == ["4.png", "2.png"]


def test_evaluation_and_pictures_get_images_alone(root):
    datamodule = ready(make(root))
    assert datamodule.first_images("test", "a", 2).shape == (2, 3, 20, 16)
    assert datamodule.domains["train"][1].load(0, None).shape == (3, 20, 16)


# Drawn shoes


def test_drawn_masks_cover_all_of_the_shoe_and_little_else():
    datamodule = DrawnDataModule(length=8, batch_size=8, paired=True, masks=True)
    (x_a, x_b, m_a, m_b), *_ = batches(datamodule, n=1)
    silhouettes = torch.stack(
        [datamodule.domains["train"][0].truth(i).silhouette for i in range(8)]
    )
    assert torch.equal(m_a, m_b)
    assert m_a.unique().tolist() == [0, 1]
    for x in (x_a, x_b):
        assert (x.masked_select(m_a == 0) == 1).all()
    assert silhouettes.sum() < m_a.sum() < 1.5 * silhouettes.sum()


@pytest.mark.parametrize("paired", [True, False])
def test_drawn_pictures_are_the_same_with_masks_and_without(paired):
    options = {"length": 6, "batch_size": 3, "size": (32, 32), "paired": paired}
    masked, plain = (batches(DrawnDataModule(**options, masks=masks), 2) for masks in (True, False))
    for with_masks, without in zip(masked, plain, strict=True):
        assert len(without) == 2
        assert all(torch.equal(*pair) for pair in zip(with_masks[:2], without, strict=True))


# Bad input


def refused(root, error, pattern, **options):
    with pytest.raises(error, match=pattern) as told:
        make(root, **options).setup("fit")
    assert "\n" not in str(told.value)


def test_missing_folders_of_masks_are_named(root):
    (root / "testB_masks").rename(root / "other")
    pattern = r"there is no folder '.*testB_masks' for the masks of '.*testB': add it, or set masks"
    refused(root, FileNotFoundError, pattern)
    make(root, masks=False).setup("fit")


def test_without_test_images_the_training_images_masks_are_used(root):
    for folder in ("testA", "testB", "testA_masks", "testB_masks"):
        (root / folder).rename(root / f"no_{folder}")
    datamodule = ready(make(root))
    for batch in datamodule.val_dataloader():
        assert_alike(datamodule.on_after_batch_transfer(batch, 0))


def test_images_without_a_mask_are_counted_and_one_is_named(root):
    for name in ("1.png", "3.png"):
        (root / "trainA_masks" / name).unlink()
    pattern = (
        r"of 5 images in '.*trainA' 2 cannot be used with masks; the first: '.*trainA/1\.png' has "
        r"no mask '.*trainA_masks/1\.png': add it, white where the image may change and black "
        r"elsewhere, or remove the image"
    )
    refused(root, ValueError, pattern)


def test_masks_of_another_size_are_named_before_training(root):
    Image.new("L", (41, 30)).save(root / "trainB_masks" / "0.png")
    pattern = r"trainB/0\.png' is 30x40 \(height x width\) and its mask '.*0\.png' 30x41: make them"
    refused(root, ValueError, pattern)


def test_empty_masks_and_two_for_an_image_are_named(root):
    (root / "testA_masks" / "0.png").write_bytes(b"")
    refused(root, ValueError, r"has a mask, '.*testA_masks/0\.png', that is empty: correct it")
    Image.new("L", (40, 30)).save(root / "trainA_masks" / "2.bmp")
    refused(root, ValueError, r"trainA/2\.png' has two masks, '.*2\.bmp' and '2\.png': remove one")


def test_masks_whose_header_is_broken_are_named(root):
    path = root / "trainA_masks" / "0.png"
    path.write_bytes(path.read_bytes()[:20])
    refused(root, ValueError, r"has a mask that cannot be read \(.*trainA_masks/0\.png'.*\): corr")


def test_masks_of_zeros_and_ones_are_named_when_they_are_read(root):
    labels = np.arange(1200).reshape(30, 40) % 2
    Image.fromarray(labels.astype(np.uint8)).save(root / "trainA_masks" / "0.png")
    folder = ready(make(root, resize=None)).domains["train"][0]
    with pytest.raises(ValueError, match=r"trainA/0\.png': its levels are 0 and 1, but what may"):
        folder.load(0, None)
    Image.new("L", (40, 30)).save(root / "trainA_masks" / "0.png")  # all must stay
    assert not folder.load_uint8(0, None).mask.any()


def test_masks_that_change_their_size_later_are_named(root):
    folder = ready(make(root)).domains["train"][0]
    Image.new("L", (30, 40)).save(root / "trainA_masks" / "0.png")
    with pytest.raises(ValueError, match=r"it is 32x24, the image 24x32: make them of one size"):
        folder.load(0, None)


def test_a_mask_that_the_disk_lost_counts_as_a_lost_disk(root):
    folder = ready(make(root)).domains["train"][0]
    (root / "trainA_masks" / "0.png").unlink()
    with pytest.raises(FileNotFoundError):
        folder.load(0, None)


def test_masks_come_in_the_same_bytes_as_images(root):
    batch = next(iter(ready(make(root)).train_dataloader()))
    assert [x.dtype for x in batch] == [torch.uint8] * 4
    assert [x.shape for x in batch] == [(2, 3, 20, 16)] * 2 + [(2, 1, 20, 16)] * 2
    assert torch.equal(batch[0][:, :1], batch[2])
    assert_alike(ready(make(root)).on_after_batch_transfer(batch, 0))
