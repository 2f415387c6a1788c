"""PBM, PGM and PPM of every kind, in little time."""

import time

import numpy as np
import pytest

from munit_pl.data.images.reading import read_image, read_size

WHITES = (1, 15, 255, 1023, 4095, 65535)


def test_each_kind_is_read_with_its_white(tmp_path):
    path = tmp_path / "x.pnm"
    rng = np.random.default_rng(0)
    for kind in (2, 3, 5, 6):
        for white in WHITES:
            shape = (5, 7, 3) if kind in (3, 6) else (5, 7)
            values = rng.integers(0, white + 1, shape)
            raster = values.astype(">u2" if white > 255 else "u1").tobytes()
            if kind <= 3:
                raster = b"# noted\n" + " ".join(map(str, values.flat)).encode() + b"\n#end"
            path.write_bytes(b"P%d # by hand\n7 5\n%d\n" % (kind, white) + raster)
            seen = np.asarray(read_image(path, values.ndim if values.ndim == 3 else 1), float)
            assert np.abs(seen - values * (255 / white)).max() <= 0.51 + (white > 255), (
                kind,
                white,
            )
            assert read_size(path) == (5, 7)


def test_bitmaps_are_white_where_they_are_0(tmp_path):
    expected = [[255, 0, 255], [0, 0, 255]]
    for data in (b"P1\n3 2\n0 1 0\n110", b"P1 3 2 01 0#\n1\t10\n", b"P4\n3 2\n\x40\xc0"):
        (tmp_path / "x").write_bytes(data)
        assert np.asarray(read_image(tmp_path / "x", 1)).tolist() == expected


def test_what_is_no_image_is_refused(tmp_path):
    for data in (
        b"P2 2 1 255\n1 x",
        b"P2 2 1 255\n1 256",
        b"P2 2 1 255\n1 -1",
        b"P2 2 1 255\n1",
        b"P5 2 1 1023\n\0\1\0",
        b"P5 2 1 15\n\1\x10",
        b"P1 2 1\n02",
        b"P2 2 1 0\n0 0",
        b"P2 2 1 65536\n0 0",
        b"P3 0 0 255\n",
        b"P2 2 1",
        b"P",
        b"Pf 2 1 1.0\n" + bytes(8),
        b"P7 #" + b"a" * 5000,
    ):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(OSError, match="cannot read image "):
            read_image(tmp_path / "x", 1)


def test_large_ones_take_little_time(tmp_path):
    """Number by number, in Python, either takes a second."""
    side = 1200
    deep = np.full((side, side), 4095, ">u2").tobytes()
    for data in (b"P5 1200 1200 4095\n" + deep, b"P2 1200 1200 9\n" + b"9 " * side**2):
        (tmp_path / "x").write_bytes(data)
        began = time.process_time()
        image = read_image(tmp_path / "x", 1)
        assert time.process_time() - began < 0.5
        assert image.getextrema() == (255, 255)
