"""Each recipe beyond the paper alone, on drawn shoes: what it does with few images and with many.

    python -m benchmarks.recipes --images 100 unlimited --seeds 0 1 2 --steps 1500
    python -m benchmarks.recipes --steps 20 --seeds 0 --out /tmp/rehearsal

Every run is `munit-train model=munit +experiment=demo` and what `recipes` adds, in a folder of its
own below `--out`; one that has its metrics there is not made again. The table is of
`drawn.json`, which measures the weights as they are at the end, on test drawings that no run was
trained on.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from munit_pl.evaluation.comparison.table import summarize

MUNIT_TRAIN = Path(sys.executable).parent / "munit-train"
BATCH = 2  # of experiment=demo
COLUMNS = {  # keys of drawn.json, what each is called, its decimals
    "a2b/silhouette_iou": ("silhouette IoU ↑", 3),
    "a2b/color_energy": ("colors' energy distance ↓", 2),
    "a2b/color_spread": ("colors' spread, of the real set's", 2),
    "a2b/guided_error": ("example's color: error, of 255 ↓", 1),
    "b2a/paired_error": ("b to a: from the true drawing, of 255 ↓", 1),
    "seconds": ("seconds, start and report included", 0),
}


def augmented(name: str) -> list[str]:
    """Return the settings of one augmentation alone."""
    return ["+recipe=diffaugment", f"model.recipes.diffaugment.augmentations=[{name}]"]


def recipes(steps: int) -> dict[str, list[str]]:
    """Return the settings of each row, for runs of so many iterations."""
    half = max(1, steps // 2)
    linear = ["kind=linear", f"constant={half}", f"decay={half}"]
    return {
        "none": [],
        "nsgan": ["model.gan_loss=nsgan"],
        "hinge": ["model.gan_loss=hinge"],
        "hinge_spectral": ["model.gan_loss=hinge", "model.discriminator.norm=spectral"],
        "ttur": ["model.lr_discriminator=2.0e-3"],  # four times the demo's
        "warmup": [f"model.scheduler.warmup={max(1, steps // 15)}"],
        "linear": [f"model.scheduler.{setting}" for setting in linear],
        "r1": ["+recipe=r1"],
        "r1_strong": ["+recipe=r1", "model.recipes.r1.weight=10.0"],
        "color": augmented("color"),
        "translation": augmented("translation"),
        "cutout": augmented("cutout"),
        "diffaugment": ["+recipe=diffaugment"],
        "ada": [
            "+recipe=ada",
            f"model.recipes.ada.length={max(1, BATCH * steps // 4)}",  # the paper's are too many
        ],
        "consistency": ["+recipe=consistency"],
        "bcr": ["+recipe=consistency", "model.recipes.consistency.fake_weight=10.0"],
        "mode_seeking": ["+recipe=mode_seeking"],
        "mode_seeking_reciprocal": [
            "+recipe=mode_seeking",
            "model.recipes.mode_seeking.form=reciprocal",
        ],
        "two_steps": ["model.discriminator_steps=2"],
        "global": ["model.discriminator.global_discriminator=true"],
        "spectral_both": [
            "model.gan_loss=hinge",
            "model.discriminator.norm=spectral",
            "model.generator.spectral=true",
        ],
        "mask": ["data.masks=true", "+recipe=mask"],
    }


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure each recipe alone on drawn shoes.")
    rows = list(recipes(1))
    parser.add_argument("--rows", nargs="+", choices=rows, default=rows, metavar="ROW")
    parser.add_argument("--images", nargs="+", type=images, default=[100, 0], metavar="N")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    parser.add_argument("--steps", type=int, default=1500, metavar="N", help="iterations")
    parser.add_argument("--out", type=Path, default=Path("outputs/recipes"), metavar="DIR")
    parser.add_argument(
        "--settings", nargs="+", default=[], metavar="KEY=VALUE", help="of munit-train, for all"
    )
    return parser.parse_args(argv)


def images(text: str) -> int:
    """Return how many images of each domain there are; 0 stands for a new one each time."""
    count = 0 if text == "unlimited" else int(text)
    if count < 0:
        raise ValueError("a negative number")
    return count


def settings(row: str, count: int, seed: int, steps: int) -> list[str]:
    """Return what ``munit-train`` is given for one run, but for its folder."""
    return [
        "model=munit",
        "+experiment=demo",
        f"seed={seed}",
        f"data.length={count or BATCH * steps}",
        f"trainer.max_steps={steps}",
        "model.scheduler.kind=step",  # which the row "linear" changes
        f"model.scheduler.step_size={max(1, 5 * steps // 6)}",
        f"callbacks.grid.every_n_steps={steps}",
        f"callbacks.checkpoints.every_n_steps={steps}",
        *recipes(steps)[row],
    ]


def run(folder: Path, given: list[str]) -> dict[str, float]:
    """Train, unless the folder holds a run's metrics; return them."""
    file = folder / "metrics.json"
    asked = {"settings": given}
    if file.exists():
        found = json.loads(file.read_text())
        if found["settings"] != given:
            sys.exit(f"{folder} holds a run with other settings: name another folder (--out)")
        return found["metrics"]
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    command = [MUNIT_TRAIN, *given, f"output_dir={folder.resolve()}", "~callbacks.bar"]
    with (folder / "log.txt").open("wb") as log:
        status = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
    if status:
        sys.exit(f"munit-train ended with {status}: see {folder / 'log.txt'}")
    metrics = json.loads((folder / "drawn.json").read_text())
    metrics["seconds"] = time.perf_counter() - start
    file.write_text(json.dumps({**asked, "metrics": metrics}, indent=1))
    return metrics


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Return the rows as Markdown: mean ± standard deviation over seeds."""
    titles = ["recipe", *(title for title, _ in COLUMNS.values())]
    lines = [titles, ["---"] * len(titles)]
    for row, runs in found.items():
        cells = [summarize([r.get(key) for r in runs], n) for key, (_, n) in COLUMNS.items()]
        lines.append([row, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Train all that is asked for, a seed of every row before the next; print the tables."""
    options = parse()
    for count in options.images:
        found: dict[str, list[dict[str, float]]] = {row: [] for row in options.rows}
        name = str(count) if count else "unlimited"
        for seed in options.seeds:
            for row in options.rows:
                given = settings(row, count, seed, options.steps) + options.settings
                found[row].append(run(options.out / name / row / str(seed), given))
        seeds = ", ".join(map(str, options.seeds))
        print(f"\n{name} images of each domain, {options.steps} iterations, seeds {seeds}\n")
        print(table(found), flush=True)


if __name__ == "__main__":
    main()
