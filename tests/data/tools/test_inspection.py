import os
import struct
import warnings
import zlib
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.data.cropping import BlankCrop
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.tools import decoded_image
from munit_pl.data.tools.assessment import assess
from munit_pl.data.tools.decoded_image import inspect_image
from munit_pl.data.tools.inspection import ImageSettings, inspect_images

SMALL = ImageSettings(resize=8, crop=(8, 8))


@pytest.fixture
def photo():
    """An image in which no two pixels are alike, 12 wide and 10 high."""
    y, x = np.mgrid[:10, :12]
    return Image.fromarray(np.stack([x * 20, y * 25, x + y], axis=2).astype(np.uint8))


def plain(*color, size=(12, 10)):
    return Image.new("RGB", size, color)


def inspected(folder, use=SMALL):
    return inspect_images("train", "a", folder, use)


def names(paths):
    return sorted(path.name for path in paths)


# One image


def test_size_and_pixels_are_those_of_the_upright_image(tmp_path, photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "lying.png", exif=exif)
    photo.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "upright.bmp")
    lying, upright = (inspect_image(tmp_path / name) for name in ("lying.png", "upright.bmp"))
    assert lying.size == upright.size == (12, 10)
    assert (lying.rotated, upright.rotated) == (True, False)
    assert lying.digest == upright.digest


def test_images_are_the_same_if_their_pixels_and_their_shape_are(tmp_path, photo):
    photo.save(tmp_path / "a.png", compress_level=0)
    photo.save(tmp_path / "b.webp", lossless=True)
    changed = photo.copy()
    changed.putpixel((3, 4), (0, 0, 0))
    changed.save(tmp_path / "c.png")
    plain(9, 9, 9, size=(4, 6)).save(tmp_path / "d.png")
    plain(9, 9, 9, size=(6, 4)).save(tmp_path / "e.png")
    a, b, c, d, e = (inspect_image(path).digest for path in sorted(tmp_path.iterdir()))
    assert a == b
    assert len({a, c, d, e}) == 4


def test_what_lies_under_transparent_pixels_is_not_compared(tmp_path):
    for name, hidden in (("a.png", (1, 2, 3, 0)), ("b.png", (200, 100, 0, 0))):
        image = Image.new("RGBA", (4, 4), hidden)
        image.putpixel((0, 0), (50, 60, 70, 255))
        image.save(tmp_path / name)
    a, b = (inspect_image(tmp_path / name) for name in ("a.png", "b.png"))
    assert a.digest == b.digest
    assert a.transparent
    assert a.levels == 255 - 50  # from the red of the one pixel to the white ground


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG RGB"), ("L", "JPEG L"), ("CMYK", "JPEG CMYK"), ("I;16", "PNG I;16")],
)
def test_the_kind_is_the_files_own(tmp_path, photo, mode, kind):
    deep = Image.fromarray(np.arange(120, dtype=np.uint16).reshape(10, 12))
    (deep if mode == "I;16" else photo.convert(mode)).save(tmp_path / "x", kind.split()[0])
    assert inspect_image(tmp_path / "x").kind == kind


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_more_frames_than_one_are_told(tmp_path, photo, kind):
    photo.save(tmp_path / "one", kind)
    photo.save(tmp_path / "two", kind, save_all=True, append_images=[plain(1, 2, 3)])
    assert not inspect_image(tmp_path / "one").frames
    assert inspect_image(tmp_path / "two").frames


@pytest.mark.parametrize("levels", [0, 1, 2, 15, 16])
def test_levels_are_the_range_of_the_channel_that_has_most(tmp_path, levels):
    image = plain(100, 200, 30)
    image.putpixel((0, 0), (100, 200 - levels, 30 + levels // 2))
    image.save(tmp_path / "a.png")
    assert inspect_image(tmp_path / "a.png").levels == levels
    found = inspected(tmp_path)
    assert len(found.blank) == (levels < 2)
    assert len(found.nearly_blank) == (2 <= levels < 16)


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_images_of_one_color_are_those_that_training_refuses(tmp_path, levels):
    image = plain(100, 200, 30)
    image.paste((100, 200 + levels, 30), (0, 0, 6, 10))
    image.save(tmp_path / "a.png")
    folder = ImageFolder([tmp_path / "a.png"], resize=None, crop=(10, 12))
    if inspected(tmp_path).blank:
        with pytest.raises(BlankCrop):
            folder.load(0, torch.Generator())
    else:
        folder.load(0, torch.Generator())


def test_gray_images_are_known_by_their_pixels(tmp_path):
    color = Image.new("RGB", (32, 16), (120, 120, 120))
    for name, pixel in (("a.png", (120, 104, 120)), ("b.png", (120, 103, 120))):
        color.putpixel((20, 5), pixel)
        color.save(tmp_path / name)
    Image.effect_noise((32, 16), 90).convert("RGB").save(tmp_path / "c.jpg", quality=30)
    Image.new("RGBA", (32, 16), (255, 0, 0, 0)).save(tmp_path / "d.png")  # nothing but the ground
    paths = sorted(tmp_path.iterdir())
    assert [inspect_image(path).colored for path in paths] == [
        (False,),
        (True,),
        (False,),
        (False,),
    ]
    assert inspect_image(paths[1], halves=True).colored == (False, True)


def test_of_two_halves_the_emptier_one_counts(tmp_path, photo):
    both = plain(255, 255, 255, size=(24, 10))
    both.paste(photo, (0, 0))
    both.save(tmp_path / "a.png")
    picture = inspect_image(tmp_path / "a.png", halves=True)
    assert picture.size == (10, 12)
    assert picture.levels == 0
    assert inspect_image(tmp_path / "a.png").levels == 255


# What a run would refuse


@pytest.mark.parametrize("resize", [None, 20])
@pytest.mark.parametrize("crop", [(20, 20), (12, 30)])
def test_a_size_is_refused_exactly_where_a_run_refuses_it(tmp_path, resize, crop):
    refused = 0
    for height, width in product((1, 11, 12, 20, 33, 97), (4, 20, 30, 31, 88, 160)):
        plain(0, 0, 0, size=(width, height)).save(tmp_path / "a.png")
        folder = ImageFolder([tmp_path / "a.png"], resize=resize, crop=crop)
        if ImageSettings(resize, crop).fault((height, width)):
            refused += 1
            with pytest.raises(ValueError, match="cannot use image"):
                folder.load(0, None)
        else:
            assert folder.load(0, None).shape == (3, *crop)
    assert 0 < refused < 36


def test_halves_of_odd_width_cannot_be_used(tmp_path):
    plain(1, 2, 3, size=(25, 10)).save(tmp_path / "odd.png")
    plain(1, 2, 3, size=(24, 10)).save(tmp_path / "even.png")
    found = inspected(tmp_path, SMALL._replace(halves=True))
    assert names(found.bad) == ["odd.png"]
    assert "even width" in found.bad[tmp_path / "odd.png"]


# A folder


def declared(path, width, height):
    """Write a PNG of a few bytes that says it has so many pixels."""
    body = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", body), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )


def test_nothing_in_a_folder_stops_the_inspection(tmp_path, photo):
    photo.save(tmp_path / "good one, 日本.png")
    os.link(tmp_path / "good one, 日本.png", tmp_path / "copy\nof it.png")
    photo.resize((64, 64)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    declared(tmp_path / "bomb.png", 20000, 9500)
    declared(tmp_path / "huge.png", 2**31 - 1, 2**31 - 1)
    photo.resize((400, 3)).save(tmp_path / "thin.png")
    Image.fromarray(np.zeros((10, 10), np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "._whole.jpg").write_bytes(b"hidden")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = inspected(tmp_path)
    assert names(found.usable) == sorted(
        ["good one, 日本.png", "copy\nof it.png", "whole.jpg", os.fsdecode(b"\xff.jpg")]
    )
    bad = ["bomb", "empty", "float", "gone", "huge", "pipe", "text", "thin", "truncated"]
    assert [name.split(".")[0] for name in names(found.bad)] == bad
    assert all(reason.startswith(("is ", "starts ", "cannot ")) for reason in found.bad.values())
    assert all(reason.isprintable() and len(reason) < 200 for reason in found.bad.values())
    assert "64 million pixels" in found.bad[tmp_path / "bomb.png"]
    assert names(found.long) == ["thin.png"]
    assert found.ignored == {".db": 1}
    assert len(found.files) == 13
    assert sorted(map(names, found.duplicates)) == [
        ["copy\nof it.png", "good one, 日本.png"],
        ["whole.jpg", os.fsdecode(b"\xff.jpg")],
    ]


def test_a_file_that_vanished_after_it_was_listed_is_bad(tmp_path, photo, monkeypatch):
    photo.save(tmp_path / "a.png")
    photo.save(tmp_path / "b.png")
    from munit_pl.data.tools import inspection

    listing = inspection.scan_folder(tmp_path)
    monkeypatch.setattr(inspection, "scan_folder", lambda _: listing)
    (tmp_path / "a.png").unlink()
    assert inspected(tmp_path).bad == {
        tmp_path / "a.png": "cannot be used: No such file or directory"
    }


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        found = inspected(tmp_path / name)
        assert repr(str(tmp_path / name)) in found.unusable
        assert "\n" not in found.unusable
        assert not found.files


def test_processes_find_what_one_finds(tmp_path, photo):
    photo.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    plain(1, 2, 3).save(tmp_path / "c.png")
    alone = inspected(tmp_path)
    assert inspect_images("train", "a", tmp_path, SMALL, workers=2) == alone
    assert names(alone.decoded) == ["a.png", "c.png"]


def test_what_takes_all_memory_stops_a_run(tmp_path, photo, monkeypatch):
    for name in ("a.png", "b.png"):
        photo.save(tmp_path / name)
    read = decoded_image.read_image

    def exhausted(path, *arguments, **options):
        if path.name == "a.png":
            raise OSError(f"cannot read image {path}: MemoryError") from MemoryError()
        return read(path, *arguments, **options)

    monkeypatch.setattr(decoded_image, "read_image", exhausted)
    found = inspected(tmp_path)
    assert names(found.bad) == names(found.fatal) == ["a.png"]
    assert found.bad[tmp_path / "a.png"].startswith("takes the process that reads it more than ")
    assert assess([found]).stops == ["train_a: 1 image that may end the run: repair or remove"]
