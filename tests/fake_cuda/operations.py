"""What operations ask of a CUDA device, counted."""

import traceback
from collections import Counter
from typing import NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

# No kernel runs for these, nor for views.
SILENT = {
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "set_", "resize_"),
    *("_reshape_alias", "_unsafe_view", "lift_fresh", "record_stream", "is_pinned", "_pin_memory"),
    *("is_same_size", "_local_scalar_dense"),
}


class Wait(NamedTuple):
    """The host waits for the device."""

    what: str
    shape: tuple[int, ...]
    where: str  # the innermost places in munit_pl and in Lightning


class Operations(TorchDispatchMode):
    """Counts, within its context, what reaches fake CUDA tensors; enter it inside `fake_cuda`.

    Args:
        truth: What a boolean is taken to be that the host reads; a number is taken to be 1.

    Attributes:
        launches: By its name, such as "convolution", how often each operation runs on the device:
            one kernel, or a few.
        casts: Those of them that change a type alone.
        reads: Values that the host takes from the device and waits for.
        copies: Copies between host and device that the host waits for: all but those from pinned
            memory that are not to block.
        uploads: How many copies from the host to the device there are, waited for or not.
        mixed: Operations on tensors of both.
    """

    def __init__(self, truth=False):
        super().__init__()
        self._truth = truth
        self._pinned = WeakIdKeyDictionary()
        self.clear()

    def clear(self):
        """Count anew."""
        self.launches: Counter[str] = Counter()
        self.casts = self.uploads = 0
        self.reads: list[Wait] = []
        self.copies: list[Wait] = []
        self.mixed: list[Wait] = []

    @property
    def waits(self):
        """All that has the host wait."""
        return [*self.reads, *self.copies]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.namespace != "aten":  # asks for a device, hundreds of times
            return func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if name == "_pin_memory":  # which takes a driver
            made = args[0].clone()
            self._pinned[made.untyped_storage()] = True
            return made
        try:
            made = func(*args, **kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException):
            made = self._read(name, tensors)
        results = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        self._count(func, name, tensors, results, kwargs)
        return made

    def _read(self, name, tensors):
        """Note what depends on values, and return one."""
        if _on_cuda(tensors):
            self.reads.append(_wait(name, tensors[0]))
        if name != "_local_scalar_dense":
            raise NotImplementedError(f"{name} has no result without data")
        return self._truth if tensors[0].dtype == torch.bool else 1

    def _count(self, func, name, tensors, results, kwargs):
        if not _on_cuda([*tensors, *results]) or func.is_view or name in SILENT:
            return
        devices = {t.device.type for t in tensors if t.ndim or name == "copy_"}
        if name in ("_to_copy", "copy_"):
            source, target = tensors[-1], results[0]
            if source.device.type == target.device.type:
                self.casts += source.dtype != target.dtype
            else:
                self._copy(source, target, kwargs.get("non_blocking", False))
        elif len(devices) > 1:
            self.mixed.append(_wait(name, tensors[0]))
        self.launches[name] += 1

    def _copy(self, source, target, non_blocking):
        self.uploads += target.device.type == "cuda"
        pinned = source.device.type == "cpu" and source.untyped_storage() in self._pinned
        if not (pinned and non_blocking):
            self.copies.append(_wait(f"{source.device.type} to {target.device.type}", source))


def _on_cuda(tensors):
    return any(tensor.device.type == "cuda" for tensor in tensors)


def _wait(what, tensor):
    frames = [f for f in traceback.extract_stack() if "/torch/" not in f.filename]
    places = []
    for package in ("munit_pl/", "lightning/pytorch/"):
        inside = [f for f in frames if package in f.filename]
        if inside:
            frame = inside[-1]
            places.append(f"{frame.filename.rpartition(package)[2]}:{frame.lineno}")
    return Wait(what, tuple(tensor.shape), " < ".join(places))
