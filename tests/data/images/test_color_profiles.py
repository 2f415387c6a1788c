"""Colors by an image's profile, against a profile whose arithmetic is written out here."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from munit_pl.data.images.reading import read_image

GAMMA = 2.2
# Columns: XYZ of red, green and blue under D50, of Adobe RGB (1998).
ADOBE = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])


def number(x):
    return struct.pack(">i", round(x * 65536))


def profile_of(space, primaries=ADOBE):
    """Return an ICC profile of version 2 for "RGB " or "GRAY", of one gamma."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + number(0.9642) + number(1.0) + number(0.8249)
    tags = {b"wtpt": white}
    if space == "GRAY":
        tags[b"kTRC"] = curve
    else:
        for i, name in enumerate("rgb"):
            xyz = b"".join(number(x) for x in primaries[:, i])
            tags[f"{name}XYZ".encode()] = b"XYZ \0\0\0\0" + xyz
            tags[f"{name}TRC".encode()] = curve
    table, body, place = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content
    head = struct.pack(
        ">I4s4s4s4s4s",
        place + len(body),
        b"\0\0\0\0",
        b"\2\0\0\0",
        b"mntr",
        space.encode(),
        b"XYZ ",
    )
    return (head + bytes(12) + b"acsp" + bytes(88))[:128] + table + body


def srgb_of(values):
    """Return what Adobe RGB's numbers are in sRGB, by the definitions of both."""
    linear = np.linalg.solve(SRGB, ADOBE @ (values.reshape(-1, 3).T / 255) ** GAMMA).clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (255 * encoded.T).reshape(values.shape)


@pytest.fixture
def colors():
    """Colors that both spaces hold."""
    x = np.random.default_rng(0).integers(90, 170, (16, 24, 3)).astype(np.uint8)
    return x, srgb_of(x)


def test_the_same_color_is_read_whatever_space_it_is_written_in(tmp_path, colors):
    x, wanted = colors
    assert np.abs(wanted - x).max() > 20
    profile = profile_of("RGB ")
    for kind, options in (
        ("PNG", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {"quality": 100, "subsampling": 0}),
    ):
        Image.fromarray(x).save(tmp_path / "x", kind, icc_profile=profile, **options)
        read = read_image(tmp_path / "x", 3)
        error = np.abs(np.asarray(read) - wanted)
        assert (error.mean() if kind == "JPEG" else error.max()) < 1.5, kind
        assert "icc_profile" not in read.info, kind


def test_transparency_and_orientation_stay(tmp_path, colors):
    x, wanted = colors
    alpha = np.arange(x[..., 0].size, dtype=np.uint8).reshape(x.shape[:2])
    exif = Image.Exif()
    exif[0x0112] = 3
    picture = Image.fromarray(np.dstack([x, alpha]))
    picture.save(tmp_path / "x.png", icc_profile=profile_of("RGB "), exif=exif)
    read = np.asarray(read_image(tmp_path / "x.png", 4))[::-1, ::-1]
    assert np.abs(read[..., :3] - wanted).max() < 1.5
    assert np.array_equal(read[..., 3], alpha)


def test_gray_is_brought_to_the_curve_of_srgb(tmp_path):
    gray = np.arange(256, dtype=np.uint8)[None].repeat(4, 0)
    Image.fromarray(gray).save(tmp_path / "x.png", icc_profile=profile_of("GRAY"))
    linear = (gray / 255) ** GAMMA
    wanted = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(np.asarray(read_image(tmp_path / "x.png", 1)) - 255 * wanted).max() < 2


def test_srgb_itself_and_what_is_no_profile_of_the_image_change_nothing(tmp_path, colors):
    x, _ = colors
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    broken = profile_of("RGB ")[:200]
    for profile in (own, broken, b"nonsense", profile_of("GRAY")):
        Image.fromarray(x).save(tmp_path / "x.png", icc_profile=profile)
        assert np.array_equal(np.asarray(read_image(tmp_path / "x.png", 3)), x)


def test_a_palette_is_converted(tmp_path, colors):
    x = colors[0][:2, :2]
    paletted = Image.fromarray(x).quantize(4)
    shown = np.asarray(paletted.convert("RGB"))
    paletted.save(tmp_path / "x.png", icc_profile=profile_of("RGB "))
    assert np.abs(np.asarray(read_image(tmp_path / "x.png", 3)) - srgb_of(shown)).max() < 1.5


def test_what_is_saved_of_an_image_that_was_read_carries_no_profile(tmp_path):
    Image.new("CMYK", (8, 8), (10, 200, 30, 0)).save(tmp_path / "x.jpg", icc_profile=b"x" * 99)
    file = io.BytesIO()
    read_image(tmp_path / "x.jpg", 3).save(file, "PNG")
    assert b"iCCP" not in file.getvalue()
