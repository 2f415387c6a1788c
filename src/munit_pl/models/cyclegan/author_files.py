"""Generators as CycleGAN's authors' program saves them, ``*_net_G_A.pth`` and ``*_net_G_B.pth``."""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from munit_pl.io import safe_reading
from munit_pl.io.state_dict_checks import named_tensors
from munit_pl.models.cyclegan.networks import CycleGANGenerator

_NAME = re.compile(r"(.*net_G)_([AB])(\.pth)")
_FIRST, _LAST_BIAS = "model.1.weight", r"model\.\d+\.bias"
_BLOCK = r"model\.(\d+)\.conv_block\.\d+\.weight"
# Of instance normalization, which early versions of PyTorch kept and nobody used.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def holds_author_generator(file: Any) -> bool:
    """Tell whether what a file holds is one of the authors' generators."""
    return isinstance(file, dict) and _FIRST in file and "pytorch-lightning_version" not in file


def read_author_generators(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read generators of `junyanz/pytorch-CycleGAN-and-pix2pix`: of both directions, or of one.

    Args:
        path: ``*_net_G_A.pth`` or ``*_net_G_B.pth``, beside which the other is looked for.
            ``G_A`` translates A to B: it is what is called domain b's generator here, as is that
            in a file of any other name.

    Returns:
        What the generators are, as checkpoints describe them, and their tensors under our names.

    Raises:
        ValueError: If a file is something else; the message says what.
    """
    description: dict[str, Any] = {}
    tensors: dict[str, Tensor] = {}
    for gen, file in _files(path).items():
        state = named_tensors(safe_reading.read_checkpoint(file), file)
        state = {k: t for k, t in state.items() if not k.endswith(_STATISTICS)}
        description[gen] = {
            "kind": CycleGANGenerator.__name__,
            "arguments": _sizes(state, file),
        }
        tensors |= {f"{gen}.{name}": tensor for name, tensor in _renamed(state, file).items()}
    return description, tensors


def _files(path: Path) -> dict[str, Path]:
    """Return the file of each generator that there is."""
    named = _NAME.fullmatch(path.name)
    if named is None:
        return {"gen_b": path}
    files = {
        gen: path.with_name(f"{named[1]}_{letter}{named[3]}")
        for gen, letter in (("gen_a", "B"), ("gen_b", "A"))
    }
    return {gen: file for gen, file in files.items() if file.is_file()}


def _sizes(state: dict[str, Tensor], path: Path) -> dict[str, int]:
    """Return arguments of `CycleGANGenerator`, as the shapes tell them."""
    biases = [name for name in state if re.fullmatch(_LAST_BIAS, name)]
    if _FIRST not in state or state[_FIRST].ndim != 4 or not biases:
        raise ValueError(f"{path} holds no residual generator of CycleGAN")
    last = state[max(biases, key=_place)]
    return {
        "in_channels": len(last) if last.ndim else 0,
        "other_channels": state[_FIRST].shape[1],
        "dim": state[_FIRST].shape[0],
        "num_res_blocks": len({m[1] for name in state if (m := re.fullmatch(_BLOCK, name))}),
    }


def _renamed(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return tensors by our names; layers are numbered in the order of computation."""
    layers = sorted({name.rpartition(".")[0] for name in state}, key=_place)
    ours: list[str] = []
    convolutions = 0
    for layer in layers:
        if "conv_block" in layer:
            first = not ours or not ours[-1].endswith("conv1.conv")
            convolutions += first
            ours.append(f"decoder.layers.{convolutions - 1}.conv{1 if first else 2}.conv")
        else:
            convolutions += 1
            ours.append(f"decoder.layers.{convolutions - 1}.conv")
    if any(state[name].ndim == 1 and name.endswith("weight") for name in state):
        raise ValueError(f"{path} was trained with --norm batch, which is not supported")
    names = dict(zip(layers, ours, strict=True))
    parts = {name: name.rpartition(".") for name in state}
    return {f"{names[layer]}.{kind}": state[name] for name, (layer, _, kind) in parts.items()}


def _place(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]
