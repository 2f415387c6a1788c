"""What the original MUNIT's files of networks have in common, whichever method's they are."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from munit_pl.io import safe_reading
from munit_pl.io.state_dict_checks import check_extent, named_tensors

StateDict = dict[str, Tensor]

BLOCK = r"(conv\.(?:weight|bias)|norm\.(?:gamma|beta)|activation\.weight)"


def read_pair(path: Path, landmark: str, content: str) -> dict[str, StateDict]:
    """Return both domains' tensors, or say what the file holds instead."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    file = safe_reading.read_checkpoint(path)
    states = file if isinstance(file, dict) else {}
    if {"a", "b"} <= states.keys() and all(
        isinstance(states[d], dict) and landmark in states[d] for d in "ab"
    ):
        both = {d: named_tensors(states[d], path) for d in "ab"}
        check_extent([tensor for state in both.values() for tensor in state.values()], path)
        return both
    raise ValueError(f"{path} holds no {content} of the original MUNIT: it is {_describe(states)}")


def _describe(states: Mapping[str, Any]) -> str:
    """Say in words what a file that is not the expected one holds."""
    first = states.get("a")
    if isinstance(first, Mapping) and "b" not in states:
        return "one domain's network alone"
    keys = [str(key) for key in (first if isinstance(first, Mapping) else states)]
    if "pytorch-lightning_version" in states:
        return "a checkpoint of Lightning, which MUNITModule.load_from_checkpoint reads"
    if {"gen", "dis"} <= states.keys():
        return "the optimizers' state (optimizer.pt)"
    if any(key.startswith("enc_content.") for key in keys):
        return "generators (gen_*.pt)" if first else "one generator without its domain's name"
    if any(key.startswith("cnns.") for key in keys):
        return "discriminators (dis_*.pt)" if first else "one discriminator without its domain"
    if any(key.startswith("enc.model.") for key in keys):
        return "generators of UNIT, which UNITModule.from_nvlabs reads"
    return f"something with the entries {', '.join(map(str, list(keys)[:3])) or 'none'}"


def leading_sides(state: StateDict, key: str, path: Path) -> tuple[int, int]:
    """Return the channels out and in of a layer's weights."""
    if key not in state:
        raise ValueError(f"{path} is incomplete: it has no {key}")
    if state[key].ndim < 2:
        raise ValueError(f"{path} holds a {key} that is no layer's")
    return state[key].shape[0], state[key].shape[1]


def prelu(state: StateDict) -> dict[str, str]:
    """Return the activation where the tensors tell it: only "prelu" has any."""
    return {"activation": "prelu"} if any("activation" in key for key in state) else {}


def count(state: StateDict, pattern: str) -> int:
    """Return how many different first groups of ``pattern`` the tensors' names have."""
    return len({m[1] for m in map(re.compile(pattern).fullmatch, state) if m})


def rename(state: StateDict, names: Mapping[str, str], path: Path) -> StateDict:
    """Return ``state`` under our names, without statistics that the original never used.

    Adaptive instance normalization registered dummy statistics, and before torch 0.4 every
    instance normalization kept some.
    """
    batch_norm = any(key.endswith("norm.weight") for key in state)
    renamed = {}
    for key, tensor in state.items():
        if not batch_norm and re.search(r"norm\.(running_(mean|var)|num_batches_tracked)$", key):
            continue
        for pattern, name in names.items():
            if match := re.fullmatch(pattern, key):
                renamed[match.expand(name)] = tensor
                break
        else:
            raise ValueError(f"{path} holds {key}, which no network of the original MUNIT has")
    return renamed
