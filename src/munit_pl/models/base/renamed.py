"""What earlier checkpoints know by other names. They may be untrusted: of what is odd none is."""

from collections.abc import Mapping
from typing import Any

_NAMES = {"initialisation": "initialization"}
_TERMS = {"perceptual", "diversity", "r1", "consistency", "mask"}  # of "weights", recipes now
_GONE = {"perceptual", "r1_every", "diffaugment", "adaptive_augment", "adaptive_images"}
_GONE |= {"bf16", "compile", "cuda_graph", "streams"}  # how an iteration was run


def current_names(settings: Any) -> dict[str, Any]:
    """Return a checkpoint's hyper-parameters under the names that they have now."""
    given = _mapping(settings)
    renamed = {_NAMES.get(name, name): value for name, value in given.items() if name not in _GONE}
    weights = _mapping(given.get("weights"))
    if _GONE & given.keys() or _TERMS & weights.keys():
        renamed["weights"] = {name: w for name, w in weights.items() if name not in _TERMS}
        renamed["recipes"] = _recipes(given, weights)
    discriminator = _mapping(given.get("discriminator"))
    if "global_judge" in discriminator:
        renamed["discriminator"] = {_renamed(name): v for name, v in discriminator.items()}
    return renamed


def rename_weights(checkpoint: dict[str, Any]) -> None:
    """Give a checkpoint's tensors the names that they have now, in place."""
    state = checkpoint.get("state_dict")
    if isinstance(state, dict):
        for name in [name for name in state if isinstance(name, str) and "global_judge" in name]:
            state[_renamed(name)] = state.pop(name)


def recipe_states(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a checkpoint holds of recipes, by their names."""
    earlier = checkpoint.get("adaptive_augment")
    return _mapping(checkpoint.get("recipes", {"ada": earlier} if earlier else {}))


def _recipes(given: Mapping[str, Any], weights: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the recipes of a time when each had arguments of the module's."""
    recipes: dict[str, dict[str, Any]] = {}
    if isinstance(names := given.get("diffaugment"), list) and names:
        names = ["color" if name == "colour" else name for name in names]
        target = given.get("adaptive_augment")
        recipes["diffaugment" if target is None else "ada"] = {"augmentations": names}
        if target is not None:
            length = given.get("adaptive_images", 500_000)
            recipes["ada"] |= {"target": target, "length": length}
    for term, name, more in (
        ("r1", "r1", {"every": given.get("r1_every", 16)}),
        ("consistency", "consistency", {}),
        ("perceptual", "perceptual", _mapping(given.get("perceptual"))),
        ("diversity", "mode_seeking", {}),
        ("mask", "mask", {}),
    ):
        if weights.get(term):
            recipes[name] = {"weight": weights[term], **more}
    return recipes


def _renamed(name: Any) -> str:
    return str(name).replace("global_judge", "global_discriminator")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
