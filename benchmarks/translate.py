"""What encoding the content once saves: K styles of an image together, against one by one.

Both ways take turns on each image, the first alternating, so that the machine's moods hit both.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from munit_pl import Translator, random_styles
from munit_pl.layers.initialization import initialize
from munit_pl.models.munit.networks import AdaINGenerator


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--styles", type=int, default=10)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch-size", type=int)
    options = parser.parse_args()

    gens = AdaINGenerator(dim=options.dim), AdaINGenerator(dim=options.dim)
    for gen in gens:
        initialize(gen, "kaiming")
    translator = Translator(*gens, precision=options.precision, batch_size=options.batch_size)
    styles = random_styles(options.styles, translator.style_dim("b"), 0)

    def one_by_one(x: torch.Tensor) -> None:
        for style in styles:
            translator.translate(x, style[None])

    once: list[float] = []
    each: list[float] = []
    for i in range(-1, options.images):
        x = torch.rand(1, 3, options.size, options.size) * 2 - 1
        ways = [
            (once, lambda x=x: translator.translate(x, styles)),
            (each, lambda x=x: one_by_one(x)),
        ]
        for times, work in ways[:: 1 if i % 2 else -1]:
            seconds = timed(work)
            if i >= 0:  # the first image warms up
                times.append(seconds)
    outputs = options.images * options.styles
    print(
        json.dumps(
            vars(options)
            | {
                "device": str(translator.device),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "ratio of medians": statistics.median(once) / statistics.median(each),
                "median of ratios": statistics.median(
                    a / b for a, b in zip(once, each, strict=True)
                ),
                "ratio of totals": sum(once) / sum(each),
                "images per second, together": outputs / sum(once),
                "images per second, one by one": outputs / sum(each),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
