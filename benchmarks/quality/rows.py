"""The rows of the table and what they train with."""

import re
from pathlib import Path

import yaml

_FILE = Path(__file__).parent / "rows.yaml"
_STEPS = re.compile(r"\{steps(?:/(\d+))?\}")


def rows() -> dict[str, list[str]]:
    """Return the settings of all rows, those with a single change on top of the demo's."""
    written = yaml.safe_load(_FILE.read_text())
    demo = written["rows"]["demo"]
    return written["rows"] | {
        name: [*demo, *settings] for name, settings in written["changes"].items()
    }


def for_steps(settings: list[str], steps: int) -> list[str]:
    """Return a row's settings for a run of so many iterations."""

    def share(match: re.Match[str]) -> str:
        return str(max(1, round(steps / int(match[1] or 1))))

    return [_STEPS.sub(share, setting) for setting in settings]
