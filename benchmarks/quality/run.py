"""Train and measure rows of settings on the sets, all for the same time.

    python -m benchmarks.quality.run OUT --sets five --rows published demo --minutes 7 --jobs 2

Metrics go to OUT/SET/MINUTES/ROW/SEED/metrics.json. Runs that have theirs are not made again, and
what was interrupted goes on. `benchmarks.quality.table` makes the table. See README.md.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from benchmarks.quality import SETS, training
from benchmarks.quality.rows import rows
from munit_pl.io.files import write_whole


class Job(NamedTuple):
    """One run: of a row, on a set, under a seed."""

    root: Path
    folder: Path
    asked: dict[str, object]
    threads: int | None


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train and measure rows of settings on the sets.")
    names = list(rows())
    parser.add_argument("out", type=Path, help="where sets/ lies and all results go")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET")
    parser.add_argument("--rows", nargs="+", choices=names, default=names, metavar="ROW")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    parser.add_argument("--minutes", type=float, default=7, metavar="N", help="on all cores")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="runs at a time; above 1, of a thread each"
    )
    parser.add_argument(
        "--settings", nargs="+", default=[], metavar="KEY=VALUE", help="of munit-train, for all"
    )
    options = parser.parse_args(argv)
    if options.minutes <= 0 or options.jobs < 1:
        parser.error("--minutes must be above 0 and --jobs at least 1")
    for name in options.sets:
        if not (options.out / "sets" / name / "truth.json").exists():
            parser.error(
                f"{options.out}/sets/{name} is no set: python -m benchmarks.quality.sets "
                f"{options.out} --sets {name} makes it"
            )
    return options


def jobs(options: argparse.Namespace, steps: dict[str, int]) -> list[Job]:
    """Return all runs that are not done, a seed of every row and set before the next seed.

    Raises:
        SystemExit: If a folder holds a run with other settings.
    """
    found = []
    for seed in options.seeds:
        for name in options.sets:
            root = options.out / "sets" / name
            for row in options.rows:
                given = training.settings(root, rows()[row], seed, steps[row], options.settings)
                asked = {"set": name, "row": row, "seed": seed, "minutes": options.minutes}
                asked |= {"steps": steps[row], "settings": given}
                folder = options.out / name / f"{options.minutes:g}" / row / str(seed)
                _check_same(folder, given)
                if not (folder / "metrics.json").exists():
                    found.append(Job(root, folder, asked, 1 if options.jobs > 1 else None))
    return found


def run(job: Job) -> str:
    """Train and measure, or what of that is still to be done; return a line that tells of it."""
    job.folder.mkdir(parents=True, exist_ok=True)
    write_whole(job.folder / "asked.json", json.dumps(job.asked, indent=1) + "\n")
    training.train(job.asked["settings"], job.folder, job.threads)
    metrics = training.measure(job.root, str(job.folder.resolve()))
    versions = {name: version(name) for name in ("munit-pl", "torch")}
    found = {**job.asked, "metrics": metrics, "versions": versions}
    write_whole(job.folder / "metrics.json", json.dumps(found, indent=1) + "\n")
    shown = ", ".join(f"{k} {v:.3g}" for k, v in metrics.items() if v is not None)
    return f"{job.folder}: {shown}"


def _check_same(folder: Path, given: list[str]) -> None:
    file = folder / "asked.json"
    if file.exists() and json.loads(file.read_text())["settings"] != given:
        sys.exit(f"{folder} holds a run with other settings: remove it, or name another OUT")


def main(argv: Sequence[str] | None = None) -> None:
    """Do what is left to be done; a run that fails stops no other."""
    options = parse(argv)
    first = options.out / "sets" / options.sets[0]
    try:
        steps = training.iterations(
            options.out / "iterations.json",
            {name: rows()[name] for name in options.rows},
            options.minutes,
            first,
            options.settings,
        )
        for name in options.sets:
            _measure_perfect(options.out, name)
    except training.Failed as error:
        sys.exit(str(error))
    waiting = jobs(options, steps)
    print(f"{len(waiting)} runs", flush=True)
    failed = _run_all(waiting, options.jobs)
    sys.exit(f"{failed} of {len(waiting)} runs failed" if failed else 0)


def _run_all(waiting: Sequence[Job], at_once: int) -> int:
    """Return how many runs failed; Ctrl-C ends those that are going on, and begins no others."""
    failed = 0
    with ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(run, job) for job in waiting]
        try:
            for done in as_completed(running):
                try:
                    print(done.result(), flush=True)
                except training.Failed as error:
                    failed += 1
                    print(error, flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            sys.exit(130)
    return failed


def _measure_perfect(out: Path, name: str) -> None:
    file = out / name / "perfect.json"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        metrics = training.measure(out / "sets" / name, "perfect")
        write_whole(file, json.dumps(metrics, indent=1) + "\n")


if __name__ == "__main__":
    main()
