"""Settings that earlier checkpoints know by other names."""

from collections.abc import Mapping
from typing import Any

_NAMES = {"initialisation": "initialization"}
_AUGMENTATIONS = {"colour": "color"}  # of "diffaugment"


def current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's hyper-parameters under the names that they have now."""
    renamed = {_NAMES.get(name, name): value for name, value in settings.items()}
    if isinstance(names := renamed.get("diffaugment"), list):
        renamed["diffaugment"] = [_AUGMENTATIONS.get(str(name), name) for name in names]
    return renamed
