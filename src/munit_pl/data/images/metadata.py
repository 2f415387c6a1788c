"""Metadata of image files, left out or bounded before a decoder reads any of it.

Decoders keep comments, profiles, EXIF and TIFF tags, at costs that grow beyond the file's size:
tags that share their bytes are copied one by one, comments are joined block by block, each of
thousands of scans goes over the whole image. So a decoder gets the file without what is not needed,
and what is needed, orientation and color profile, is read here.
"""

import re
import struct
import zlib
from io import BytesIO
from typing import IO, NamedTuple

from munit_pl.data.images.netpbm import as_binary_pnm, is_pnm
from munit_pl.data.images.tiff_tags import check_tags

MAX_SCANS = 100  # of a JPEG; programs write 1 to 10, and each costs a pass over all of its blocks
MAX_BLOCKS = 100_000  # markers, chunks or extensions
MAX_BYTES = 1 << 30  # of a file; 64 million pixels, the most that is read, have half of it
MAX_PROFILE = 8 << 20  # bytes of a color profile; the largest, of printers, have 2 or 3 MiB

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT")
_JPEG_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # others belong to the scan
_OF_COLOR = 16  # bytes of JFIF's and Adobe's segments, which may have a thumbnail behind


class Stripped(NamedTuple):
    """A file as a decoder is to read it.

    Attributes:
        file: The image, without metadata.
        exif: Its EXIF, as a TIFF of tags; empty if there is none, or the decoder is to find it.
        profile: Its ICC profile, likewise.
    """

    file: IO[bytes]
    exif: bytes = b""
    profile: bytes = b""


def strip(file: IO[bytes], header: bool = False) -> Stripped:
    """Leave out what the pixels do not need.

    Args:
        file: An image file of any format, at its beginning.
        header: Whether only the size is wanted. Of a JPEG and a PNG the pixels are then left out.

    Raises:
        ValueError: If it holds more of something than any image needs.
        struct.error, IndexError: If it ends before it should.
    """
    if file.seek(0, 2) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start.startswith(b"\xff\xd8\xff"):
        return _strip_jpeg(file, header)
    if start == _PNG:
        return _strip_png(file, header)
    if start.startswith((b"GIF87a", b"GIF89a")):
        return Stripped(BytesIO(_strip_gif(file.read())))
    if is_pnm(start):
        return Stripped(as_binary_pnm(file, header))
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        check_tags(file)
        file.seek(0)
    return Stripped(file)


def _strip_jpeg(file: IO[bytes], header: bool) -> Stripped:
    """Keep the segments that decoding takes; of "APP" ones those that tell the color space."""
    kept, exif = [file.read(2)], b""
    profile: dict[int, bytes] = {}
    for _ in range(MAX_BLOCKS):
        marker = _next_marker(file)
        if marker == 0xDA or not marker:
            break
        if marker in (0x01, *range(0xD0, 0xD9)):  # without contents
            continue
        length = file.read(2)
        body = file.read(struct.unpack(">H", length)[0] - 2)
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif or body[6:]
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile.setdefault(body[12], body[14:])
        tells_space = marker in (0xE0, 0xEE) and len(body) <= _OF_COLOR
        if tells_space or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(bytes((0xFF, marker)) + length + body)
    else:
        raise ValueError(f"it has more than {MAX_BLOCKS} markers")
    scans = b""
    if marker:
        scans = b"\xff\xda" + (b"\0\2" if header else file.read())
        _check_scans(scans)
    joined = b"".join(profile[number] for number in sorted(profile))
    return Stripped(BytesIO(b"".join(kept) + scans), exif, joined)


def _next_marker(file: IO[bytes]) -> int:
    """Return the next marker's second byte, 0 at the end of the file; padding is skipped."""
    before = b""
    for _ in range(MAX_BLOCKS):
        byte = file.read(1)
        if byte == b"":
            return 0
        if before == b"\xff" and byte not in (b"\0", b"\xff"):
            return byte[0]
        before = byte
    raise ValueError("there is no marker where one should be")


def _check_scans(data: bytes) -> None:
    """Refuse a JPEG of too many scans, up to its end; other files may follow that."""
    position, scans = 0, 0
    for _ in range(MAX_BLOCKS):
        found = _JPEG_END_OF_SCAN.search(data, position)
        if found is None or found[0] == b"\xff\xd9":
            return
        scans += found[0] == b"\xff\xda"
        if scans > MAX_SCANS:
            raise ValueError(f"it has more than {MAX_SCANS} scans")
        length = data[found.end() : found.end() + 2]
        position = found.end() + (int.from_bytes(length, "big") if len(length) == 2 else 2)
    raise ValueError(f"it has more than {MAX_BLOCKS} markers")


def _strip_png(file: IO[bytes], header: bool) -> Stripped:
    kept, exif, profile, text = [file.read(8)], b"", b"", b""
    for _ in range(MAX_BLOCKS):
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT" and header:
            kept.append(head)
            break
        body = file.read(length + 4)  # with its checksum
        if kind in _PNG_PIXELS:
            kept.append(head + body)
        elif kind == b"eXIf":
            exif = exif or body[:-4]
        elif kind == b"iCCP":
            profile = profile or body[:-4].partition(b"\0")[2][1:]
        elif kind in (b"zTXt", b"tEXt") and body.startswith(b"Raw profile type exif\0"):
            text = text or kind + body[:-4].partition(b"\0")[2]
        if kind == b"IEND":
            break
    else:
        raise ValueError(f"it has more than {MAX_BLOCKS} chunks")
    exif = exif or _exif_of_text(text[:4], text[4:])
    return Stripped(BytesIO(b"".join(kept)), exif, _inflate(profile))


def _inflate(data: bytes) -> bytes:
    """Decompress, if that comes to no more than ``MAX_PROFILE`` bytes; else return nothing."""
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, MAX_PROFILE)
    except zlib.error:
        return b""
    return inflated if inflater.eof else b""


def _exif_of_text(kind: bytes, text: bytes) -> bytes:
    """Read EXIF that is written in hexadecimal, as programs did before PNG had a place for it."""
    text = _inflate(text[1:]) if kind == b"zTXt" else text
    words = text.split(maxsplit=2)
    try:
        return bytes.fromhex(words[2].decode("ascii")).removeprefix(b"Exif\0\0")
    except (IndexError, ValueError):
        return b""


def _strip_gif(data: bytes) -> bytes:
    """Keep a GIF's first two frames and what says how they are shown."""
    end = 13 + _palette_bytes(data[10])
    kept, frames = [data[:end]], 0
    for _ in range(MAX_BLOCKS):
        start, kind = end, data[end : end + 1]
        if kind not in (b"\x21", b"\x2c"):
            break
        first = start + 2 if kind == b"\x21" else start + 11 + _palette_bytes(data[start + 9])
        end = _end_of_blocks(data, first)
        frames += kind == b"\x2c"
        if kind == b"\x2c" or data[start + 1] == 0xF9:
            kept.append(data[start:end])
        if frames == 2:
            break
    return b"".join(kept) + b"\x3b"


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _end_of_blocks(data: bytes, position: int) -> int:
    """Return where a sequence of blocks, each with its length before it, ends."""
    while position < len(data) and data[position]:
        position += 1 + data[position]
    return position + 1
