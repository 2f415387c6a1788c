"""What is wrong with what a command was asked for."""

from collections.abc import Sequence


class InputError(Exception):
    """Something was asked for that cannot be: one line says what, where and what to do."""


def all_of(faults: Sequence[str]) -> str:
    """Return the line that says what is wrong; of several, one each below their number."""
    if len(faults) == 1:
        return faults[0]
    return "\n  ".join([f"{len(faults)} settings are wrong:", *faults])
