"""Prediction of an iteration's peak memory, without allocating it."""

import weakref
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from munit_pl.losses.terms import total
from munit_pl.models.base.module import AdversarialModule
from munit_pl.optim.freezing import frozen
from munit_pl.recipes.perceptual import Perceptual

AUTOCAST = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations within this context make, while they live.

    What a kernel takes for itself, and what an allocator keeps beyond that, is not seen.

    Attributes:
        now: Bytes alive.
        peak: The most that were alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self._note(leaf.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:  # a view's
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size).atexit = False

    def _forget(self, key: int, size: int) -> None:
        self._known.remove(key)
        self.now -= size


class _WithoutData(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets fake tensors be pinned and read, which take data; any number will do for a shape."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._pin_memory.default:
            return args[0]
        if func is torch.ops.aten._local_scalar_dense.default:
            return 0
        return func(*args, **(kwargs or {}))


def predict_peak(
    module: AdversarialModule,
    height: int,
    width: int,
    batch: int,
    precision: str = "32-true",
    device: torch.device | str = "cpu",
    **settings: Any,
) -> int:
    """Return how many bytes of tensors are alive at once, at most, in an iteration of training.

    A second module like ``module`` trains for an iteration on tensors that have shapes alone, so
    the count follows the code: weights, gradients, Adam's moments, the activations kept for the
    backward pass and those at work. Nothing is allocated, and ``module`` stays as it is. It takes
    seconds.

    What is not counted is for one process alone, and small: CUDA's own memory, kernels' workspaces,
    gaps between allocations. Nor are gradients' buffers of several processes, and averaged weights.

    Args:
        module: What is trained; its hyper-parameters say all about it.
        height: Of the images, in pixels.
        width: Likewise.
        batch: Images of each domain.
        precision: The trainer's; "16-mixed" and "bf16-mixed" compute in half types.
        device: Where it is to be trained, since devices differ in what they keep. One of CUDA must
            be there.
        **settings: Arguments of the module's class that replace its own, such as ``accumulate``.
    """
    with FakeTensorMode(), torch.device(device), LiveBytes() as counted, _WithoutData():  # type: ignore[no-untyped-call]
        twin = _twin(module, settings)
        moments = [torch.zeros_like(p) for p in twin.parameters() for _ in range(2)]
        for generator in (twin.gen_a, twin.gen_b):  # the last iteration's gradients are there still
            for parameter in generator.parameters():
                parameter.grad = torch.zeros_like(parameter)
        images = [
            torch.zeros(batch, generator.in_channels, height, width)
            for generator in (twin.gen_a, twin.gen_b)
        ]
        half, kind = AUTOCAST.get(precision), torch.device(device).type
        with torch.autocast(kind, half, cache_enabled=False) if half else nullcontext():
            _iterate(twin, images)
        del moments
    return counted.peak


def _twin(module: AdversarialModule, settings: Mapping[str, Any]) -> AdversarialModule:
    """Return another module with the same arguments but for ``settings``, made of new tensors."""
    twin: AdversarialModule = type(module)(**{**module.hparams, **settings})
    read = [r.vgg for r in module.recipes if isinstance(r, Perceptual) and r.vgg is not None]
    for recipe in twin.recipes:
        if isinstance(recipe, Perceptual) and read:  # from a file
            zeros = {name: torch.zeros(p.shape) for name, p in read[0].parameters.items()}
            recipe.vgg = read[0]._replace(parameters=zeros)
    return twin


def _iterate(module: AdversarialModule, images: list[Tensor]) -> None:
    """Compute both players' gradients; beyond two parts of a batch, all are alike."""
    x_a, x_b = images
    some = module.split((x_a, x_b, x_a[:, :1], x_b[:, :1]), "memory")[:2]
    for player in module.order:
        for parameter in module.parameters_of(player):
            parameter.grad = None
        waiting = module.parameters_of("dis") if player == "gen" else []
        with frozen(waiting), module.weights_cast_once():
            for part in some:
                total(module.terms_of(player, part), module.term_weights).backward()  # type: ignore[no-untyped-call]
