"""How fast images are read on each path, and what share of an iteration waits for them.

Without --root the images are drawn: noise of all wavelengths, discs with sharp edges and grain,
saved as JPEGs of quality 90. They have more detail than most photographs and so take longer to
decode. A step of the loop that waits for data sleeps, as a host does whose GPU works.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import PIL
import torch
from PIL import Image

from munit_pl import UnpairedDataModule
from munit_pl.data import image_folder as folders
from munit_pl.data.image_folder import ImageFolder
from munit_pl.data.images.tensors import to_tensor
from munit_pl.data.listing import scan_folder
from munit_pl.data.tools.copy_image import CopySettings
from munit_pl.data.tools.prepare import prepare
from munit_pl.randomness import rng_for


def photograph(height: int, width: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    falloff = np.maximum(np.hypot(y, x), 1 / max(height, width))
    rows, columns = np.mgrid[:height, :width]
    channels = []
    for _ in range(3):
        spectrum = rng.normal(size=falloff.shape) + 1j * rng.normal(size=falloff.shape)
        waves = np.fft.irfft2(spectrum / falloff, s=(height, width))
        disc = np.hypot(rows - height * rng.random(), columns - width * rng.random()) < height / 4
        grain = rng.normal(size=(height, width))
        channels.append(110 + 40 * waves / waves.std() + 60 * disc + 3 * grain)
    return Image.fromarray(np.stack(channels, axis=2).clip(0, 255).astype(np.uint8))


def draw(root: Path, height: int, width: int, count: int, names: int) -> Path:
    """Save photographs for both domains, each under several names; return where they are."""
    for seed, name in enumerate(("trainA", "trainB")):
        (root / name).mkdir(parents=True)
        for i in range(count):
            image = photograph(height, width, 1000 * seed + i)
            image.save(root / name / f"{i}.jpg", quality=90)
            for k in range(1, names):
                os.link(root / name / f"{i}.jpg", root / name / f"{i}-{k}.jpg")
    return root


Way = Callable[[int], object]


def reading(files: list[Path], whole: bool = False) -> Way:
    images = ImageFolder(files)

    def read(i: int) -> object:
        return images.load_uint8(i % len(files), rng_for(0, i))

    def read_whole(i: int) -> object:
        with patch.object(folders, "_REDUCED_TO", 10**6):
            return read(i)

    return read_whole if whole else read


def naive(files: list[Path]) -> Way:
    """Read as most programs do: no orientation, no limits, floats from the worker."""

    def read(i: int) -> object:
        image = Image.open(files[i % len(files)]).convert("RGB")
        short = min(image.size)
        size = (256 * image.width // short, 256 * image.height // short)
        return to_tensor(image.resize(size, Image.Resampling.BILINEAR).crop((0, 0, 256, 256)))

    return read


def ways(root: Path, originals: dict[str, Path]) -> dict[str, Way]:
    found: dict[str, Way] = {}
    for name, original in originals.items():
        files = scan_folder(original).images
        found[f"{name}, plain Pillow"] = naive(files)
        found[f"{name}, every pixel decoded"] = reading(files, whole=True)
        found[f"{name}, a fraction decoded where large"] = reading(files)
        for kind in ("jpg", "png"):
            copy = root / f"{name}-{kind}"
            prepare(original, copy, CopySettings(256, kind))
            found[f"{name}, prepared {kind}"] = reading(scan_folder(copy).images)
    return found


def rates(found: dict[str, Way], rounds: int) -> dict[str, dict[str, object]]:
    """Time all ways in turns, in seconds of this process's own on a processor."""
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for i in range(-1, rounds):  # one to warm up
        for name, read in found.items():
            start = time.process_time()
            read(max(i, 0))
            if i >= 0:
                seconds[name].append(time.process_time() - start)
    return {
        name: {"ms": 1000 * median(times), "per_second": 1 / median(times), "times": times}
        for name, times in seconds.items()
    }


def waiting(root: Path, workers: int, step: float, batch_size: int) -> float:
    """Return the share of the time of a loop, whose step sleeps, that is spent waiting for data."""
    data = UnpairedDataModule(root, batch_size=batch_size, num_workers=workers, max_bad_fraction=1)
    data.setup("fit")
    trainer = SimpleNamespace(global_step=0, world_size=1, global_rank=0, precision_plugin=None)
    data.trainer = trainer
    loader = data.train_dataloader()
    batches = iter(loader)
    waited, iterations = 0.0, max(100, int(3 / step))
    for i in range(-20, iterations):
        if i == 0:
            waited, begun = 0.0, time.perf_counter()
        start = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            batches = iter(loader)
            batch = next(batches)
        waited += time.perf_counter() - start
        data.on_after_batch_transfer(batch, 0)
        time.sleep(step)
        trainer.global_step += 1
    return waited / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="trainA and trainB of your own")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps-ms", type=float, nargs="+", default=[10, 25, 100])
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write all times as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        originals = (
            {"own": options.root}
            if options.root
            else {
                "640x480": draw(root / "480", 480, 640, 8, 50),
                "12 MP": draw(root / "12mp", 3000, 4000, 1, 1),
            }
        )
        reads = rates(ways(root, originals), options.rounds)
        print("| path | ms | images a second and core |\n|---|---|---|")
        for way, measured in reads.items():
            print(f"| {way} | {measured['ms']:.2f} | {measured['per_second']:.0f} |")
        first = next(iter(originals))
        loops = []
        print("\n| images | workers | ms of a step | waiting |\n|---|---|---|---|")
        for step in options.steps_ms:
            for workers in options.workers:
                for images in (first, f"{first}-jpg"):
                    where = originals[first] if images == first else root / images
                    share = waiting(where, workers, step / 1000, options.batch_size)
                    print(f"| {images} | {workers} | {step:g} | {share:.1%} |", flush=True)
                    loops.append([images, workers, step, share])
    if options.out:
        versions = {
            "python": platform.python_version(),
            "pillow": PIL.__version__,
            "torch": torch.__version__,
        }
        everything = {"versions": versions, "reads": reads, "waiting": loops}
        options.out.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    main()
