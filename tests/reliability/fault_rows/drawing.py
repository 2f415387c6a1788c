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


def white(path: Path) -> None:
    """Write white alone."""
    Image.new("RGB", (32, 32), "white").save(path, "PNG")


def png(path: Path) -> None:
    """Write a PNG, whatever the name says."""
    noise(10).save(path, "PNG")
