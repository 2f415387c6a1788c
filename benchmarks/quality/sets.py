"""Make the sets: OUT/sets/shoes and so on.

    python -m benchmarks.quality.sets OUT --packages DIR

DIR holds what `npm pack` fetches, see README.md. Sets that are there already stay as they are.
"""

import argparse
import shutil
from pathlib import Path

from benchmarks.quality import SETS
from benchmarks.quality.drawn_sets import make_five, make_shoes
from benchmarks.quality.emoji_sets import make_designs, make_tones


def main(argv: list[str] | None = None) -> None:
    """Make what is not there."""
    parser = argparse.ArgumentParser(description="Make the sets of the quality benchmark.")
    parser.add_argument("out", type=Path, help="its sets/ gets a folder for each")
    parser.add_argument("--packages", type=Path, default=Path(), metavar="DIR", help="of npm pack")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET")
    options = parser.parse_args(argv)
    make = {
        "shoes": make_shoes,
        "five": make_five,
        "tones": lambda root: make_tones(root, options.packages),
        "designs": lambda root: make_designs(root, options.packages),
    }
    for name in options.sets:
        root = options.out / "sets" / name
        if (root / "truth.json").exists():
            continue
        shutil.rmtree(root, ignore_errors=True)  # of an interrupted attempt
        make[name](root)
        counts = [f"{len(list((root / f).iterdir()))} {f}" for f in ("trainA", "trainB", "testA")]
        print(f"{root}: {', '.join(counts)}", flush=True)


if __name__ == "__main__":
    main()
