"""TIFF's tags, which EXIF has too: how many there are, and how an image lies."""

import struct
from typing import IO

MAX_TAGS = 4096  # of a directory of EXIF or TIFF
MAX_STRIPS = 100_000  # or tiles

_PLACES = (273, 324)  # tags of where strips and tiles lie
_DIRECTORIES = (34665, 34853, 40965)  # tags that point to EXIF's, GPS's and Interop's tags
_ORIENTATION = 274
_TAG_BYTES = dict.fromkeys((1, 2, 6, 7), 1) | dict.fromkeys((3, 8), 2)
_TAG_BYTES |= dict.fromkeys((4, 9, 11, 13), 4) | dict.fromkeys((5, 10, 12, 16, 17, 18), 8)


def check_tags(file: IO[bytes]) -> None:
    """Refuse a TIFF whose tags come to more than the file, as they do if they share bytes."""
    order = "<" if file.read(2) == b"II" else ">"
    big = struct.unpack(f"{order}H", file.read(2))[0] == 43
    total = file.seek(0, 2)
    file.seek(8 if big else 4)
    pointer, entry = (f"{order}Q", f"{order}HHQ8s") if big else (f"{order}I", f"{order}HHI4s")
    size = struct.calcsize(pointer)
    places = list(struct.unpack(pointer, file.read(size)))
    held, seen = 0, set[int]()
    while places:
        place = places.pop()
        if not place or place in seen or place > total:
            continue
        seen.add(place)
        file.seek(place)
        count = struct.unpack(f"{order}{'Q' if big else 'H'}", file.read(8 if big else 2))[0]
        if count > MAX_TAGS or len(seen) > 16:
            raise ValueError(f"it has more than {MAX_TAGS} tags, or more than 16 lists of them")
        for _ in range(count):
            tag, kind, number, value = struct.unpack(entry, file.read(struct.calcsize(entry)))
            if tag in _PLACES and number > MAX_STRIPS:
                raise ValueError(f"it has more than {MAX_STRIPS} strips or tiles")
            held += number * _TAG_BYTES.get(kind, 0)
            if tag in _DIRECTORIES:
                wide = kind in (16, 18)
                form = f"{order}{'Q' if wide and big else 'I'}"
                places.append(struct.unpack(form, value[: struct.calcsize(form)])[0])
        if held > total:
            raise ValueError("its tags come to more bytes than it has")
        if len(seen) == 1:  # the next image's; of more than two nothing is read
            places += struct.unpack(pointer, file.read(size))


def read_orientation(exif: bytes) -> int:
    """Return what EXIF says of how an image lies: 1 is upright, 2 to 8 are turned.

    Args:
        exif: A TIFF of tags. Where it is broken, the image counts as upright.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        order = {b"II": "<", b"MM": ">"}[exif[:2]]
        (place,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, place)
        for i in range(min(count, MAX_TAGS)):
            tag, kind, _ = struct.unpack_from(f"{order}HHI", exif, place + 2 + 12 * i)
            if tag == _ORIENTATION:
                form = {3: "H", 4: "I"}[kind]
                return int(struct.unpack_from(f"{order}{form}", exif, place + 10 + 12 * i)[0])
    except (KeyError, struct.error):
        pass
    return 1
