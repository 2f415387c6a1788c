"""What a pickle of tensors asks for, found out without tensors and without Python's unpickler."""

import math
import pickletools
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import torch

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,  # of the types that are younger than storages
}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"}
_MAKERS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}
# Hashing tuples of tuples recurs in C without an end: of a few bytes it takes for ever, or crashes.
_KEYS = (str, bytes, int, float, bool, type(None))
_LONGER = "a tensor is longer than what the file holds of it"


class RefusedError(ValueError):
    """A file asks for what no checkpoint needs."""


class Rehearsal:
    """Do what torch's reader would do, with sizes instead of bytes.

    Args:
        sizes: Bytes of each storage that the file holds; None in the format before PyTorch 1.6.
        total: Bytes of all storages together at most.
    """

    def __init__(self, sizes: Mapping[str, int] | None, total: int) -> None:
        self._sizes = sizes
        self._left = total
        self._seen: dict[str, int] = {}

    def run(self, file: BinaryIO) -> None:
        """Go through one pickle, up to its end.

        Raises:
            RefusedError: If it asks for anything but tensors and plain values, or for more than the
                file holds. A broken pickle can raise anything else.
        """
        stack: list[Any] = []
        marks: list[int] = []
        memo: dict[int, Any] = {}
        argument: Any
        for opcode, argument, _ in pickletools.genops(file):
            name = opcode.name
            if name in _LITERALS:
                stack.append(argument)
            elif name in _MAKERS:
                stack.append(_MAKERS[name]())
            elif name == "MARK":
                marks.append(len(stack))
            elif name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[argument])
            elif name in ("BINPUT", "LONG_BINPUT"):
                memo[argument] = stack[-1]
            elif name == "GLOBAL":
                stack.append(_find(argument))
            elif name not in ("PROTO", "STOP"):
                self._combine(name, stack, marks)

    def _combine(self, name: str, stack: list[Any], marks: list[int]) -> None:
        """Do an instruction that takes values from the stack."""
        if name in ("TUPLE", "APPENDS", "SETITEMS"):
            taken = _cut(stack, marks.pop())
        else:
            counts = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "SETITEM": 2}
            taken = _cut(stack, len(stack) - counts.get(name, 1))
        if name.startswith("TUPLE"):
            stack.append(tuple(taken))
        elif name.startswith("APPEND") and type(stack[-1]) is list:
            stack[-1].extend(taken)
        elif name.startswith("SETITEM") and isinstance(stack[-1], dict):
            stack[-1].update(zip(_keys(taken[::2]), taken[1::2], strict=True))
        elif name == "BINPERSID":
            stack.append(self._find_storage(*taken[0]))
        elif name == "REDUCE" and type(stack[-1]) is _Function:
            stack.append(stack.pop().call(*taken[0]))
        elif (
            name == "BUILD" and type(stack[-1]) is OrderedDict and taken[0].keys() == {"_metadata"}
        ):
            pass  # what a module's state_dict() carries along
        else:
            raise RefusedError(f"no checkpoint needs the pickle's instruction {name} as it is used")

    def _find_storage(
        self, word: str, kind: Any, key: str, _: Any, count: int, view: Any = None
    ) -> "_Storage":
        if word != "storage" or type(kind) is not _StorageType or type(count) is not int:
            raise RefusedError("a tensor's storage is no storage")
        size = kind.itemsize * count
        if self._sizes is not None:
            held = self._sizes[key]
        else:
            self._left -= size if key not in self._seen else 0
            held = self._seen.setdefault(key, size)
        if not 0 <= size <= held or self._left < 0:
            raise RefusedError(_LONGER)
        if view is not None:
            _, offset, count = view
            if min(offset, count) < 0 or kind.itemsize * (offset + count) > size:
                raise RefusedError(_LONGER)
            size = kind.itemsize * count
        return _Storage(size, kind.itemsize)


class _Function(NamedTuple):
    call: Callable[..., Any]


class _StorageType(NamedTuple):
    itemsize: int


class _Storage(NamedTuple):
    size: int  # in bytes
    itemsize: int


class _Tensor:
    """Stands for a tensor."""


def _cut(stack: list[Any], start: int) -> list[Any]:
    taken = stack[start:]
    del stack[start:]
    return taken


def _keys(values: Iterable[Any]) -> list[Any]:
    keys = list(values)
    if not all(type(key) in _KEYS for key in keys):
        raise RefusedError("a key of it is neither a text nor a number")
    return keys


def _find(argument: str) -> Any:
    module, _, name = argument.partition(" ")
    if module in ("torch", "torch.storage") and name in _STORAGES:
        return _StorageType(_STORAGES[name].itemsize)
    if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
        return getattr(torch, name)
    if (function := _FUNCTIONS.get(f"{module}.{name}")) is not None:
        return _Function(function)
    text = repr(f"{module}.{name}")
    raise RefusedError(f"it holds more than tensors and plain values: {text[:80]}")


def _rebuild(
    storage: Any,
    offset: int,
    size: Sequence[int],
    stride: Sequence[int],
    requires_grad: bool = False,
    hooks: Any = None,
    *others: Any,
) -> _Tensor:
    """Check what ``torch._utils._rebuild_tensor`` and its successors are asked for."""
    if type(storage) is not _Storage or hooks:
        raise RefusedError("a tensor is no tensor")
    if min([offset, *size, *stride], default=0) < 0 or len(size) != len(stride):
        raise RefusedError("a tensor's shape is impossible")
    dtype = next((x for x in others if isinstance(x, torch.dtype)), None)
    itemsize = dtype.itemsize if dtype is not None else storage.itemsize
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # Elements that share their bytes would be as many as were asked for once they are copied.
    if count and itemsize * max(count, last + 1) > storage.size:
        raise RefusedError(_LONGER)
    return _Tensor()


def _rebuild_parameter(data: Any, requires_grad: bool, hooks: Any) -> _Tensor:
    if type(data) is not _Tensor or hooks:
        raise RefusedError("a parameter is no tensor")
    return data


def _ordered(pairs: Iterable[Sequence[Any]] = ()) -> OrderedDict[Any, Any]:
    keys, values = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return OrderedDict(zip(_keys(keys), values, strict=True))


def _encode(text: str, encoding: str) -> str:
    if encoding != "latin1":  # some codecs take hours for a few kilobytes
        raise RefusedError("its bytes are written in an odd way")
    return text


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "collections.Counter": lambda counts: Counter(dict(counts)),
    "torch._utils._rebuild_tensor": _rebuild,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_tensor_v3": _rebuild,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch.Size": tuple,
    "torch.device": lambda *_: "device",
    "_codecs.encode": _encode,  # bytes, as protocol 2 writes them
    "__builtin__.set": lambda values: set(_keys(values)),
    "__builtin__.complex": complex,
}
