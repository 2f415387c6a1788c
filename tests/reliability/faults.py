"""Let everything go wrong that can, and see whether a run behaves as promised.

Each row makes a fresh folder, prepares one fault, runs the installed commands as a user does, and
looks at what they say and leave behind.
"""

import argparse
import json
import re
import signal
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from fault_rows import ROWS
from fault_rows.checks import Row
from fault_rows.machine import NotTried
from fault_rows.stage import Stage, Surprise

AS_EXPECTED = "as expected"


class Seen(NamedTuple):
    """What came of a row.

    Attributes:
        fault: Which.
        expected: What should have happened.
        seen: What did.
        seconds: How long it took.
        said: The last words of its last command, unless all was as expected.
    """

    fault: str
    expected: str
    seen: str
    seconds: float
    said: str


def play(row: Row) -> Seen:
    """Try one row in a folder of its own."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        stage = Stage(Path(folder))
        try:
            row.play(stage)
            seen = AS_EXPECTED
        except Surprise as surprise:
            seen = str(surprise)
        except NotTried as reason:
            seen = f"not tried: {reason}"
        except Exception:  # the row itself is wrong, which must not hide the others' outcome
            seen = f"the row failed: {traceback.format_exc(limit=-1).splitlines()[-1]}"
        said = stage.stop()
    seconds = time.monotonic() - start
    return Seen(row.fault, row.expected, seen, seconds, "" if seen == AS_EXPECTED else said[-4000:])


def play_all(rows: list[Row], jobs: int) -> list[Seen]:
    """Try rows, some at a time; each is told of as it ends."""
    done = []
    with ThreadPoolExecutor(jobs) as pool:
        for place, seen in enumerate(pool.map(play, rows), start=1):
            line = f"{place}/{len(rows)} {seen.seconds:4.0f} s  {seen.fault}: {seen.seen}"
            print(line, file=sys.stderr, flush=True)
            done.append(seen)
    return done


def table(outcomes: list[Seen]) -> str:
    """Return the outcomes as a table in Markdown, and the totals below."""
    lines = ["| fault | expected | seen | seconds |", "|---|---|---|---|"]
    for row in outcomes:
        cells = (_cell(text) for text in (row.fault, row.expected, row.seen))
        lines.append(f"| {' | '.join(cells)} | {row.seconds:.0f} |")
    right = sum(row.seen == AS_EXPECTED for row in outcomes)
    untried = sum(row.seen.startswith("not tried") for row in outcomes)
    differ = len(outcomes) - right - untried
    totals = f"{right} {AS_EXPECTED}, {differ} differ, {untried} not tried, of {len(outcomes)}"
    return "\n".join([*lines, "", totals])


def _cell(text: str) -> str:
    one_line = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return one_line.replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    """Try the rows that were asked for; the exit status is 1 if any differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows that match this")
    parser.add_argument("--jobs", type=int, default=2, help="rows at a time (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it, as JSON")
    parser.add_argument("--list", action="store_true", help="name the rows and do nothing")
    options = parser.parse_args()
    rows = [row for row in ROWS if re.search(options.only, row.fault)]
    if options.list:
        print(*(f"{row.fault}: {row.expected}" for row in rows), sep="\n")
        return 0
    # A shell's background jobs ignore Ctrl-C, and so would the commands that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    outcomes = play_all(rows, options.jobs)
    if options.json:
        options.json.write_text(json.dumps([row._asdict() for row in outcomes], indent=1))
    print(table(outcomes))
    return int(any(not row.seen.startswith((AS_EXPECTED, "not tried")) for row in outcomes))


if __name__ == "__main__":
    sys.exit(main())
