"""Images to train on, and images with something wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Maker = Callable[[Path], None]  # writes a file


def noise(seed: int, height: int = 32, width: int = 28) -> Image.Image:
    """Return a picture of colored noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def draw_domains(root: Path, train: int, test: int = 4) -> None:
    """Write both domains' folders; images of 16 to 40 pixels, PNG and JPEG in turns."""
    for place, name in enumerate(("trainA", "trainB", "testA", "testB")):
        draw_folder(root / name, train if name.startswith("train") else test, 1000 * place)


def draw_folder(folder: Path, count: int, seed: int = 0) -> None:
    """Write a folder of images ``000.png``, ``001.jpg`` and so on, all different."""
    folder.mkdir(parents=True)
    for i in range(count):
        height, width = np.random.default_rng(seed + i).integers(16, 41, 2)
        ending = "jpg" if i % 2 else "png"
        noise(seed + i, int(height), int(width)).save(folder / f"{i:03}.{ending}")


def truncated_jpeg(path: Path) -> None:
    """Write the first half of a photograph."""
    noise(7, 40, 40).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Write no byte."""
    path.write_bytes(b"")


def text(path: Path) -> None:
    """Write a text."""
    path.write_text("hello")


def postscript(path: Path) -> None:
    """Write a program that viewers of EPS would run."""
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")


def bomb(path: Path) -> None:
    """Write a file of some 20 kB that declares 190 million pixels."""
    Image.new("1", (20_000, 9_500)).save(path, "PNG")


def thin(path: Path) -> None:
    """Write an image that would have millions of pixels once its shortest side is resized."""
    noise(8, 3, 4000).save(path, "PNG")


def white(path: Path) -> None:
    """Write white alone."""
    Image.new("RGB", (32, 32), "white").save(path, "PNG")


def black(path: Path) -> None:
    """Write black alone."""
    Image.new("RGB", (32, 32)).save(path, "PNG")


def tiny(path: Path) -> None:
    """Write an image smaller than any crop here."""
    noise(9, 6, 6).save(path, "PNG")


def floating(path: Path) -> None:
    """Write pixels of no known range."""
    Image.fromarray(np.linspace(0, 1e6, 1024, dtype=np.float32).reshape(32, 32)).save(path, "TIFF")


def broken_link(path: Path) -> None:
    """Link to nothing."""
    path.symlink_to("nothing.png")


def png(path: Path) -> None:
    """Write a PNG, whatever the name says."""
    noise(10).save(path, "PNG")


def cmyk(path: Path) -> None:
    """Write a JPEG in printing colors."""
    noise(11).convert("CMYK").save(path, "JPEG")


def _sixteen_bits() -> Image.Image:
    return Image.fromarray(np.linspace(0, 65535, 1024).astype(np.uint16).reshape(32, 32))


def png_16(path: Path) -> None:
    """Write a ramp in 16 bits as PNG."""
    _sixteen_bits().save(path, "PNG")


def tiff_16(path: Path) -> None:
    """Write a ramp in 16 bits as TIFF."""
    _sixteen_bits().save(path, "TIFF")


def palette(path: Path) -> None:
    """Write a palette with a transparent color."""
    noise(12).quantize(16).save(path, "PNG", transparency=3)


def transparent(path: Path) -> None:
    """Write noise behind transparency that varies."""
    image = noise(13)
    image.putalpha(noise(14).convert("L"))
    image.save(path, "PNG")


def gray_alpha(path: Path) -> None:
    """Write gray with transparency."""
    Image.merge("LA", [noise(seed).convert("L") for seed in (15, 16)]).save(path, "PNG")


def rotated(path: Path) -> None:
    """Write a photograph that is to be shown turned by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(17).save(path, "JPEG", exif=exif)


def animated(path: Path) -> None:
    """Write a GIF of three frames."""
    noise(18).save(path, "GIF", save_all=True, append_images=[noise(19), noise(20)])


def animated_webp(path: Path) -> None:
    """Write a WebP of two frames."""
    noise(21).save(path, "WEBP", save_all=True, append_images=[noise(22)])


def pages(path: Path) -> None:
    """Write a TIFF of two pages."""
    noise(23).save(path, "TIFF", save_all=True, append_images=[noise(24)])
