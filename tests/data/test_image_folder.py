import re

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images import reading as images
from munit_pl.data.images.tensors import to_tensor, to_uint8
from munit_pl.randomness import rng_for


@pytest.fixture
def save(tmp_path):
    """Save noise of a height and width, and return its path."""

    def save_image(height, width, name="x.png", **options):
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name, **options)
        return tmp_path / name

    return save_image


def positions(height, width):
    """An image each of whose pixels says where it is: row in red, column in green."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([y, x, 0 * x], axis=2).astype(np.uint8))


def corner(x):
    """Return the row and column that the upper left pixel had in the file."""
    return tuple(to_uint8(x)[:2, 0, 0].tolist())


# Sizes


@pytest.mark.parametrize("size", [(250, 333), (333, 250), (100, 100), (256, 400), (31, 97)])
def test_resizing_is_torchvisions(save, size):
    path = save(*size)
    x = ImageFolder([path], crop=None).load(0, None)
    expected = v2.functional.resize(Image.open(path), [256], v2.InterpolationMode.BILINEAR)
    assert torch.equal(x, to_tensor(expected))


def test_250_by_333_becomes_256_by_340(save):
    """``int(256 * 333 / 250)``: the long side is rounded down from 340.99."""
    x = ImageFolder([save(250, 333)], crop=None).load(0, None)
    assert x.shape == (3, 256, 340)


def test_without_resizing_every_pixel_is_kept(save):
    path = save(50, 70)
    x = ImageFolder([path], resize=None, crop=None).load(0, None)
    assert torch.equal(x, to_tensor(Image.open(path)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_cropped_floats_of_the_asked_channels(save, channels):
    folder = ImageFolder([save(90, 120)], channels=channels, resize=64, crop=(48, 56))
    for rng in [None, rng_for(0)]:
        x = folder.load(0, rng)
        assert (x.shape, x.dtype) == ((channels, 48, 56), torch.float32)
        assert x.min() >= -1
        assert x.max() <= 1


def test_the_background_shows_through(tmp_path):
    Image.new("RGBA", (8, 8), (9, 9, 9, 0)).save(tmp_path / "x.png")
    folder = ImageFolder([tmp_path / "x.png"], resize=8, crop=(8, 8), background=(255, 0, 255))
    assert folder.load(0, None)[:, 0, 0].tolist() == [1, -1, 1]


def test_an_upright_image_is_what_is_cropped(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "x.jpg", exif=exif)
    folder = ImageFolder([tmp_path / "x.jpg"], resize=None, crop=(40, 30))
    folder.check_sizes()
    assert folder.load(0, None).shape == (3, 40, 30)


@pytest.mark.parametrize(("half", "left"), [("left", 0), ("right", 35)])
def test_a_half_is_the_folder_of_images_cut_in_two(save, tmp_path, half, left):
    Image.open(save(60, 70)).crop((left, 0, left + 35, 60)).save(tmp_path / "cut.png")
    options = {"resize": 40, "crop": (38, 36)}
    halves = ImageFolder([tmp_path / "x.png"], half=half, **options)
    cut = ImageFolder([tmp_path / "cut.png"], **options)
    for rng in (lambda: None, lambda: rng_for(3)):
        assert torch.equal(halves.load(0, rng()), cut.load(0, rng()))


def test_halves_are_those_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # seen after a quarter turn: 8 wide, 21 high
    lying = positions(8, 21)
    lying.save(tmp_path / "x.png", exif=exif)
    folder = ImageFolder([tmp_path / "x.png"], resize=None, crop=None, half="right")
    folder.check_sizes()
    x = folder.load(0, None)
    seen = torch.rot90(to_tensor(lying), -1, (1, 2))  # clockwise
    assert torch.equal(x, seen[:, :, 4:])


def test_an_image_without_equal_halves_is_named(save):
    folder = ImageFolder([save(300, 301)], half="left")
    for use in (folder.check_sizes, lambda: folder.load(0, None)):
        with pytest.raises(ValueError, match=r"is 300x301 .* even width: correct or remove it$"):
            use()


def test_the_first_files_are_kept(save):
    files = [save(8, 8, f"{i}.png") for i in range(4)]
    folder = ImageFolder(files, max_images=3)
    assert folder.files == files[:3]
    assert len(folder) == 3
    assert len(ImageFolder(files, max_images=9)) == 4


def test_bad_files_are_known_unless_others_took_their_place(save, tmp_path):
    files = [save(8, 8, f"{i}.png") for i in range(4)]
    bad = {tmp_path / "x.png": "is empty"}
    assert ImageFolder(files).bad == {}
    for count in (None, 4, 9):
        assert ImageFolder(files, max_images=count, bad=bad).bad == bad
    assert ImageFolder(files, max_images=3, bad=bad).bad == {}


# Chance


@pytest.fixture
def mapped(tmp_path):
    """A folder of one image, 12 high and 10 wide, whose pixels say where they are."""
    positions(12, 10).save(tmp_path / "x.png")

    def make(**options):
        return ImageFolder([tmp_path / "x.png"], **{"resize": None, "crop": (8, 8), **options})

    return make


def test_validation_takes_the_center_and_never_mirrors(mapped):
    for _ in range(20):
        assert corner(mapped().load(0, None)) == (2, 1)


def test_equal_generators_give_equal_crops(mapped):
    folder = mapped()
    for seed in range(20):
        assert torch.equal(folder.load(0, rng_for(seed)), folder.load(0, rng_for(seed)))


def test_loading_leaves_the_global_generator_alone(mapped):
    state = torch.get_rng_state()
    mapped().load(0, rng_for(0))
    assert torch.equal(state, torch.get_rng_state())


def test_every_position_is_reached_about_equally_often(mapped):
    folder = mapped(flip=False)
    corners = [corner(folder.load(0, rng_for(seed))) for seed in range(600)]
    counts = {place: corners.count(place) for place in set(corners)}
    assert set(counts) == {(top, left) for top in range(5) for left in range(3)}
    assert 15 < min(counts.values()) <= max(counts.values()) < 75  # 40 expected


def test_about_half_of_the_images_are_mirrored(mapped):
    folder = mapped(crop=None)
    plain, mirrored = folder.load(0, None), folder.load(0, None).flip(2)
    draws = [folder.load(0, rng_for(seed)) for seed in range(200)]
    count = sum(torch.equal(x, mirrored) for x in draws)
    assert sum(torch.equal(x, plain) for x in draws) == 200 - count
    assert 70 < count < 130


def test_mirroring_does_not_depend_on_where_the_crop_lies(mapped):
    folder = mapped()
    crops = [to_uint8(folder.load(0, rng_for(seed)))[:2] for seed in range(600)]
    mirrored = {crop[0, 0, 0].item(): [] for crop in crops}
    for crop in crops:
        mirrored[crop[0, 0, 0].item()].append(bool(crop[1, 0, 0] > crop[1, 0, -1]))
    assert all(0.3 < np.mean(flags) < 0.7 for flags in mirrored.values())


def test_without_mirroring_the_crops_are_the_same(mapped):
    for seed in range(20):
        x = mapped().load(0, rng_for(seed))
        plain = mapped(flip=False).load(0, rng_for(seed))
        assert torch.equal(x, plain) or torch.equal(x, plain.flip(2))


def test_a_first_crop_that_shows_something_consumes_three_draws(mapped):
    fourth = torch.rand(4, generator=rng_for(0), dtype=torch.float64)[3]
    for options in [{}, {"flip": False}, {"crop": None}, {"resize": 20, "crop": (16, 12)}]:
        rng = rng_for(0)
        mapped(**options).load(0, rng)
        assert torch.rand((), generator=rng, dtype=torch.float64) == fourth


# Refusing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, "channels is 2, but must be 1, 3 or 4"),
        ({"half": "top"}, "half is 'top', but must be 'left', 'right' or None"),
        ({"resize": 0}, "resize is 0, but must be at least 1, or None"),
        ({"crop": (8, 0)}, "crop is 8x0, but both sides must be at least 1"),
        ({"max_images": 0}, "max_images is 0, but must be at least 1, or None"),
        (
            {"crop": (300, 300)},
            "crop 300x300 does not fit an image whose shortest side is resized to 256: "
            "set data.resize to 300 or more, or choose a smaller data.crop",
        ),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ImageFolder([], **options)


def test_a_too_small_image_is_named_with_the_remedy(save):
    path = save(100, 80)
    folder = ImageFolder([path], resize=None)
    fault = (
        "is 100x80 (height x width), and cannot hold the crop 256x256: "
        "set data.resize to 256 or more, choose a smaller crop, or remove it"
    )
    for rng in [None, rng_for(0)]:
        message = f"cannot use image {str(path)!r}: it {fault}"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            folder.load(0, rng)
    message = f"none of the 1 images can be used; the first: {str(path)!r} {fault}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        folder.check_sizes()


def test_small_images_are_passed_over_and_told(save):
    files = [save(20 + i, 40, f"{i}.png") for i in range(8)]
    folder = ImageFolder(files, resize=None, crop=(26, 40))
    folder.check_sizes()
    assert folder.files == files[6:]
    assert len(folder) == 2
    assert list(folder.bad) == files[:6]
    assert folder.bad[files[5]].startswith("is 25x40 (height x width), and cannot hold")


def test_a_long_crop_says_what_a_square_image_is_resized_to(save):
    files = [save(30, 60, "wide.png"), save(50, 50, "square.png")]
    folder = ImageFolder(files, resize=40, crop=(40, 60))
    folder.check_sizes()
    assert folder.files == files[:1]
    assert "is 50x50 (height x width), resized 40x40, and" in folder.bad[files[1]]
    assert folder.load(0, None).shape == (3, 40, 60)


def test_a_turned_photograph_is_checked_as_it_is_seen(save):
    """Lying in the file, standing when seen; a PNG and a TIFF keep their EXIF elsewhere."""
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [save(30, 60, name, exif=exif) for name in ["x.jpg", "x.png", "x.tif"]]
    standing = ImageFolder(files, resize=None, crop=(60, 30))
    standing.check_sizes()
    assert standing.files == files
    lying = ImageFolder([*files, save(30, 60, "y.png")], resize=None, crop=(30, 60))
    lying.check_sizes()
    assert [lying.bad[file].split(" (")[0] for file in files] == ["is 60x30"] * 3
    assert len(lying.bad) == 3


@pytest.mark.parametrize("crop", [None, (256, 256), (200, 256)])
def test_no_file_is_opened_when_none_can_be_too_small(tmp_path, crop):
    ImageFolder([tmp_path / "missing.png"], crop=crop).check_sizes()


def test_checking_sizes_decodes_no_pixels(save, monkeypatch):
    files = [save(300, 300, "x.png"), save(300, 300, "x.jpg"), save(300, 300, "x.tif")]

    def load(image):
        raise AssertionError("pixels were decoded")

    for kind in [images.Image.Image, images.TiffImagePlugin.TiffImageFile]:
        monkeypatch.setattr(kind, "load", load)
    ImageFolder(files, resize=None).check_sizes()
