"""Opening image files, which may be untrusted: their formats, their size, their errors."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Protocol

from PIL import Image, TiffImagePlugin, features

from munit_pl.data.images.metadata import strip
from munit_pl.data.images.tiff_tags import read_orientation
from munit_pl.io.regular_files import open_regular

FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
if features.check("avif"):  # Pillow from 11.3 on
    FORMATS += ("AVIF",)
MAX_PIXELS = 64_000_000  # a file of a few kilobytes may declare so many that memory runs out
_ORIENTATION = 0x0112  # TIFF tag
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HEIC = "is HEIC, which takes pillow-heif (pip install 'munit-pl[heif]'): or convert it to JPEG"


class EncodedImage(Protocol):
    """An encoded image that is no file of its own, such as a table's row; as text, its name."""

    def __hash__(self) -> int: ...

    @property
    def stamp(self) -> str:
        """What is another once the image has changed."""

    def open(self) -> IO[bytes]:
        """Return what a file of it would hold.

        Raises:
            OSError: If it cannot be read, or there is none.
        """


ImageFile = Path | EncodedImage


@contextmanager
def open_image(path: ImageFile, header: bool = False) -> Iterator[Image.Image]:
    """Open an image; decoders raise errors of many kinds, which become one that names the file.

    Args:
        path: The file, or what stands for one.
        header: Whether nothing but the size and the orientation is wanted.

    Raises:
        OSError: Within the block too: what is done with the image there fails for any reason.
    """
    try:
        with open_regular(path) if isinstance(path, Path) else path.open() as file:
            image = _identified(file, header)
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"height x width {image.height}x{image.width}")
            yield image
    except Image.DecompressionBombError as error:  # from above, or Pillow's own
        cause = f"more than {MAX_PIXELS // 10**6} million pixels, resize it ({error})"
        raise _unreadable(path, cause) from error
    except OSError as error:
        if error.errno is not None:  # of the system: its number tells a lost disk from a bad file
            if error.filename is not None:
                raise
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise _unreadable(path, str(error)) from error
    except Exception as error:
        raise _unreadable(path, str(error) or type(error).__name__) from error


def _unreadable(path: ImageFile, cause: str) -> OSError:
    return OSError(f"cannot read image {str(path)!r}: {' '.join(cause.split())}")


def _identified(file: IO[bytes], header: bool) -> Image.Image:
    """Open an image as Pillow does, except that a large one is not warned of: it is refused.

    Without a name the pixels are read and not mapped into memory. A mapped file that is cut short
    meanwhile would kill the process.
    """
    start = file.read(16)
    file.seek(0)
    stripped = strip(file, header)
    for kind in (*FORMATS, *_heif(start)):
        if kind not in Image.OPEN:
            Image.init()
        factory, accepts = Image.OPEN[kind]
        with suppress(SyntaxError, IndexError, TypeError, struct.error):  # another kind after all
            if accepts is None or accepts(start) is True:
                stripped.file.seek(0)
                image = factory(stripped.file, "")
                for name, value in (("exif", stripped.exif), ("icc_profile", stripped.profile)):
                    if value:
                        image.info[name] = value
                return image
    raise OSError(f"its header is of none of {', '.join(FORMATS)}")


def _heif(start: bytes) -> tuple[str, ...]:
    """Return Pillow's name of HEIC, if that is what a file starts as."""
    if not is_heic(start):
        return ()
    if not reads_heic():
        raise OSError(HEIC)
    import_module("pillow_heif").register_heif_opener()
    return ("HEIF",)


def reads_heic() -> bool:
    """Return whether HEIC can be read here."""
    return find_spec("pillow_heif") is not None


def is_heic(start: bytes) -> bool:
    """Return whether a file is HEIC, the format of iPhones' photographs, by its first 12 bytes."""
    return start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS


def orientation(image: Image.Image) -> int:
    """Return what EXIF says of how an opened image lies: 1 is upright, 2 to 8 are turned."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # That of the whole file; some versions of Pillow have turned the pixels by now.
        return int(Image.Image.getexif(image).get(_ORIENTATION, 1))
    return read_orientation(image.info.get("exif", b""))
