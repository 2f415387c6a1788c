"""Checks of an untrusted state dictionary against the network that its file describes."""

import inspect
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import torch
from torch import Tensor, nn

_SHARED = 4  # domains may share a network, and layers their weights
_SHORT = 100  # characters of what a file says that a message repeats

Network = TypeVar("Network", bound=nn.Module)


def named_tensors(state: Any, path: Path) -> dict[str, Tensor]:
    """Return a state dictionary that was read from a file, if it is one.

    Raises:
        ValueError: If it is something else; one line says what.
    """
    if type(state) not in (dict, OrderedDict):  # no other may have attributes of the file's
        raise ValueError(f"{path} holds no weights by name")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ValueError(f"{path} holds no weights: {brief(name)} is {brief(tensor)}")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise ValueError(f"{path} holds {brief(name)}, which is no plain tensor")
    return dict(state)


def check_extent(tensors: Iterable[Tensor], path: Path) -> None:
    """Refuse tensors that would take far more memory than their file.

    Any number of them may share one storage, at no cost until they are copied.

    Raises:
        ValueError: If copies of all would have more than four times the file's bytes.
    """
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if total > _SHARED * path.stat().st_size:
        raise ValueError(f"{path} is no model: its tensors have more bytes than the file")


def build_on_meta(kind: type[Network], arguments: Any, state: Mapping[str, Tensor]) -> Network:
    """Build the network that a file describes on PyTorch's device "meta", which takes no memory.

    Args:
        kind: The network's class.
        arguments: What the file says that it was made with.
        state: Its tensors.

    Raises:
        ValueError: If the arguments are not the class's, or the tensors not the network's.
    """
    check_arguments(kind, arguments, state)
    try:
        with torch.device("meta"):
            network = kind(**arguments)
    except (ArithmeticError, RuntimeError, TypeError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from None
    check_fit(network, state)
    return network


def check_arguments(kind: type[nn.Module], arguments: Any, state: Mapping[str, Tensor]) -> None:
    """Refuse arguments of a network that its tensors belie.

    Numbers are bounded by the tensors, so that building the network on PyTorch's device "meta"
    costs next to nothing: counts by how many there are, all others by their sides.

    Args:
        kind: The network's class.
        arguments: What a file says that it was made with.
        state: The network's tensors.

    Raises:
        ValueError: If an argument is unknown, of another type than declared, or too large.
    """
    known = inspect.signature(kind).parameters
    if type(arguments) is not dict:
        raise ValueError("its arguments have no names")
    longest = max((max(t.shape, default=1) for t in state.values() if t.numel()), default=0)
    for name, value in arguments.items():
        if name not in known:
            raise ValueError(f"{kind.__name__} has no argument {brief(name)}")
        if not _is_of(known[name].annotation, value):
            raise ValueError(f"{name} is {brief(value)}")
        counted = name.startswith("num_") or name.endswith("_downsample")
        if type(value) is int and abs(value) > (len(state) if counted else longest):
            raise ValueError(f"{name} is {brief(value)}, but its tensors are fewer or smaller")


def _is_of(declared: Any, value: Any) -> bool:
    if get_origin(declared) is Literal:
        return type(value) is str and value in get_args(declared)
    plain = (bool, int, float, str, type(None))
    return type(value) in ((declared,) if declared in (bool, int, str) else plain)


def check_fit(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Compare names and shapes with those of a network, which may be on the device "meta".

    Raises:
        ValueError: If they differ; the message names the first tensor.
    """
    expected = network.state_dict()
    for name in expected:
        if name not in state:
            raise ValueError(f"there is no {name}")
    for name, tensor in state.items():
        if name not in expected:
            raise ValueError(f"there is a {brief(name)}, which the networks do not have")
        theirs, ours = tuple(tensor.shape), tuple(expected[name].shape)
        if theirs != ours:
            raise ValueError(f"size mismatch, {name} is {theirs} and should be {ours}")
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise ValueError(f"{name} is of {tensor.dtype}")


def check_finite_weights(state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not numbers.

    Raises:
        ValueError: If one is NaN or infinite; the message names the first tensor.
    """
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinity: its training diverged")


def brief(value: Any) -> str:
    """Return what a file says in a form that a message can repeat, whatever it is."""
    if type(value) is int and value.bit_length() > 64:
        return "a number of more than 64 bits"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    return ascii(value[:_SHORT]) if isinstance(value, str) else f"a {type(value).__name__}"
