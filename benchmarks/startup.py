"""How long every command takes before it does anything: processor time, and seconds on the clock.

The commands take turns, so that the machine's moods hit all. Processor time is the user's and the
system's, of the process and what it has waited for; the clock also counts what other programs did.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from PIL import Image

COMMANDS = ("benchmark", "data", "demo", "evaluate", "export", "train", "translate")
# Ends where the first iteration begins.
FIRST_ITERATION = """
import os
from munit_pl.models.base.module import AdversarialModule
from munit_pl.commands.train import main
AdversarialModule.training_step = lambda *_: os._exit(0)
main()
"""


def command(name: str, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name(f"munit-{name}")), *arguments]


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


class Row(NamedTuple):
    """What is started, and the status that it ends with."""

    line: list[str]
    status: int = 0


def rows() -> dict[str, Row]:
    """Return what is measured, by what it is called; it runs in a folder with a drawing.png."""
    translate = "drawn-shoes drawing.png --styles 1 --overwrite"
    return {
        "import torch": Row(python("import torch")),
        "import munit_pl": Row(python("import munit_pl")),
        **{
            f"munit-{name} {option}": Row(command(name, option))
            for option in ("--help", "--version")
            for name in COMMANDS
        },
        "munit-train data.rezise=1": Row(command("train", "data.rezise=1"), 2),
        "munit-benchmark table1 data.rezise=1": Row(
            command("benchmark", "table1", "data.rezise=1"), 1
        ),
        "munit-evaluate last.ckpt data.rezise=1": Row(
            command("evaluate", "last.ckpt", "data.rezise=1"), 1
        ),
        "munit-train data=folder data.resize=no": Row(
            command("train", "data=folder", "data.resize=no"), 2
        ),
        f"munit-translate {translate}": Row(command("translate", *translate.split())),
        "munit-train, to its first iteration": Row(python(FIRST_ITERATION)),
    }


def measure(row: Row, folder: Path) -> tuple[float, float]:
    """Run a program to its end; return its processor time and the time on the clock."""
    before = time.perf_counter()
    process = subprocess.Popen(
        row.line, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - before
    if os.waitstatus_to_exitcode(status) != row.status:
        sys.exit(f"ended with another status than {row.status}: {' '.join(row.line)}")
    return used.ru_utime + used.ru_stime, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    options = parser.parse_args()
    chosen = {name: row for name, row in rows().items() if options.only in name}
    with tempfile.TemporaryDirectory() as folder:
        Image.new("RGB", (64, 64), "white").save(Path(folder, "drawing.png"))
        turns = [
            {name: measure(row, Path(folder)) for name, row in chosen.items()}
            for _ in range(options.turns)
        ]
    print("| | processor time: s | on the clock: s |\n|---|---|---|")
    for name in chosen:
        medians = (statistics.median(turn[name][i] for turn in turns) for i in range(2))
        print(f"| `{name}` |", " | ".join(f"{seconds:.2f}" for seconds in medians), "|")


if __name__ == "__main__":
    main()
