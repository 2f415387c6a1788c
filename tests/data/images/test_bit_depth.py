"""That 9- to 15-bit gray in 16-bit files is seen, and everything else stays as it is."""

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl import AlignedDataModule, UnpairedDataModule
from munit_pl.data.images.bit_depth import find_max_value
from munit_pl.data.images.reading import from_pillow, read_image
from munit_pl.data.tools.assessment import assess
from munit_pl.data.tools.inspection import ImageSettings, inspect_images

BITS = {"trainA": 12, "trainB": 10, "testA": 9, "testB": 16}


def save(path, values):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def gray(bits, seed=0, size=(20, 24)):
    values = np.random.default_rng(seed).integers(0, 2**bits, size)
    values[0, :2] = 0, 2**bits - 1
    return values.astype(np.uint16 if bits > 8 else np.uint8)


@pytest.fixture
def root(tmp_path):
    for folder, bits in BITS.items():
        save(tmp_path / folder / "0.png", gray(bits))
        save(tmp_path / folder / "1.tif", gray(8, 1))  # 8 bits: no part of it
    return tmp_path


def levels(image):
    return np.asarray(image).astype(int)


def test_white_is_that_of_the_fewest_bits_that_hold_a_domains_files(tmp_path):
    for largest, white in ((0, 255), (255, 255), (256, 511), (4095, 4095), (32768, 65535)):
        files = [save(tmp_path / f"{i}.png", np.full((2, 2), v, np.uint16)) for i, v in
                 enumerate((0, largest))]  # fmt: skip
        assert find_max_value(files) == white
    (tmp_path / "broken.png").write_bytes(b"no image")
    eight = save(tmp_path / "8.png", np.zeros((2, 2), np.uint8))
    assert find_max_value([tmp_path / "broken.png", eight]) == 65535
    assert find_max_value([]) == 65535


def test_full_16_bits_and_8_bits_stay_as_they_are(tmp_path):
    every = np.arange(65536).reshape(256, 256).astype(np.uint16)
    path = save(tmp_path / "x.png", every)
    assert np.array_equal(levels(read_image(path, 1)), (every.astype(int) + 128) // 257)
    path = save(tmp_path / "8.png", gray(8))
    assert np.array_equal(levels(read_image(path, 1, max_value=4095)), gray(8))
    clipped = from_pillow(Image.fromarray(np.array([[0, 2048, 4095, 9000]], np.uint16)), 1, 4095)
    assert levels(clipped).tolist() == [[0, 128, 255, 255]]


def test_a_domain_is_read_in_the_range_of_its_training_images(root):
    options = {"resize": None, "crop": (20, 24), "channels_a": 1, "channels_b": 1}
    for asked, whites in (
        ({}, (4095, 1023)),
        ({"max_value_a": 65535, "max_value_b": 2000}, (65535, 2000)),
    ):
        data = UnpairedDataModule(root, **options, **asked)
        data.setup()
        for split in ("train", "test"):
            for domain, name, white in zip(data.domains[split], "AB", whites, strict=True):
                values = gray(BITS[f"{split}{name}"]).clip(max=white)
                seen = (domain.load(0, None)[0].numpy() + 1) / 2
                assert np.abs(seen - values / white).max() <= 0.5 / 255 + 1e-6
        assert (data.max_value("a"), data.max_value("b")) == whites
    for value in (0, 65536):
        with pytest.raises(ValueError, match=f"max_value_b is {value}, but must be at .* or auto"):
            UnpairedDataModule(root, max_value_b=value)


def test_both_halves_of_a_file_are_read_in_its_range(tmp_path):
    save(tmp_path / "train" / "0.png", gray(12, size=(16, 32)))
    data = AlignedDataModule(tmp_path, resize=None, crop=16, channels_a=1, max_value_b=8190)
    data.setup()
    a, b = (domain.load(0, None) for domain in data.domains["train"])
    left, right = np.split(torch.from_numpy(gray(12, size=(16, 32)).astype(np.float32)), 2, 1)
    assert (a[0] - (left / 2047.5 - 1)).abs().max() < 1.01 / 255
    assert (b[0] - (right / 4095 - 1)).abs().max() < 1.01 / 255


def test_a_check_tells_bits_and_white_and_what_lies_above(root):
    use = ImageSettings(None, (20, 24))
    train = inspect_images("train", "a", root / "trainA", use)
    assert (train.max_value, train.blank) == (4095, [])
    assert list(train.sixteen_bit.values()) == [4095]
    test = inspect_images("test", "a", root / "testB", use, max_value=train.max_value)
    notes = "\n".join(assess([train, test]).notes)
    assert (
        "train_a: 1 image of 16-bit gray, with values up to 4095, of 12 bits: a run takes 4095 "
        "for white, as data.max_value_a=4095 does"
    ) in notes
    assert (
        "test_a: 1 image with values above 4095, which become white: give data.max_value_a=65535"
    ) in notes
