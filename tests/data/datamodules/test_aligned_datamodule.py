from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl import AlignedDataModule
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.images.tensors import from_uint8, to_uint8
from munit_pl.data.sample_order import sample_at

HEIGHT, WIDTH = 12, 10  # of a half


def save_pair(path, number):
    """Save halves whose pixels say where they are, in which file and in which half."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    halves = [np.stack([y, x, np.full_like(y, 2 * number + side)], axis=2) for side in (0, 1)]
    Image.fromarray(np.concatenate(halves, axis=1).astype(np.uint8)).save(path)


@pytest.fixture
def make(tmp_path):
    """A data module of 9 training and 3 test images; keyword arguments are changes."""
    for folder, first, count in (("train", 0, 9), ("val", 50, 3)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            save_pair(tmp_path / folder / f"{i}.png", first + i)

    def make_datamodule(**changes):
        arguments = {"resize": None, "crop": (8, 8), "num_workers": 0, **changes}
        datamodule = AlignedDataModule(tmp_path, **arguments)
        datamodule.setup("fit")
        return datamodule

    return make_datamodule


def batches(datamodule, n=3, **run):
    there = {"global_step": 0, "world_size": 1, "global_rank": 0}
    datamodule.trainer = SimpleNamespace(**there | run)
    loader = iter(datamodule.train_dataloader())
    return [tuple(map(from_uint8, next(loader))) for _ in range(n)]


def passes(datamodule, n):
    """Return the first passes over all 9 files, each as one batch."""
    return [batches(datamodule, 1, global_step=step)[0] for step in range(n)]


def places(x):
    """Return rows and columns, ``(N, 2, H, W)``, and the numbers, ``(N,)``, that pixels tell."""
    pixels = to_uint8(x)
    numbers = pixels[:, 2, 0, 0]
    assert (pixels[:, 2] == numbers[:, None, None]).all()  # no pixel of the other half
    return pixels[:, :2], numbers.tolist()


# Pairs


def test_pairs_are_halves_of_one_file_cropped_and_mirrored_alike(make):
    seen = set()
    for x_a, x_b in passes(make(batch_size=9), 4):
        (where_a, a), (where_b, b) = places(x_a), places(x_b)
        assert torch.equal(where_a, where_b)
        assert [number + 1 for number in a] == b
        seen |= {(*w[:, 0, 0].tolist(), bool(w[1, 0, 0] > w[1, 0, 7])) for w in where_a}
    assert len(seen) > 12  # of 30 crops and mirrorings, so they are drawn


def test_pairs_follow_the_stream_of_domain_a(make):
    paired, own = make(batch_size=3, seed=4), make(batch_size=3, seed=4, paired=False)
    for step, (pairs, unpaired) in enumerate(zip(batches(paired), batches(own), strict=True)):
        assert torch.equal(pairs[0], unpaired[0])
        _, numbers = places(pairs[1])
        order = [sample_at(3 * step + i, 9, "a", 4) for i in range(3)]
        assert numbers == [2 * index + 1 for index in order]


def test_unpaired_halves_have_an_order_and_crops_of_their_own(make):
    read = passes(make(batch_size=9, paired=False), 3)
    x_a, x_b = (torch.cat(images) for images in zip(*read, strict=True))
    (where_a, a), (where_b, b) = places(x_a), places(x_b)
    for i in (0, 9, 18):
        assert sorted(a[i : i + 9]) == list(range(0, 18, 2))
        assert sorted(b[i : i + 9]) == list(range(1, 18, 2))
    files = [(left // 2, right // 2) for left, right in zip(a, b, strict=True)]
    assert sum(left == right for left, right in files) < 10  # 3 are expected by chance
    assert len(set(files)) > 18
    alike = (where_a == where_b).flatten(1).all(1)
    assert alike.sum() < 8


def test_reversed_the_right_half_is_domain_a(make):
    plain, turned = make(batch_size=3), make(batch_size=3, reverse=True)
    for here, there in zip(batches(plain), batches(turned), strict=True):
        assert torch.equal(here[0], there[1])
        assert torch.equal(here[1], there[0])


@pytest.mark.parametrize("paired", [True, False])
def test_test_pairs_are_read_in_order_from_the_center(make, paired):
    datamodule = make(batch_size=2, paired=paired)
    read = [tuple(map(from_uint8, batch)) for batch in datamodule.val_dataloader()]
    assert [places(x_a)[1] for x_a, _ in read] == [[100, 102], [104]]
    assert [places(x_b)[1] for _, x_b in read] == [[101, 103], [105]]
    for x in (x for batch in read for x in batch):
        assert (places(x)[0][:, :, 0, 0] == torch.tensor([2, 1])).all()


@pytest.mark.parametrize("paired", [True, False])
def test_equal_places_of_the_domains_are_halves_of_one_file(make, paired):
    """So an evaluation may always compare translations with their pairs."""
    datamodule = make(paired=paired)
    assert isinstance(datamodule, TwoDomains)
    assert datamodule.paired == paired
    for split, count in (("train", 9), ("test", 3)):
        a, b = datamodule.domains[split]
        assert len(a) == len(b) == count
        for i in range(count):
            assert places(a.load(i, None)[None])[1][0] + 1 == places(b.load(i, None)[None])[1][0]


# The stream


@pytest.mark.parametrize("workers", [0, 2])
def test_two_processes_read_together_the_pairs_that_one_reads(make, workers):
    one = batches(make(batch_size=4))
    two = [
        batches(make(batch_size=2, num_workers=workers), world_size=2, global_rank=rank)
        for rank in (0, 1)
    ]
    for whole, first, second in zip(one, *two, strict=True):
        for domain in (0, 1):
            assert torch.equal(whole[domain], torch.cat([first[domain], second[domain]]))


def test_a_resumed_run_reads_on_with_the_pairs_it_would_have_read(make):
    whole = [batch for s in (0, 3) for batch in batches(make(batch_size=3), global_step=s)]
    for step in (1, 4):  # in the first pass and in the second
        (batch,) = batches(make(batch_size=3), n=1, global_step=step)
        for domain in (0, 1):
            assert torch.equal(batch[domain], whole[step][domain])


# Settings


def test_halves_are_resized_apart(tmp_path):
    """Resized in one piece, black and white would mix where the halves meet."""
    (tmp_path / "train").mkdir()
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 20:] = 255
    Image.fromarray(pixels).save(tmp_path / "train" / "x.png")
    datamodule = AlignedDataModule(tmp_path, resize=13, crop=(13, 13))
    datamodule.setup("fit")
    a, b = datamodule.domains["train"]
    assert a.load(0, None).shape == (3, 13, 13)
    assert (a.load(0, None) == -1).all()
    assert (b.load(0, None) == 1).all()


def test_channels_are_those_of_each_domain_and_crops_stay_equal(make):
    for reverse in (False, True):
        datamodule = make(channels_a=1, channels_b=4, batch_size=9, reverse=reverse)
        ((x_a, x_b),) = batches(datamodule, n=1)
        assert (x_a.shape, x_b.shape) == ((9, 1, 8, 8), (9, 4, 8, 8))
        y, x, blue = to_uint8(x_b[:, :3]).double().unbind(1)
        blue = blue + (1 if reverse else -1)  # what the other half has
        luma = (299 * y + 587 * x + 114 * blue) / 1000  # ITU-R 601, as Pillow turns RGB to gray
        assert (to_uint8(x_a)[:, 0] - luma).abs().max() <= 1


def test_the_background_shows_through(tmp_path):
    (tmp_path / "train").mkdir()
    Image.new("RGBA", (16, 8), (9, 9, 9, 0)).save(tmp_path / "train" / "x.png")
    datamodule = AlignedDataModule(tmp_path, resize=8, crop=(8, 8), background=(255, 0, 255))
    datamodule.setup("fit")
    for domain in datamodule.domains["train"]:
        assert domain.load(0, None)[:, 0, 0].tolist() == [1, -1, 1]


def test_max_images_limits_the_files_of_both_domains(make):
    datamodule = make(max_images=2)
    for domains in datamodule.domains.values():
        assert [len(domain) for domain in domains] == [2, 2]


def test_folders_can_have_other_names(make):
    datamodule = make(train="val", test="train")
    assert [len(datamodule.domains[split][0]) for split in ("train", "test")] == [3, 9]


def test_without_a_test_folder_the_training_images_are_used(make):
    datamodule = make(test="test")
    assert datamodule.domains["test"][0].files == datamodule.domains["train"][0].files


# Refusing


def test_a_missing_training_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="train"):
        AlignedDataModule(tmp_path).setup("fit")


def test_files_without_two_usable_halves_are_left_out_of_both_domains(make, tmp_path):
    Image.new("RGB", (301, 300)).save(tmp_path / "train" / "odd.png")
    Image.new("RGB", (14, 12)).save(tmp_path / "train" / "small.png")
    (tmp_path / "train" / "empty.jpg").touch()
    a, b = make(max_bad_fraction=1).domains["train"]
    assert [path.name for path in a.files] == [f"{i}.png" for i in range(9)]
    assert a.files == b.files
    assert {path.name: fault.split(",")[0] for path, fault in a.bad.items()} == {
        "odd.png": "is 300x301 (height x width)",
        "small.png": "has a left half of 12x7 (height x width)",
        "empty.jpg": "is empty",
    }
    assert a.bad == b.bad


def test_images_of_odd_width_alone_are_refused_before_training(tmp_path):
    (tmp_path / "train").mkdir()
    Image.new("RGB", (301, 300)).save(tmp_path / "train" / "odd.png")
    message = (
        r"train/odd.png' is 300x301 \(height x width\), but two images of equal width side by side "
        "have an even width: correct or remove it$"
    )
    for resize, crop in ((None, (8, 8)), (8, (8, 8))):  # whether or not sizes need a check
        with pytest.raises(ValueError, match=message):
            AlignedDataModule(tmp_path, resize=resize, crop=crop).setup("fit")


@pytest.mark.parametrize(("reverse", "half"), [(False, "left"), (True, "right")])
def test_images_too_small_once_halved_are_refused_before_training(make, reverse, half):
    message = (
        rf"none of the 9 images can be used; the first: '\S*train/0\.png' has a {half} half of "
        r"12x10 \(height x width\), and cannot hold the crop 12x11: set data.resize"
    )
    with pytest.raises(ValueError, match=message):
        make(crop=(12, 11), reverse=reverse)
