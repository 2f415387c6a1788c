"""Models that come with the package, so that there is something to translate with at once."""

from difflib import get_close_matches
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


def suggest_pretrained(path: str | Path) -> str | None:
    """Return the name of a model that comes with the package, where it was probably misspelt."""
    near = get_close_matches(str(path), PRETRAINED, n=1, cutoff=0.75)
    return near[0] if near and not Path(path).exists() and str(path) not in PRETRAINED else None
