"""The names that were meant where there is none as it was typed."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def nearest(name: str, known: Sequence[str], command: str, prefix: str = "") -> str:
    """Return the end of a line that says that there is no ``name``: what there is instead.

    Args:
        name: What was asked for.
        known: What there is.
        command: Whose help tells more.
        prefix: What is written before a name that is meant.
    """
    for found in get_close_matches(name, known, 1, cutoff=0.5):
        return f": did you mean {prefix}{found}?"
    return f"; there are {', '.join(known)}" if len(known) < 20 else f" (see {command} --help)"


def meant(name: str, known: Iterable[str]) -> list[str]:
    """Return the settings that a name stands for, by almost all its letters or by its last part.

    Args:
        name: With or without the groups that the setting lies in: ``trainer.lr``; ``lr``, ``lrr``.
        known: Full names, such as ``model.optimizer.lr``.
    """
    lasts = {key: key.rpartition(".")[2] for key in known}
    if close := get_close_matches(name, lasts, 1, cutoff=0.9 if "." in name else 0.75):
        return close
    last = name.rpartition(".")[2]
    if last == name:
        last = next(iter(get_close_matches(last, lasts.values(), 1)), "")
    return [key for key, other in lasts.items() if other == last]
