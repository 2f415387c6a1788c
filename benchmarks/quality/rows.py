"""The rows of the table and what they train with."""

import re
from pathlib import Path

import yaml

_FILE = Path(__file__).parent / "rows.yaml"
_STEPS = re.compile(r"\{steps(?:/(\d+))?\}")


def rows() -> dict[str, list[str]]:
    """Return the settings of all rows, those of changes on top of what they change."""
    written = yaml.safe_load(_FILE.read_text())
    demo, modern = written["rows"]["demo"], written["rows"]["modern"]
    changes = {name: [*demo, *settings] for name, settings in written["changes"].items()}
    further = {f"modern_{name}": [*modern, *own] for name, own in written["further"].items()}
    return written["rows"] | changes | further


def for_steps(settings: list[str], steps: int) -> list[str]:
    """Return a row's settings for a run of so many iterations."""

    def share(match: re.Match[str]) -> str:
        return str(max(1, round(steps / int(match[1] or 1))))

    return [_STEPS.sub(share, setting) for setting in settings]
