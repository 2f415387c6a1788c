"""Images of the kinds that lie in people's folders, and what is not trained on."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.data import image_folder as folder_file
from munit_pl.data.cropping import MAX_CROPS, BlankCrop
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.tensors import to_uint8
from munit_pl.data.listing import scan_folder
from munit_pl.randomness import rng_for

CROP = {"resize": None, "crop": (8, 8), "flip": False}


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


# From listing to loading


def test_what_cannot_be_used_is_passed_over_with_its_reason_and_the_rest_is_read(tmp_path):
    good = [save(tmp_path / name, noise(20, 20)) for name in ["a.png", "z b.jpg"]]
    save(tmp_path / "small.png", noise(7, 20))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "header.png").write_bytes((tmp_path / "a.png").read_bytes()[:20])
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "notes.txt").touch()
    found = scan_folder(tmp_path)
    images = ImageFolder(found.images, **CROP, bad=found.bad)
    images.check_sizes()
    assert images.files == good
    header = images.bad.pop(tmp_path / "header.png")
    assert header.startswith("cannot be read: ")  # and on in Pillow's words
    assert "header.png" not in header
    assert {path.name: fault.split(",")[0] for path, fault in images.bad.items()} == {
        "empty.jpg": "is empty",
        "link.png": "is a link to a missing file",
        "small.png": "is 7x20 (height x width)",
    }
    for i in range(2):
        assert images.load(i, rng_for(i)).shape == (3, 8, 8)


def test_a_header_that_vanished_or_declares_too_much_is_bad(tmp_path):
    good = save(tmp_path / "a.png", noise(9, 9))
    (tmp_path / "huge.pgm").write_bytes(b"P5 20000 9500 255\n")
    images = ImageFolder([good, tmp_path / "gone.png", tmp_path / "huge.pgm"], **CROP)
    images.check_sizes()
    assert images.files == [good]
    assert images.bad[tmp_path / "gone.png"] == f"cannot be read: {os.strerror(2)}"
    assert images.bad[tmp_path / "huge.pgm"] == (
        "cannot be read: more than 64 million pixels, resize it (height x width 9500x20000)"
    )


def test_none_left_is_an_error_however_often_each_is_listed(tmp_path):
    small = save(tmp_path / "small.png", noise(7, 20))
    images = ImageFolder([small, small, tmp_path / "gone.png"], **CROP)
    with pytest.raises(ValueError, match=r"none of the 2 images .* first: '.*small\.png' is 7x20"):
        images.check_sizes()


# Long images


@pytest.mark.parametrize("turn", [False, True])
def test_an_image_much_longer_than_wide_is_never_resized(tmp_path, monkeypatch, turn):
    """3x4000 would be resized to 256x341333."""
    size = (4000, 3) if turn else (3, 4000)
    save(tmp_path / "x.png", noise(*size))
    monkeypatch.setattr(Image.Image, "resize", None)
    images = ImageFolder([tmp_path / "x.png"])
    for rng in (None, rng_for(0)):
        with pytest.raises(ValueError, match=f"it is {size[0]}x{size[1]} .* 8 times"):
            images.load(0, rng)


def test_eight_times_as_long_as_wide_is_still_resized(tmp_path):
    files = [save(tmp_path / f"{n}.png", noise(4, n)) for n in (32, 33)]
    images = ImageFolder(files, resize=8, crop=None)
    assert images.load(0, None).shape == (3, 8, 64)
    with pytest.raises(ValueError, match="is 4x33 "):
        images.load(1, None)


def test_a_half_is_what_is_measured(tmp_path):
    files = [save(tmp_path / f"{n}.png", noise(4, 2 * n)) for n in (32, 33)]
    images = ImageFolder(files, resize=8, crop=(8, 8), half="right")
    images.check_sizes()
    assert images.files == files[:1]
    assert images.bad[files[1]].startswith("has a right half of 4x33 (height x width), but")


def test_a_long_image_that_is_not_resized_is_cropped(tmp_path):
    save(tmp_path / "x.png", noise(9, 400))
    assert ImageFolder([tmp_path / "x.png"], **CROP).load(0, None).shape == (3, 8, 8)


# Crops of one color


@pytest.fixture
def mostly_white(tmp_path):
    """White but for the lower right corner, which is 8 of 24 pixels wide and high."""
    pixels = np.full((24, 24, 3), 255, np.uint8)
    pixels[16:, 16:] = noise(8, 8)
    return ImageFolder([save(tmp_path / "x.png", pixels)], **CROP)


def corners(rng, n=MAX_CROPS, spare=16):
    """Return where the first crops lie: three draws each, down, along and the mirroring's."""
    draws = torch.rand(n, 3, generator=rng, dtype=torch.float64)
    return (draws[:, :2] * (spare + 1)).int().tolist()


def test_a_blank_crop_is_drawn_again_from_the_same_generator(mostly_white, tmp_path):
    pixels = np.asarray(Image.open(tmp_path / "x.png"))
    attempts = []
    for seed in range(40):
        shown = [top > 8 and left > 8 for top, left in corners(rng_for(seed))]
        if not any(shown):
            continue
        attempts.append(shown.index(True))
        top, left = corners(rng_for(seed))[attempts[-1]]
        x = to_uint8(mostly_white.load(0, rng_for(seed))).permute(1, 2, 0).numpy()
        assert (x == pixels[top : top + 8, left : left + 8]).all()
    assert min(attempts) == 0
    assert max(attempts) >= 5


def test_after_ten_blank_crops_the_image_is_given_up(mostly_white):
    unlucky = [
        seed
        for seed in range(60)
        if not any(top > 8 and left > 8 for top, left in corners(rng_for(seed)))
    ]
    assert unlucky
    for seed in unlucky:
        rng = rng_for(seed)
        with pytest.raises(BlankCrop, match=r"^cannot use image '.*x\.png': each of 10 crops"):
            mostly_white.load(0, rng)
        assert torch.equal(
            torch.rand(1, generator=rng, dtype=torch.float64),
            torch.rand(31, generator=rng_for(seed), dtype=torch.float64)[30:],
        )


def test_fewer_than_two_gray_levels_apart_is_blank_in_any_channels(tmp_path):
    for mode in ["L", "RGB", "RGBA"]:
        for levels, blank in [((9, 9), True), ((9, 10), True), ((9, 11), False)]:
            image = Image.new(mode, (8, 8), (levels[0],) * len(mode) if mode != "L" else levels[0])
            for band in range(len(mode)):  # in one channel, the others stay of one value
                bands = list(image.split())
                bands[band].putpixel((3, 3), levels[1])
                Image.merge(mode, bands).save(tmp_path / "x.png")
                images = ImageFolder([tmp_path / "x.png"], channels=len(mode), **CROP)
                if blank:
                    with pytest.raises(BlankCrop):
                        images.load(0, rng_for(0))
                else:
                    assert images.load(0, rng_for(0)).shape == (len(mode), 8, 8)


def test_blank_images_are_validated_on(tmp_path):
    save(tmp_path / "x.png", np.zeros((8, 8, 3), np.uint8))
    assert (ImageFolder([tmp_path / "x.png"], **CROP).load(0, None) == -1).all()


# Pairs


def halves(path, **options):
    return [ImageFolder([path], **{**CROP, **options}, half=half) for half in ("left", "right")]


@pytest.fixture
def torn(tmp_path):
    """Halves whose pixels say where they are, but each is white where it shows nothing.

    The left half shows something in its lower two thirds, the right one in its right two thirds.
    """
    y, x = np.mgrid[:24, :24]
    left, right = (np.stack([y, x, 0 * x], axis=2).astype(np.uint8) for _ in range(2))
    left[:8] = 255
    right[:, :8] = 255
    return save(tmp_path / "x.png", np.concatenate([left, right], axis=1))


@pytest.mark.parametrize("channels", [(3, 3), (1, 3), (4, 1)])
def test_a_crop_blank_in_one_half_is_drawn_again_for_both(torn, channels, monkeypatch):
    boxes = []
    draw = folder_file.draw_crop
    monkeypatch.setattr(folder_file, "draw_crop", lambda *a: boxes.append(draw(*a)) or boxes[-1])
    folders = [
        ImageFolder([torn], n, **CROP, half=half)
        for n, half in zip(channels, ("left", "right"), strict=True)
    ]
    redrawn = 0
    for seed in range(60):
        a, b = (folder.load(0, rng_for(seed)) for folder in folders)
        assert boxes[-1] == boxes[-2]
        assert a.amax() - a.amin() > 0.01
        assert b.amax() - b.amin() > 0.01
        first = corners(rng_for(seed), n=1)[0]
        redrawn += list(boxes[-1].box[1::-1]) != first
    assert redrawn >= 3


def test_halves_read_in_other_channels_are_judged_alike(tmp_path):
    """In gray the left half is blank and in color it is not; alone it would be drawn again."""
    left = np.full((24, 24, 3), (100, 50, 0), np.uint8)
    left[::2] = (0, 101, 0)  # 0.299 R + 0.587 G is 59.25 for the one and 59.29 for the other
    path = save(tmp_path / "x.png", np.concatenate([left, noise(24, 24)], axis=1))
    gray, color = halves(path, channels=1)[0], halves(path)[1]
    for seed in range(5):
        top, along = corners(rng_for(seed), n=1)[0]
        assert (to_uint8(gray.load(0, rng_for(seed))) == 59).all()
        x = to_uint8(color.load(0, rng_for(seed))).permute(1, 2, 0).numpy()
        assert (x == noise(24, 24)[top : top + 8, along : along + 8]).all()


def test_pairs_show_the_same_place_after_a_redraw(torn):
    a, b = halves(torn)
    for seed in range(40):
        left, right = (to_uint8(half.load(0, rng_for(seed)))[:2] for half in (a, b))
        shown = (left[0] != 255) & (right[0] != 255)
        assert shown.any()
        assert (left[:, shown] == right[:, shown]).all()


def test_a_pair_of_which_one_half_is_blank_is_given_up_by_both(tmp_path):
    pixels = np.concatenate([noise(8, 8), np.full((8, 8, 3), 255, np.uint8)], axis=1)
    save(tmp_path / "x.png", pixels)
    for half in halves(tmp_path / "x.png"):
        with pytest.raises(BlankCrop):
            half.load(0, rng_for(0))
        assert half.load(0, None).shape == (3, 8, 8)
