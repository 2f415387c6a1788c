"""Measure a trained run: python -m benchmarks.quality.measure SET RUN.

SET is a folder that `benchmarks.quality.sets` made, RUN one of `munit-train`, or the word "perfect"
for what a perfect model would get. The metrics are printed as JSON.
"""

import json
import math
import sys
from pathlib import Path

from benchmarks.quality.layout import read_truth
from benchmarks.quality.measures import (
    expected_modes,
    measure,
    measure_kernel_distance,
    perfect,
    translate,
)
from munit_pl.inference.translator import Translator
from munit_pl.metrics.efficientnet_lite0 import load_lite0


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    root, run = argv or sys.argv[1:]
    truth = read_truth(Path(root))
    if run == "perfect":
        shown = perfect(truth)
    else:
        checkpoint = Path(run) / "checkpoints" / "last.ckpt"
        shown = translate(Translator.load(checkpoint, device="cpu"), truth)
    metrics = measure(Path(root).name, truth, shown)
    if run == "perfect" and truth.shares is not None:
        metrics["modes"] = expected_modes(truth.shares)  # without the chance of these draws
    metrics["kernel_distance"] = measure_kernel_distance(truth, shown.random, load_lite0())
    # A run that diverged may have numbers that JSON has not.
    print(json.dumps({k: v if math.isfinite(v) else None for k, v in metrics.items()}))


if __name__ == "__main__":
    main()
