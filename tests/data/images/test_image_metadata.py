"""Files that are small and would take all memory, or hours, if a decoder read all of them."""

import io
import random
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from munit_pl.data.images.metadata import MAX_BYTES, MAX_SCANS
from munit_pl.data.images.reading import read_image, read_size
from munit_pl.data.images.tiff_tags import read_orientation

GRAY = Image.new("L", (16, 16), 100)


def tags_that_share(count, kilobytes):
    """Return a TIFF of tags that all name the same bytes."""
    place = 8 + 2 + 12 * count + 4
    entries = (struct.pack("<HHII", 1000 + i, 7, kilobytes << 10, place) for i in range(count))
    head = b"II*\0" + struct.pack("<IH", 8, count) + b"".join(entries) + bytes(4)
    return head + random.Random(0).randbytes(kilobytes << 10)


def saved(kind, image=GRAY, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_with(*chunks):
    data = saved("PNG")
    added = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:33] + added + data[33:]


def exif_as_text():
    """Return a PNG's chunk of 8 kB that is no EXIF after all, in 8 MB."""
    return b"Raw profile type exif\0\0" + zlib.compress(b"exif 9 " + b"x" * (8 << 20) + b"!" * 99)


def tiff_of_strips(count):
    """Return a TIFF whose strips, each a row, lie in one place."""
    tags = [(256, 4, 1, 16), (257, 4, 1, count), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(277, 3, 1, 1), (278, 4, 1, 1)]
    places = 8 + 2 + 12 * (len(tags) + 2) + 4
    tags += [(273, 4, count, places), (279, 4, count, places + 4 * count)]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    head += b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags)) + bytes(4)
    return head + struct.pack(f"<{2 * count}I", *[places] * count, *[16] * count)


def jpeg_of_scans(count):
    """Return a progressive JPEG, 8 pixels high and wide, of one scan over and over."""

    def segment(marker, body):
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body

    head = b"\xff\xd8" + segment(0xDB, b"\0" + bytes([1] * 64))
    head += segment(0xC2, struct.pack(">BHHB", 8, 8, 8, 1) + b"\x01\x11\0")
    for kind in (0x00, 0x10):
        head += segment(0xC4, bytes([kind, 1]) + bytes(15) + b"\0")
    first = segment(0xDA, b"\x01\x01\0\0\0\0") + b"\x7f"
    later = segment(0xDA, b"\x01\x01\0\x01\x01\0") + b"\x7f"
    return head + first + later * (count - 1) + b"\xff\xd9"


def gif_of_comment(megabytes):
    head = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    comment = b"\x21\xfe" + (b"\xff" + b"a" * 255) * (megabytes << 12) + b"\0"
    data = saved("GIF", Image.new("1", (4, 4)))
    return head + comment + data[data.index(b"\x2c\0\0\0\0") :]


def test_what_the_pixels_do_not_need_costs_nothing(tmp_path):
    text = zlib.compress(bytes(5 << 20))
    for name, data in {
        "EXIF in a PNG": png_with((b"eXIf", tags_that_share(2000, 500))),
        "EXIF in a WebP": saved("WEBP", GRAY.convert("RGB"), exif=tags_that_share(2000, 500)),
        "a text": png_with((b"zTXt", b"prompt\0\0" + text)),
        "a text of Unicode": png_with((b"iTXt", b"prompt\0\1\0\0\0" + text)),
        "a profile": png_with((b"iCCP", b"printer\0\0" + zlib.compress(bytes(99 << 20)))),
        "EXIF as texts": png_with(*[(b"zTXt", exif_as_text())] * 500),
        "a comment": gif_of_comment(8),
    }.items():
        (tmp_path / "x").write_bytes(data)
        tracemalloc.start()
        began = time.process_time()
        size = read_size(tmp_path / "x")
        image = read_image(tmp_path / "x", 1)
        assert time.process_time() - began < 2, name
        assert tracemalloc.get_traced_memory()[1] < 5 * len(data) + (20 << 20), name
        tracemalloc.stop()
        assert size == image.size, name
        if "comment" not in name:
            assert np.abs(np.asarray(image, int) - 100).max() <= 2, name


def test_what_decoding_itself_would_not_end_with_is_refused(tmp_path):
    for refused, data in {
        "its tags come to more bytes than it has": tags_that_share(2000, 500),
        "more than 4096 tags": tags_that_share(5000, 1),
        f"more than {MAX_SCANS} scans": jpeg_of_scans(MAX_SCANS + 1),
        "more than 100000 strips or tiles": tiff_of_strips(100_001),
        "there is no marker where one should be": b"\xff\xd8" + b"\xff" * 10**6 + saved("JPEG"),
        "its header is broken, or longer": b"P6\n#" + b"a" * 10**7 + b"\n1 1 255\n" + bytes(3),
        "more than 100000 markers": b"\xff\xd8" + b"\xff\xef\0\2" * 100_001 + saved("JPEG")[2:],
    }.items():
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(OSError, match=refused):
            read_image(tmp_path / "x", 1)
    with (tmp_path / "x").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(OSError, match=f"it has more than {MAX_BYTES} bytes"):
        read_image(tmp_path / "x", 1)


def test_as_many_scans_as_programs_write_are_read(tmp_path):
    (tmp_path / "x").write_bytes(jpeg_of_scans(20))
    assert read_image(tmp_path / "x", 1).size == (8, 8)
    # What follows the end is another file, such as a short film.
    (tmp_path / "x").write_bytes(saved("JPEG", progressive=True) + b"\xff\xda\0\0" * 1000)
    assert read_image(tmp_path / "x", 1).size == (16, 16)


def test_orientation_is_read_of_either_order_and_is_1_where_it_is_broken():
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        for kind, form in ((3, "HH"), (4, "I")):
            value = struct.pack(f"{order}{form}", *([6, 0][: len(form)]))
            entry = struct.pack(f"{order}HHI", 274, kind, 1) + value
            exif = mark + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)
            assert read_orientation(exif) == read_orientation(b"Exif\0\0" + exif) == 6
            for cut in range(20):
                assert read_orientation(exif[:cut]) == 1, cut
