"""Settings that earlier checkpoints know by other names."""

from collections.abc import Mapping
from typing import Any

_NAMES = {"initialisation": "initialization"}
_AUGMENTATIONS = {"colour": "color"}  # of "diffaugment"


def current_names(settings: Any) -> dict[str, Any]:
    """Return a checkpoint's hyper-parameters under the names that they have now.

    The checkpoint may be untrusted: of what is no mapping none are returned.
    """
    if not isinstance(settings, Mapping):
        return {}
    given: Mapping[str, Any] = settings
    renamed = {_NAMES.get(name, name): value for name, value in given.items()}
    if isinstance(names := renamed.get("diffaugment"), list):
        renamed["diffaugment"] = [_AUGMENTATIONS.get(str(name), name) for name in names]
    return renamed
