import errno
import io
import re
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from munit_pl.data.images import opening
from munit_pl.data.images import reading as images_file
from munit_pl.data.images.opening import MAX_PIXELS
from munit_pl.data.images.reading import read_image, read_reduced, read_size
from munit_pl.data.images.tensors import from_uint8, to_tensor, to_uint8

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


@pytest.fixture
def photo():
    """A smooth image, 40 wide and 30 high, that no turning or mirroring leaves as it is."""
    y, x = np.mgrid[:30, :40]
    return Image.fromarray(np.stack([x * 6, y * 8, (x + y) * 3], axis=2).astype(np.uint8))


def oriented(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def distance(image, other):
    return np.abs(np.asarray(image, dtype=int) - np.asarray(other, dtype=int)).max()


def chunk_of(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def insert_chunk(path, kind, body, before):
    data = path.read_bytes()
    place = data.index(before) - 4
    path.write_bytes(data[:place] + chunk_of(kind, body) + data[place:])


def write_png(path, size, rows, depth=8, kind=0):
    """Write a PNG of rows that start with their filter; kinds are those of the format."""
    header = struct.pack(">IIBBBBB", size[1], size[0], depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk_of(*chunk) for chunk in chunks))


def declare(path, height, width):
    """Write a small file whose header declares a size."""
    if path.suffix == ".png":
        write_png(path, (height, width), b"")
        return
    if path.suffix == ".pgm":
        path.write_bytes(b"P5 %d %d 255\n" % (width, height))
        return
    Image.new("L", (321, 123)).save(path)
    was, now = {
        ".jpg": (struct.pack(">HH", 123, 321), struct.pack(">HH", height, width)),
        ".gif": (struct.pack("<HH", 321, 123), struct.pack("<HH", width, height)),
        ".bmp": (struct.pack("<ii", 321, 123), struct.pack("<ii", width, height)),
    }[path.suffix]
    path.write_bytes(path.read_bytes().replace(was, now))


# Reading


def test_every_format_gives_the_asked_channels(tmp_path, photo):
    for kind in ["PNG", "BMP", "TIFF", "PPM", "JPEG", "WEBP"]:
        for channels, mode in [(1, "L"), (3, "RGB"), (4, "RGBA")]:
            lossy = {"JPEG": {"quality": 98}, "WEBP": {"lossless": True}}
            photo.save(tmp_path / "x", kind, **lossy.get(kind, {}))
            image = read_image(tmp_path / "x", channels)
            assert image.mode == mode
            assert distance(image, photo.convert(mode)) <= (12 if kind == "JPEG" else 0)
            assert to_tensor(image).shape == (channels, 30, 40)


def test_opaque_images_get_alpha_255(tmp_path, photo):
    photo.save(tmp_path / "x.png")
    alpha = read_image(tmp_path / "x.png", 4).getchannel("A")
    assert alpha.getextrema() == (255, 255)


def test_cmyk_keeps_its_colors(tmp_path):
    image = Image.new("RGB", (16, 16), (250, 40, 10)).convert("CMYK")
    image.save(tmp_path / "x.jpg", quality=100)
    image.save(tmp_path / "x.tif")
    for name in ["x.jpg", "x.tif"]:
        assert distance(read_image(tmp_path / name, 3), np.array((250, 40, 10))) <= 3
        assert read_image(tmp_path / name, 1).mode == "L"
        assert read_image(tmp_path / name, 4).getpixel((0, 0))[3] == 255


def test_inks_are_mixed_and_not_inverted(tmp_path):
    """Adobe's JPEGs of four inks hold 255 where there is no ink, and say so in a marker."""
    y, x = np.mgrid[:32, :32]
    inks = np.stack([x * 8, y * 8, 255 - x * 4, x + y], axis=2).astype(np.uint8)
    Image.fromarray(inks, "CMYK").save(tmp_path / "x.jpg", quality=100, subsampling=0)
    assert b"Adobe" in (tmp_path / "x.jpg").read_bytes()
    light = 255 - inks.astype(float)
    expected = light[:, :, :3] * light[:, :, 3:] / 255
    assert distance(read_image(tmp_path / "x.jpg", 3), expected) <= 4


def test_inks_stored_as_brightness_and_color_are_read(tmp_path):
    """Stored: Y 200, Cb 128, Cr 128, K 255. So 255 - 200 of "no ink" in C, M, Y, and no black."""
    Image.new("CMYK", (16, 16), (55, 127, 127, 0)).save(tmp_path / "x.jpg", quality=100)
    data = bytearray((tmp_path / "x.jpg").read_bytes())
    data[data.index(b"Adobe") + 11] = 2  # the marker's transform: YCCK
    (tmp_path / "x.jpg").write_bytes(data)
    assert distance(read_image(tmp_path / "x.jpg", 3), np.array((55, 55, 55))) <= 2


def test_16_bit_color_is_scaled_and_not_saturated(tmp_path):
    for kind, bands in [(2, 3), (4, 2), (6, 4)]:
        ramp = np.arange(0, 65536, 37, dtype=np.uint16)[:1764].reshape(42, 42, 1)
        values = np.repeat(ramp, bands, axis=2)
        if bands in (2, 4):
            values[:, :, -1] = 65535
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        write_png(tmp_path / "x.png", (42, 42), rows, depth=16, kind=kind)
        read = np.array(read_image(tmp_path / "x.png", 3), dtype=float)
        assert np.abs(read - ramp / 257).max() <= 1


def test_16_bit_gray_is_scaled_and_not_saturated(tmp_path):
    for name in ["x.png", "x.tif", "x.pgm", "big-endian.tif"]:
        for channels in [1, 3, 4]:
            ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
            big_endian = ramp.astype(">u2").tobytes()
            if name == "x.pgm":
                (tmp_path / name).write_bytes(b"P5 256 256 65535\n" + big_endian)
            elif name == "big-endian.tif":
                Image.frombytes("I;16B", (256, 256), big_endian).save(tmp_path / name)
            else:
                Image.fromarray(ramp).save(tmp_path / name)
            read = np.array(read_image(tmp_path / name, channels)).reshape(256, 256, channels)
            assert np.abs(read[:, :, 0] - ramp / 257).max() <= 0.5
            assert (read[:, :, : min(channels, 3)] == read[:, :, :1]).all()


def test_16_bit_gray_with_a_transparent_value_shows_the_background_there(tmp_path):
    values = np.full((4, 4), 40000, np.uint16)
    values[0, 0] = 7
    Image.fromarray(values).save(tmp_path / "x.png")
    insert_chunk(tmp_path / "x.png", b"tRNS", struct.pack(">H", 7), before=b"IDAT")
    image = read_image(tmp_path / "x.png", 3, background=RED)
    assert image.getpixel((0, 0)) == RED
    assert image.getpixel((1, 0)) == (156, 156, 156)


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_a_palettes_transparency_shows_the_background(tmp_path, transparency):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([*RED, *GREEN])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "x.png", transparency=transparency)
    read = read_image(tmp_path / "x.png", 3, background=BLUE)
    assert read.getpixel((0, 0)) == BLUE
    assert read.getpixel((1, 1)) == GREEN
    assert read_image(tmp_path / "x.png", 4).getpixel((0, 0)) == (*RED, 0)


def test_a_transparent_color_shows_the_background(tmp_path):
    Image.new("RGB", (4, 4), RED).save(tmp_path / "rgb.png", transparency=RED)
    Image.new("L", (4, 4), 9).save(tmp_path / "gray.png", transparency=9)
    for name in ["rgb.png", "gray.png"]:
        assert read_image(tmp_path / name, 3, background=BLUE).getpixel((0, 0)) == BLUE


def test_half_transparent_gray_is_mixed_with_the_background(tmp_path):
    Image.new("LA", (4, 4), (100, 128)).save(tmp_path / "x.png")
    assert distance(read_image(tmp_path / "x.png", 1), np.array(177)) <= 1
    assert distance(read_image(tmp_path / "x.png", 3, (0, 0, 0)), np.array((50, 50, 50))) <= 1


def test_noise_under_full_transparency_does_not_show(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    noise[:, :, 3] = 0
    Image.fromarray(noise).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", 3).getextrema() == ((255, 255),) * 3
    assert read_image(tmp_path / "x.png", 1, background=(9, 9, 9)).getextrema() == (9, 9)
    assert distance(read_image(tmp_path / "x.png", 4), noise) == 0


def test_every_orientation_is_turned_upright(tmp_path, photo):
    for orientation in range(1, 9):
        for kind in ["JPEG", "PNG", "WEBP", "TIFF"]:
            undo = dict(
                zip(range(2, 9), [0, 3, 1, 5, 2, 6, 4], strict=True)
            )  # as a camera would turn it
            turned = (
                photo if orientation == 1 else photo.transpose(Image.Transpose(undo[orientation]))
            )
            options = {"JPEG": {"quality": 98}, "WEBP": {"lossless": True}}.get(kind, {})
            turned.save(tmp_path / "x", kind, exif=oriented(orientation), **options)
            image = read_image(tmp_path / "x", 3)
            assert image.size == photo.size
            assert distance(image, photo) <= 12
            assert read_size(tmp_path / "x") == (30, 40)


def test_photographs_are_turned_as_pillow_turns_them(tmp_path, photo):
    for orientation in range(1, 9):
        photo.save(tmp_path / "x.jpg", exif=oriented(orientation))
        expected = ImageOps.exif_transpose(Image.open(tmp_path / "x.jpg"))
        assert distance(read_image(tmp_path / "x.jpg", 3), expected) == 0


def test_a_photograph_with_broken_exif_is_shown_as_it_lies(tmp_path, photo):
    photo.save(tmp_path / "x.jpg", exif=b"Exif\0\0this is no TIFF header")
    assert read_image(tmp_path / "x.jpg", 3).size == photo.size
    assert read_size(tmp_path / "x.jpg") == (30, 40)


def test_the_first_frame_is_read(tmp_path):
    for kind in ["GIF", "WEBP", "TIFF", "PNG"]:
        frames = [Image.new("RGB", (8, 8), color) for color in (RED, GREEN, BLUE)]
        frames[0].save(tmp_path / "x", kind, save_all=True, append_images=frames[1:])
        assert distance(read_image(tmp_path / "x", 3), np.array(RED)) <= 3


def test_a_transparent_gif_shows_the_background(tmp_path):
    image = Image.new("RGBA", (8, 8), (*RED, 255))
    image.putpixel((3, 3), (0, 0, 0, 0))
    image.save(tmp_path / "x.gif")
    read = read_image(tmp_path / "x.gif", 3, background=BLUE)
    assert (read.getpixel((3, 3)), read.getpixel((0, 0))) == (BLUE, RED)


def test_1_bit_images_are_black_and_white(tmp_path):
    for name in ["x.png", "x.tif", "x.bmp"]:
        pattern = np.indices((8, 8)).sum(0) % 2 == 0
        Image.fromarray(pattern).save(tmp_path / name)
        assert distance(read_image(tmp_path / name, 1), pattern * 255) == 0
        assert read_image(tmp_path / name, 3).getpixel((0, 0)) == WHITE


def test_a_multi_picture_jpeg_is_read(tmp_path, photo):
    photo.save(tmp_path / "x.jpg", "MPO", save_all=True, append_images=[photo.rotate(180)])
    assert distance(read_image(tmp_path / "x.jpg", 3), photo) <= 40


# Refusing


def test_too_many_pixels_are_refused_by_the_header_and_without_a_warning(tmp_path, recwarn):
    """Pillow by itself says nothing of the first, warns of the second, and refuses the others."""
    for ending in ["png", "pgm", "jpg", "gif", "bmp"]:
        for height, width in [(8001, 8000), (12000, 10000), (9500, 20000), (65000, 65000)]:
            path = tmp_path / f"x.{ending}"
            declare(path, height, width)
            for read in (read_size, lambda path: read_image(path, 3)):
                told = (
                    f"cannot read image {str(path)!r}: more than 64 million pixels, resize it "
                    f"(height x width {height}x{width})"
                )
                with pytest.raises(OSError, match=f"^{re.escape(told)}$"):
                    read(path)
            assert not recwarn.list


def test_what_pillow_refuses_by_itself_is_told_alike(tmp_path, photo, monkeypatch):
    def refuse(*_):
        raise Image.DecompressionBombError("too large")

    photo.save(tmp_path / "x.png")
    Image.init()
    monkeypatch.setitem(Image.OPEN, "PNG", (refuse, Image.OPEN["PNG"][1]))
    with pytest.raises(OSError, match=r"more than 64 million pixels, resize it \(too large\)$"):
        read_image(tmp_path / "x.png", 3)


def test_as_many_pixels_as_are_allowed_are_read(tmp_path):
    assert MAX_PIXELS == 8000 * 8000
    declare(tmp_path / "x.png", 8000, 8000)
    assert read_size(tmp_path / "x.png") == (8000, 8000)


def test_an_error_of_the_file_system_keeps_its_number(tmp_path, monkeypatch):
    """So that a lost disk is told from a bad file."""

    class Lost(io.BytesIO):
        def read(self, *_):
            raise OSError(errno.ESTALE, "Stale file handle")  # a read knows no name

    monkeypatch.setattr(opening, "open_regular", lambda _: Lost())
    with pytest.raises(OSError, match="Stale file handle") as error:
        read_image(tmp_path / "x.png", 3)
    assert (error.value.errno, error.value.filename) == (errno.ESTALE, str(tmp_path / "x.png"))


def test_a_bad_file_has_no_number_of_the_system(tmp_path):
    (tmp_path / "x.png").write_bytes(b"hello")
    with pytest.raises(OSError, match="header") as error:
        read_image(tmp_path / "x.png", 3)
    assert error.value.errno is None


def test_a_file_cut_short_once_it_was_read_leaves_the_image_alone(tmp_path):
    """A mapped file would take the process down with it."""
    Image.new("L", (300, 300), 7).save(tmp_path / "x.pgm")
    image = read_image(tmp_path / "x.pgm", 1)
    (tmp_path / "x.pgm").write_bytes(b"")
    assert image.getextrema() == (7, 7)


def test_a_truncated_file_is_named_in_one_line(tmp_path, photo):
    for kind in ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF"]:
        photo.resize((400, 300)).save(tmp_path / "cut.jpg", kind)
        whole = (tmp_path / "cut.jpg").read_bytes()
        (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(OSError, match=r"^cannot read image '.*cut\.jpg': \w") as error:
            read_image(tmp_path / "cut.jpg", 3)
        assert "\n" not in str(error.value)


def test_what_is_no_image_of_the_allowed_formats_is_named(tmp_path):
    for content in [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xff\xd8\xff"]:
        (tmp_path / "x.jpg").write_bytes(content)
        for read in [read_size, lambda path: read_image(path, 3)]:
            with pytest.raises(
                OSError, match=r"^cannot read image '.*x\.jpg': its header is of none"
            ):
                read(tmp_path / "x.jpg")


def test_broken_compressed_data_is_an_oserror(tmp_path, photo):
    photo.save(tmp_path / "x.png")
    data = bytearray((tmp_path / "x.png").read_bytes())
    start = data.index(b"IDAT") + 4
    data[start : start + 20] = bytes(20)
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(OSError, match=r"^cannot read image '.*x\.png': \w"):
        read_image(tmp_path / "x.png", 3)


def test_a_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"x\.png"):
        read_image(tmp_path / "x.png", 3)


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match=r"^cannot use image '.*x\.tif': .* floating-point"):
        read_image(tmp_path / "x.tif", 3)


def test_32_bit_pixels_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match=r"x\.tif': its pixels run from 70000 to 70000, not"):
        read_image(tmp_path / "x.tif", 1)


def test_the_header_alone_gives_the_size(tmp_path, photo):
    """A PNG is cut off after its header: reading pixels would fail."""
    photo.save(tmp_path / "x.png")
    data = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(data[: data.index(b"IDAT") + 8])
    assert read_size(tmp_path / "x.png") == (30, 40)


def test_a_png_with_late_exif_is_turned(tmp_path, photo):
    photo.save(tmp_path / "x.png")
    insert_chunk(tmp_path / "x.png", b"eXIf", oriented(6).tobytes()[6:], before=b"IEND")
    assert read_image(tmp_path / "x.png", 3).size == (30, 40)


# Tensors


def test_tensors_run_from_minus_one_to_one():
    image = Image.fromarray(np.array([[0, 51, 255]], np.uint8))
    torch.testing.assert_close(to_tensor(image), torch.tensor([[[-1, -0.6, 1]]]))
    assert to_tensor(image).is_contiguous()


def test_channels_come_first():
    x = to_tensor(Image.new("RGBA", (3, 2), (255, 0, 255, 0)))
    assert x.shape == (4, 2, 3)
    assert x[:, 1, 2].tolist() == [1, -1, 1, -1]


def test_palette_indices_are_never_taken_for_colors():
    with pytest.raises(ValueError, match="an image of mode P is none of L, RGB, RGBA"):
        to_tensor(Image.new("P", (2, 2)))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_all_256_levels_survive_saving_and_reading(tmp_path, mode):
    levels = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    image = Image.merge(mode, [levels] * len(mode))
    saved = to_uint8(to_tensor(image)).permute(1, 2, 0).squeeze(2).numpy()
    Image.fromarray(saved).save(tmp_path / "x.png")
    assert distance(read_image(tmp_path / "x.png", len(mode)), image) == 0


def test_a_gray_image_keeps_its_level():
    """No stretching to the image's own minimum and maximum."""
    assert (to_uint8(torch.full((2, 3, 4, 4), 100 / 127.5 - 1)) == 100).all()


def test_values_are_rounded_and_cut_off():
    levels = torch.tensor([-3.0, -1.0, 0.6 / 127.5 - 1, 0.0, 1.0, 3.0])
    assert to_uint8(levels).tolist() == [0, 0, 1, 128, 255, 255]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_precisions_are_saved_as_float32_is(dtype):
    levels = torch.arange(256, dtype=torch.float32).div(127.5).sub(1)
    assert to_uint8(levels.to(dtype)).tolist() == list(range(256))


def test_a_tall_transparent_image_is_laid_over_the_background_like_a_small_one(tmp_path):
    """Rows are composed some at a time."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (150, 3, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    read = np.asarray(read_image(tmp_path / "x.png", 3, (10, 20, 30))).astype(float)
    alpha = pixels[..., 3:] / 255
    expected = alpha * pixels[..., :3] + (1 - alpha) * np.array([10, 20, 30])
    assert np.abs(read - expected).max() <= 1


# Large photographs, decoded at a fraction of their size


def photograph(height, width, seed=0):
    """Draw what photographs are made of: noise of all wavelengths, edges, and grain."""
    rng = np.random.default_rng(seed)
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    falloff = np.maximum(np.hypot(y, x), 1 / max(height, width))
    rows, columns = np.mgrid[:height, :width]
    channels = []
    for _ in range(3):
        spectrum = rng.normal(size=falloff.shape) + 1j * rng.normal(size=falloff.shape)
        waves = np.fft.irfft2(spectrum / falloff, s=(height, width))
        disc = np.hypot(rows - height * rng.random(), columns - width * rng.random()) < height / 4
        grain = rng.normal(size=(height, width))
        channels.append(110 + 40 * waves / waves.std() + 60 * disc + 3 * grain)
    return Image.fromarray(np.stack(channels, axis=2).clip(0, 255).astype(np.uint8))


# Decoded at 1/4 both ways; at 1/2, both sides odd; at 1/8.
def test_large_jpegs_decoded_at_a_fraction_are_nearly_the_same(tmp_path):
    """Measured: 0.6, 0.5 and 1.1 of 255 levels on average, at most 3, 4 and 8.

    Were the box left out, the second would be at 2.0 and 14.
    """
    for size, shortest in [((600, 800), 128), ((403, 521), 128), ((800, 801), 100)]:
        for orientation in [1, 3, 6, 7, 8]:
            photograph(*size).save(tmp_path / "x.jpg", quality=92, exif=oriented(orientation))
            whole = read_image(tmp_path / "x.jpg", 3)
            decoded = read_reduced(tmp_path / "x.jpg", 3, WHITE, shortest)
            assert decoded.size == (whole.height, whole.width)
            scale = max(s for s in (1, 2, 4, 8) if min(size) >= s * shortest)
            assert min(decoded.image.size) == -(-min(size) // scale) >= shortest
            asked = tuple(round(side * shortest / 2 / min(size)) for side in whole.size)
            expected = whole.resize(asked, Image.Resampling.BILINEAR)
            read = decoded.image.resize(asked, Image.Resampling.BILINEAR, decoded.box)
            error = np.abs(np.asarray(read, dtype=int) - np.asarray(expected, dtype=int))
            assert error.mean() <= 1.25
            assert error.max() <= 10


def test_nothing_else_is_decoded_at_a_fraction(tmp_path, photo):
    for name, shortest in [("x.png", 2), ("x.jpg", 31), ("x.jpg", 16), ("x.jpg", None)]:
        photo.save(tmp_path / name)
        decoded = read_reduced(tmp_path / name, 3, WHITE, shortest)
        assert distance(decoded.image, read_image(tmp_path / name, 3)) == 0
        assert (decoded.size, decoded.box) == ((30, 40), (0, 0, 40, 30))


def test_a_large_file_is_still_refused_by_its_header(tmp_path):
    declare(tmp_path / "x.jpg", 9000, 9000)
    with pytest.raises(OSError, match="more than 64 million pixels"):
        read_reduced(tmp_path / "x.jpg", 3, WHITE, 256)


# Bytes and floats


def every_level():
    return torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)


def test_bytes_become_the_floats_that_numpy_computes():
    expected = np.arange(256, dtype=np.float32) / np.float32(127.5) - np.float32(1)
    assert from_uint8(every_level()).flatten().tolist() == expected.tolist()


def test_bytes_come_back_from_floats():
    assert torch.equal(to_uint8(from_uint8(every_level())), every_level())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_makes_the_same_floats_of_bytes():
    there = from_uint8(every_level().cuda())
    assert torch.equal(there.cpu(), from_uint8(every_level()))


def test_a_bitmap_whose_alpha_is_empty_is_opaque(tmp_path):
    pixels = np.array([[[10, 20, 30, 0], [40, 50, 60, 0]]], np.uint8)  # blue, green, red, alpha
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for alpha, wanted in ((0, (30, 20, 10)), (128, None)):
        pixels[0, 1, 3] = alpha
        info = struct.pack("<IiiHHIIiiII", 108, 2, 1, 1, 32, 3, 8, 0, 0, 0, 0) + masks + bytes(52)
        head = b"BM" + struct.pack("<IHHI", 122 + 8, 0, 0, 122)
        (tmp_path / "x.bmp").write_bytes(head + info + pixels.tobytes())
        first = read_image(tmp_path / "x.bmp", 3).getpixel((0, 0))
        assert first == (wanted or (255, 255, 255))


def test_an_image_of_a_palette_that_is_missing_is_refused():
    image = Image.new("P", (4, 4))
    image.palette = None  # as Pillow leaves it where a file's is broken
    with pytest.raises(ValueError, match="its palette is missing"):
        images_file._converted(image, "RGB", (255, 255, 255), 65535)
