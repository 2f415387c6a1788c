import json
import os

import numpy as np
import pytest
from PIL import Image, ImageCms

from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.tools import prepare as preparing
from munit_pl.data.tools.copy_image import CopySettings
from munit_pl.data.tools.prepare import NOTE, prepare
from munit_pl.randomness import rng_for

PNG = CopySettings(16, "png")
JPG = CopySettings(16, "jpg")


def picture(seed=0, height=20, width=30, channels=3):
    shape = (height, width) if channels == 1 else (height, width, channels)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


@pytest.fixture
def root(tmp_path):
    for folder in ("trainA", "trainB/deep"):
        (tmp_path / "root" / folder).mkdir(parents=True)
        for i in range(2):
            picture(i).save(tmp_path / "root" / folder / f"{i}.png")
    return tmp_path / "root"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def note(out):
    return json.loads((out / NOTE).read_text())


# What is made


@pytest.mark.parametrize("workers", [0, 2])
def test_a_copy_keeps_folders_and_stems(root, out, workers):
    (root / "trainA" / "notes.txt").write_text("no image")
    found = prepare(root, out, JPG, workers)
    assert (found.images, found.made, found.bad) == (4, 4, {})
    names = ["trainA/0.jpg", "trainA/1.jpg", "trainB/deep/0.jpg", "trainB/deep/1.jpg"]
    assert files(out) == [NOTE, *names]
    assert not out.with_name("out.unfinished").exists()
    with Image.open(out / "trainA" / "0.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (24, 16))


def test_training_on_a_png_copy_is_training_on_the_original(root, out):
    """To the bit with the file's own channels; to a few levels where others are made of them.

    To one level where 16 bits are resized before they become 8.
    """
    a = root / "trainA"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(3, 90, 130).save(a / "turned.jpg", exif=exif)  # decoded at a fraction of its size
    picture(4, 9, 12).save(a / "small.bmp")  # and not enlarged
    picture(5, channels=1).save(a / "gray.png")
    picture(6, channels=4).save(a / "clear.png")
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100).save(a / "deep.png")
    prepare(root, out, PNG)
    own = {"clear": (4,), "gray": (1, 3), "deep": (1, 3)}
    for file in sorted(a.iterdir()):
        copy = out / "trainA" / f"{file.stem}.png"
        for channels in (1, 3, 4):
            for rng in (lambda: None, lambda: rng_for(1)):
                here, there = (
                    ImageFolder([path], channels, 16, (12, 14), background=(9, 8, 7))
                    .load_uint8(0, rng())
                    .x.int()
                    for path in (file, copy)
                )
                few = 0 if channels in own.get(file.stem, (3, 4)) else 3
                few = few or int(file.stem == "deep")
                assert (here - there).abs().max() <= few, (file, channels)
    with Image.open(out / "trainA" / "small.png") as image:
        assert image.size == (12, 9)
    with Image.open(out / "trainA" / "turned.png") as image:
        assert image.size == (16, 23)


def test_what_is_as_asked_is_copied_byte_by_byte(root, out):
    """A JPEG that is saved again loses again."""
    picture(height=16, width=18).save(root / "trainA" / "x.jpeg", quality=60)
    prepare(root, out, JPG)
    assert (out / "trainA" / "x.jpg").read_bytes() == (root / "trainA" / "x.jpeg").read_bytes()


def test_16_bits_keep_their_values_as_png(root, out):
    """What white is depends on all of a domain's files, and a model knows it of the originals."""
    a = root / "trainA"
    values = np.random.default_rng(0).integers(0, 4096, (16, 18), np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(values).save(a / "small.png")
    Image.fromarray(values).save(a / "turned.tif", exif=exif)
    Image.fromarray(np.full((64, 40), 4000, np.uint16)).save(a / "large.png")
    found = prepare(root, out, JPG)
    assert not found.bad
    assert (out / "trainA" / "small.png").read_bytes() == (a / "small.png").read_bytes()
    for name, expected in (("turned", np.rot90(values, -1)), ("large", np.full((25, 16), 4000))):
        with Image.open(out / "trainA" / f"{name}.png") as image:
            assert np.array_equal(np.asarray(image), expected), name
    assert prepare(root, out, JPG).made == 0


def test_jpegs_are_of_high_quality(root, out):
    y, x = np.mgrid[:16, :24]
    smooth = np.stack([y * 12, x * 9, 255 - x * 9], axis=2).astype(np.uint8)
    Image.fromarray(smooth).save(root / "trainA" / "smooth.png")
    prepare(root, out, JPG)
    with Image.open(out / "trainA" / "smooth.jpg") as image:
        assert np.abs(np.asarray(image, dtype=int) - smooth).max() <= 4


def test_transparency_is_laid_on_white_in_a_jpeg_and_counted(root, out):
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(root / "trainA" / "clear.png")
    assert prepare(root, out, JPG).on_white == 1
    with Image.open(out / "trainA" / "clear.jpg") as image:
        assert image.getextrema() == ((255, 255),) * 3


def test_files_that_differ_in_their_endings_only_keep_them(root, out):
    picture(7).save(root / "trainA" / "0.bmp")
    prepare(root, out, PNG)
    assert [name for name in files(out) if "A/" in name] == [
        "trainA/0.bmp.png",
        "trainA/0.png.png",
        "trainA/1.png",
    ]


def test_two_of_one_name_are_refused(root, out):
    picture(7).save(root / "trainA" / "0.bmp")
    picture(8).save(root / "trainA" / "0.bmp.tif")
    with pytest.raises(ValueError, match=r"2 images would be called 'trainA/0\.bmp\.png'"):
        prepare(root, out, PNG)


def test_folders_that_are_links_are_copied(root, out, tmp_path):
    (root / "trainA").rename(tmp_path / "elsewhere")
    (root / "trainA").symlink_to(tmp_path / "elsewhere")
    assert prepare(root, out, PNG).images == 4
    assert "trainA/0.png" in files(out)


# Bad files


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_files_are_left_out_and_listed(root, out, workers):
    torn = root / "trainA" / "1.png"
    torn.write_bytes(torn.read_bytes()[:60])
    (root / "trainB" / "empty.jpg").touch()
    picture(height=3, width=200).save(root / "trainB" / "long.png")
    picture(height=20, width=200).save(root / "trainB" / "longer.png")
    found = prepare(root, out, JPG, workers)
    assert set(found.bad) == {"trainA/1.png", "trainB/empty.jpg", "trainB/longer.png"}
    assert found.bad["trainB/empty.jpg"] == "is empty"
    assert "one side may be 8 times the other" in found.bad["trainB/longer.png"]
    assert note(out)["skipped"] == found.bad
    assert note(out)["images"] == found.images == 4  # a small one is not resized
    assert "trainA/1.jpg" not in files(out)


def test_nothing_usable_is_an_error_and_makes_no_copy(root, out):
    for file in root.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"none of the 4 images in .* can be used"):
        prepare(root, out, PNG)
    assert not out.exists()


# Beginning, going on


@pytest.fixture
def interrupted(root, out, monkeypatch):
    """A copy that was stopped after the second image, in the middle of the third."""
    real, seen = preparing.resized_copy, []

    def picture_until(path, settings):
        seen.append(path)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(path, settings)

    monkeypatch.setattr(preparing, "resized_copy", picture_until)
    with pytest.raises(KeyboardInterrupt):
        prepare(root, out, PNG)
    monkeypatch.undo()
    (out.with_name("out.unfinished") / "trainB").mkdir()
    (out.with_name("out.unfinished") / "trainB" / ".1.tmp-1.png").write_bytes(b"half")
    return out.with_name("out.unfinished")


def test_an_interrupted_copy_has_another_name_and_is_gone_on_with(root, out, interrupted):
    assert not out.exists()
    assert files(interrupted) == [NOTE, "trainA/0.png", "trainA/1.png", "trainB/.1.tmp-1.png"]
    found = prepare(root, out, PNG)
    assert (found.images, found.made) == (4, 2)
    assert len(files(out)) == 5
    assert not interrupted.exists()


def test_a_copy_that_a_lost_power_supply_emptied_is_made_again(root, out, interrupted):
    emptied = interrupted / "trainA" / "0.png"
    changed = emptied.stat().st_mtime_ns
    emptied.write_bytes(b"")
    os.utime(emptied, ns=(changed, changed))
    assert prepare(root, out, PNG).made == 3


def test_a_whole_copy_takes_up_what_is_new_or_changed(root, out):
    prepare(root, out, PNG)
    assert prepare(root, out, PNG).made == 0
    picture(9).save(root / "trainA" / "new.png")
    picture(10, 16, 16).save(root / "trainA" / "0.png")
    found = prepare(root, out, PNG)
    assert (found.images, found.made) == (5, 2)
    with Image.open(out / "trainA" / "0.png") as image:
        assert image.size == (16, 16)


def test_a_copy_of_what_is_gone_is_told(root, out):
    prepare(root, out, PNG)
    (root / "trainA" / "0.png").unlink()
    message = r"holds 1 files that the original has no more, such as 'trainA/0\.png': remove"
    with pytest.raises(ValueError, match=message):
        prepare(root, out, PNG)


@pytest.mark.parametrize("suffix", ["", ".unfinished"])
def test_what_is_no_copy_is_left_alone(root, out, suffix):
    other = out.with_name(f"out{suffix}")
    other.mkdir()
    (other / "thesis.txt").write_text("all I have")
    with pytest.raises(ValueError, match="is there already, and no copy that was prepared"):
        prepare(root, out, PNG)
    assert files(other) == ["thesis.txt"]


def test_a_copy_made_in_another_way_is_left_alone(root, out):
    prepare(root, out, PNG)
    for settings, told in ((JPG, "format 'png'"), (CopySettings(17, "png"), "size 16")):
        with pytest.raises(ValueError, match=f"was prepared in another way .{told}"):
            prepare(root, out, settings)
    assert len(files(out)) == 5


def test_an_empty_folder_is_filled(root, out):
    out.mkdir()
    assert prepare(root, out, PNG).images == 4


def test_folders_within_each_other_are_refused(root):
    for out in (root, root / "copy"):
        with pytest.raises(ValueError, match="lies in"):
            prepare(root, out, PNG)


def test_a_full_disk_is_told(root, out, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", refuse)
    with pytest.raises(OSError, match=r"cannot write .*trainA/0\.png': No space left on device"):
        prepare(root, out, CopySettings(12, "png"))
    assert not out.exists()


def test_copies_are_in_srgb_and_carry_no_profile(tmp_path):
    x = np.full((40, 40, 3), 120, np.uint8)
    x[::2, 1::2] = (30, 180, 90)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (tmp_path / "in").mkdir()
    for size in (40, 400):  # as it is, and to be resized
        picture = Image.fromarray(x).resize((size, size), Image.Resampling.NEAREST)
        picture.save(tmp_path / "in" / f"{size}.png", icc_profile=profile)
    picture.convert("CMYK").save(tmp_path / "in" / "cmyk.jpg", icc_profile=b"broken")
    prepare(tmp_path / "in", tmp_path / "out", CopySettings(40, "png"))
    for path in (tmp_path / "out").glob("*.png"):
        with Image.open(path) as copy:
            assert "icc_profile" not in copy.info, path.name
