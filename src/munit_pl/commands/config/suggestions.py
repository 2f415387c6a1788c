"""The names that were meant where there is none as it was typed."""

from collections.abc import Iterable, Sequence


def nearest(name: str, known: Sequence[str], command: str, prefix: str = "") -> str:
    """Return the end of a line that says that there is no ``name``: what there is instead.

    Args:
        name: What was asked for.
        known: What there is.
        command: Whose help tells more.
        prefix: What is written before a name that is meant.
    """
    least, most_like = min(((slips(name, key), key) for key in known), default=(0, ""))
    if most_like and least <= max(len(name), len(most_like)) / 2:
        return f": did you mean {prefix}{most_like}?"
    return f"; there are {', '.join(known)}" if len(known) < 20 else f" (see {command} --help)"


def slips(name: str, other: str) -> int:
    """Return how many letters were left out, added, mistaken or swapped with the next.

    Unlike ``difflib``, it takes ``channelsa_`` for ``channels_a`` rather than ``channels_b``.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(name):
        before, last, row = row, before, [i + 1]
        for j, wanted in enumerate(other):
            least = min(before[j + 1] + 1, row[j] + 1, before[j] + (letter != wanted))
            if i and j and (letter, name[i - 1]) == (other[j - 1], wanted):
                least = min(least, last[j - 1] + 1)
            row.append(least)
    return row[-1]


def meant(name: str, known: Iterable[str]) -> list[str]:
    """Return the settings that a name stands for by all its letters but one, or by its last part.

    Args:
        name: With or without the groups that the setting lies in: ``trainer.lr``; ``lr``, ``lrr``.
        known: Full names, such as ``model.optimizer.lr``.
    """
    if close := [key for key in known if slips(name, key) <= 1]:
        return close[:1]
    lasts = {key: key.rpartition(".")[2] for key in known}
    last = name.rpartition(".")[2]
    if last not in lasts.values() and last == name:
        last = min(lasts.values(), key=lambda other: slips(name, other), default="")
        last = last if slips(name, last) <= max(len(name), len(last)) / 3 else ""
    return [key for key, other in lasts.items() if other == last]
