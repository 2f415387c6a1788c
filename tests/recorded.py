"""Where the numbers recorded from the original lie."""

from pathlib import Path

REFERENCE = Path(__file__).parent / "reference"
