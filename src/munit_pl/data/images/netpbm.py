"""PBM, PGM and PPM converted to the kinds that Pillow decodes in C, and not in Python.

The others are those in text, and those whose largest value is neither 255 nor 65535.
"""

import re
import warnings
from io import BytesIO
from typing import IO

import numpy as np
import numpy.typing as npt

_HEADER = 4096  # bytes
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_BITMAP = re.compile(rb"P([14])" + (_GAP + rb"(\d{1,6})") * 2 + rb"\s")
_PIXMAP = re.compile(rb"P([2356])" + (_GAP + rb"(\d{1,6})") * 3 + rb"\s")
_DECODED_IN_C = ((5, 255), (5, 65535), (6, 255))
_TEXT_OF_A_NUMBER = 16  # bytes at most, with what is between
_AT_ONCE = 1 << 20  # values


def is_pnm(start: bytes) -> bool:
    """Return whether a file is PBM, PGM, PPM or one of their kin, by its first bytes."""
    return re.match(rb"P[0-7fFy]", start) is not None


def as_binary_pnm(file: IO[bytes], header: bool) -> IO[bytes]:
    """Return a file's image as binary PNM of 8 bits, or of 16 bits of gray, scaled to their range.

    Args:
        file: A PBM, PGM or PPM, at its beginning.
        header: Whether only the size is wanted.

    Raises:
        ValueError: Its header is broken or long, or it has not the values that it promises.
    """
    head = file.read(_HEADER)
    if head[1:2] in (b"f", b"F"):
        raise ValueError("its pixels are floating-point numbers, which have no fixed white")
    found = (_BITMAP if head[1:2] in b"14" else _PIXMAP).match(head)
    if found is None:
        raise ValueError(f"its header is broken, or longer than {_HEADER} bytes")
    if header:
        return BytesIO(head)
    kind, width, height, white = (int(number) for number in (*found.groups(), b"1")[:4])
    file.seek(0)
    if kind == 4 or (kind, white) in _DECODED_IN_C:
        return file
    if not 1 <= white <= 65535:
        raise ValueError(f"its white is {white}, and not within 1 to 65535")
    file.seek(found.end())
    color = kind in (3, 6)
    values = _values(file, kind, width * height * (3 if color else 1), white)
    full, form = (65535, ">u2") if white > 255 and not color else (255, "u1")
    rows = [b"P%d %d %d %d\n" % (6 if color else 5, width, height, full)]
    for i in range(0, len(values), _AT_ONCE):  # in 32 bits all of them would take much memory
        scaled = (values[i : i + _AT_ONCE].astype(np.uint32) * full + white // 2) // white
        rows.append(scaled.astype(form).tobytes())
    return BytesIO(b"".join(rows))


def _values(file: IO[bytes], kind: int, count: int, white: int) -> npt.NDArray[np.integer]:
    """Read as many values, each of 0 to ``white``."""
    values: npt.NDArray[np.integer]
    if kind <= 3:
        values = _numbers(file.read(_TEXT_OF_A_NUMBER * count), kind)[:count]
    else:
        form = np.dtype(">u2" if white > 255 else "u1")
        data = file.read(form.itemsize * count)
        values = np.frombuffer(data, form, len(data) // form.itemsize)
    if not count or len(values) < count or values.min() < 0 or values.max() > white:
        raise ValueError(f"it has fewer than {count} values, or some that are not in 0 to {white}")
    return values


def _numbers(text: bytes, kind: int) -> npt.NDArray[np.integer]:
    text = re.sub(rb"#[^\r\n]*", b"", text)
    if kind != 1:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of what is no number
            return np.fromstring(text, np.int32, sep=" ")
    digits = np.frombuffer(text.translate(None, b" \t\n\r\v\f"), np.uint8)
    return 49 - digits.astype(np.int16)  # 1 is black
