"""Memory and time of translating one large image: whole, and in tiles. Each in its own process."""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

from munit_pl import Translator
from munit_pl.models.munit.networks import AdaINGenerator


def measure(size: int, tile: int, dim: int) -> None:
    """Translate one image and print what it took beyond the loaded program."""
    translator = Translator(
        AdaINGenerator(dim=dim), AdaINGenerator(dim=dim), device="cpu", tile=tile or None
    )
    x = torch.rand(1, 3, size, size) * 2 - 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    translator.translate(x, torch.randn(1, 8))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"size": size, "tile": tile, "MiB": peak / 1024, "s": seconds}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048])
    parser.add_argument("--tiles", type=int, nargs="+", default=[0, 128, 256, 512])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--one", action="store_true", help="measure in this process")
    options = parser.parse_args()
    if options.one:
        measure(options.sizes[0], options.tiles[0], options.dim)
        return
    for size in options.sizes:
        for tile in options.tiles:
            arguments = [f"--sizes={size}", f"--tiles={tile}", f"--dim={options.dim}"]
            subprocess.run(
                [sys.executable, "-m", "benchmarks.tiles", "--one", *arguments], check=True
            )


if __name__ == "__main__":
    main()
