"""Models that come with the package, so that there is something to translate with at once."""

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "pretrained"

# How each was made, and on which data, stands in docs/export.md.
PRETRAINED = {"drawn-shoes": _FOLDER / "drawn-shoes.safetensors"}


def find_pretrained(name: str) -> Path:
    """Return the file of a model that comes with the package.

    Args:
        name: One of `PRETRAINED`.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in PRETRAINED:
        raise ValueError(f"no model {name!r} comes with munit_pl, but {', '.join(PRETRAINED)}")
    return PRETRAINED[name]
