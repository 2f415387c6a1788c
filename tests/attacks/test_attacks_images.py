"""Image files as attackers write them: small on disk, and meant to be large, slow or run."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import zlib

import pytest
import torch
from PIL import Image

from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.reading import read_image, read_size


def chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(width, height, before=b"", bits=1):
    """Return a gray PNG of zeros that says its size, with chunks ``before`` its pixels."""
    rows = min(height, 10_000) * (1 + -(-width * bits // 8)) if width < 10**6 else 0
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(rows), 9))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + chunk(b"IEND", b"")


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_size(content, place, kind, *size):
    """Return an image file that lies about its size."""
    return content[:place] + struct.pack(kind, *size) + content[place + struct.calcsize(kind) :]


def tiff(entries, more=b""):
    """Return a TIFF with these tags: number, type, count, value."""
    tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + struct.pack("<I", 8) + more


def gif(frames):
    """Return a GIF of so many frames, each one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


GRAY = Image.new("L", (16, 16), 100)
BASE = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
TEXT = zlib.compress(bytes(1 << 28), 9)
REFUSED = {
    "bomb.png": png(12_000, 10_000),
    "larger.png": png(20_000, 9_500),
    "largest.png": png(2**31 - 1, 2**31 - 1),
    "bomb.bmp": with_size(encoded(GRAY, "BMP"), 18, "<ii", 30_000, 30_000),
    "bomb.gif": with_size(encoded(GRAY, "GIF"), 6, "<HH", 65_535, 65_535),
    "bomb.ppm": b"P5 99999 99999 255\n" + bytes(99),
    "bomb.jpg": encoded(GRAY, "JPEG").replace(b"\0\x10\0\x10\x01", b"\xff\0\xff\0\x01"),
    "bomb.webp": with_size(encoded(GRAY, "WEBP"), 26, "<HH", 16_383, 16_383),
    "bomb.tif": tiff([(256, 4, 1, 10**6), (257, 4, 1, 10**6), *BASE[2:], (273, 4, 1, 200)]),
    "strips.tif": tiff([*BASE, (273, 4, 2**31, 200), (279, 4, 2**31, 200)]),
    "tags.tif": tiff([*BASE, *((40_000 + i, 2, 2**32 - 1, 8) for i in range(10_000))]),
    "text.png": png(16, 16, chunk(b"zTXt", b"a\0\0" + TEXT) * 20),
    "unicode.png": png(16, 16, chunk(b"iTXt", b"a\0\x01\0\0\0" + TEXT) * 20),
    "profile.png": png(16, 16, chunk(b"iCCP", b"a\0\0" + TEXT)),
    "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
}
READ = {
    "texts.png": png(16, 16, chunk(b"tEXt", b"a\0b") * 10**5),
    "frames.gif": gif(200_000),
    "loop.tif": encoded(GRAY, "TIFF"),
    "exif.jpg": encoded(
        GRAY, "JPEG", exif=b"Exif\0\0" + tiff([(40_000 + i, 2, 2**32 - 1, 8) for i in range(5000)])
    ),
}
# Or read: both will do.
HARMLESS_REFUSALS = {"text.png", "texts.png", "unicode.png", "profile.png", "tags.tif"}

MEASURE = """
import resource, sys, time, warnings
from pathlib import Path
from PIL import Image
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.reading import read_image, read_size

warnings.simplefilter("ignore")
warnings.simplefilter("error", Image.DecompressionBombWarning)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before = peak()
for path in map(Path, sys.argv[1:]):
    for read in (
        lambda: read_image(path, 3),
        lambda: read_size(path),
        lambda: ImageFolder([path], 3, resize=16, crop=(16, 16)).load(0, None),
    ):
        start = time.process_time()
        try:
            read()
            outcome = "read"
        except (OSError, ValueError) as error:
            assert "\\n" not in str(error) and len(str(error)) < 500, error
            outcome = "refused"
        harm = peak() > before + 100 or time.process_time() - start > 3
        print(path.name, "harmful" if harm else outcome, sep="\\t")
"""


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts in kilobytes")
def test_no_file_takes_more_memory_or_time_than_an_image(tmp_path):
    for name, content in (REFUSED | READ).items():
        assert len(content) < 8_000_000
        (tmp_path / name).write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert run.stderr == ""
    outcomes = {}
    for line in run.stdout.splitlines():
        name, outcome = line.split("\t")
        outcomes.setdefault(name, set()).add(outcome)
    assert outcomes.keys() == REFUSED.keys() | READ.keys()
    for name, outcome in outcomes.items():
        if name not in HARMLESS_REFUSALS:
            assert outcome == ({"refused"} if name in REFUSED else {"read"}), name
        assert "harmful" not in outcome, name


def test_bombs_are_bombs():
    """What a reader without limits would make of some of them."""
    assert len(REFUSED["bomb.png"]) < 30_000
    with (
        pytest.warns(Image.DecompressionBombWarning),
        Image.open(io.BytesIO(REFUSED["bomb.png"])) as image,
    ):
        assert image.width * image.height == 120_000_000  # and no error
    assert len(zlib.decompress(TEXT)) == 1 << 28
    assert len(TEXT) < 300_000


def test_postscript_under_an_images_name_reaches_no_interpreter(tmp_path, monkeypatch):
    path, trace, fake = tmp_path / "script.png", tmp_path / "trace", tmp_path / "gs"
    path.write_bytes(REFUSED["script.png"])
    fake.write_text(f"#!/bin/sh\ntouch '{trace}'\necho 10.0\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    with Image.open(path) as image:
        assert image.format == "EPS"
        with contextlib.suppress(OSError):
            image.load()
    trace.unlink()  # the interpreter was started
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    for read in (read_size, lambda path: read_image(path, 3)):
        with pytest.raises(OSError, match=r"script\.png': its header is of none of JPEG, PNG"):
            read(path)
    assert not trace.exists()


def test_a_thin_image_does_not_grow_when_it_is_resized(tmp_path):
    """4000x3 to a shortest side of 256 would be 87 million pixels."""
    path = tmp_path / "thin.png"
    Image.new("RGB", (4000, 3)).save(path)
    assert 4000 * 256 // 3 * 256 > 87_000_000
    folder = ImageFolder([path], 3, resize=256, crop=(64, 64))
    for rng in (None, torch.Generator()):
        with pytest.raises(ValueError, match=r"thin\.png") as caught:
            folder.load(0, rng)
        assert "\n" not in str(caught.value)
