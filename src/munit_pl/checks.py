"""What arguments must be, told in one line."""

from typing import get_args


def at_least_one(**sizes: int) -> None:
    """Raise a `ValueError` that names the first of ``sizes`` below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} is {size}, but must be at least 1")


def one_of(option: str, name: str, names: object) -> None:
    """Raise a `ValueError` if ``name`` is none of ``names``, a `Literal`."""
    if name not in get_args(names):
        raise ValueError(f"{option} is {name!r}, but must be one of {', '.join(get_args(names))}")
