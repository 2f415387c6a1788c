"""Two threads on the CPU: an operation of a small network is too short to be split over both."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from munit_pl.models.munit.fast.lanes import Work

A = TypeVar("A")
B = TypeVar("B")


class ThreadLane:
    """A second thread, with half of the threads that operations are split over otherwise.

    Both halves have graphs of their own, so that the gradients are computed side by side too.
    """

    def __init__(self) -> None:
        threads = torch.get_num_threads()
        self._own = threads - threads // 2
        self._pool = ThreadPoolExecutor(
            1, "munit-lane", initializer=torch.set_num_threads, initargs=(threads // 2,)
        )

    def both(self, of_a: Work, of_b: Work) -> tuple[Any, Any]:
        """Do the first here and the second in the other thread."""
        if not torch.is_grad_enabled():
            return self.run(of_a.do, of_b.do)
        sides = [_Side(of_a), _Side(of_b)]
        shapes = self.run(*(side.forward for side in sides))
        inputs = [tensor for side in sides for tensor in side.inputs]
        outputs = iter(_Joined.apply(self, sides, *inputs))
        a, b = (
            tree_unflatten([next(outputs) for _ in side.outputs], shape)
            for side, shape in zip(sides, shapes, strict=True)
        )
        return a, b

    def join(self) -> None:
        """Do nothing: whatever is begun here has ended when it returns."""

    def run(self, of_a: Callable[[], A], of_b: Callable[[], B]) -> tuple[A, B]:
        """Call two functions side by side, under the same autocast and gradient mode."""
        cast, grad = _autocast(), torch.is_grad_enabled()

        def beside() -> B:
            with torch.autocast("cpu", **cast), torch.set_grad_enabled(grad):
                return of_b()

        with _threads(self._own):
            future = self._pool.submit(beside)
            try:
                a = of_a()
            finally:
                wait([future])
        return a, future.result()


class _Side:
    """One half of what is done side by side, cut off from the graph around it."""

    def __init__(self, work: Work) -> None:
        weights = [w for network in work.networks for w in network.parameters() if w.requires_grad]
        self._work = work
        self._leaves = [t.detach().requires_grad_(t.requires_grad) for t in work.tensors]
        self._sources = [*self._leaves, *weights]
        self.inputs = [*work.tensors, *weights]
        self.outputs: list[Tensor] = []

    def forward(self) -> Any:
        """Compute the outputs; return how they are nested."""
        self.outputs, shape = tree_flatten(self._work.function(*self._leaves))
        return shape

    def backward(self, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return the gradient of each input, None where it has none."""
        reached = [
            (output, grad)
            for output, grad in zip(self.outputs, grads, strict=True)
            if grad is not None and output.requires_grad
        ]
        places = [i for i, source in enumerate(self._sources) if source.requires_grad]
        found: list[Tensor | None] = [None] * len(self._sources)
        if reached and places:
            outputs, arriving = zip(*reached, strict=True)
            wanted = [self._sources[i] for i in places]
            results = torch.autograd.grad(outputs, wanted, arriving, allow_unused=True)
            for place, result in zip(places, results, strict=True):
                found[place] = result
        return found


class _Joined(torch.autograd.Function):
    """Both halves as one node of the graph around them."""

    @staticmethod
    def forward(ctx: Any, lane: ThreadLane, sides: list[_Side], *_: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.lane, ctx.sides = lane, sides
        return tuple(output.detach() for side in sides for output in side.outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        first, second = ctx.sides
        cut = len(first.outputs)
        a, b = ctx.lane.run(
            lambda: first.backward(grads[:cut]), lambda: second.backward(grads[cut:])
        )
        return None, None, *a, *b


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Split operations of this thread over ``count`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _autocast() -> dict[str, Any]:
    """Return how this thread's autocast is set, which another thread does not inherit."""
    return {
        "dtype": torch.get_autocast_dtype("cpu"),
        "enabled": torch.is_autocast_enabled("cpu"),
        "cache_enabled": torch.is_autocast_cache_enabled(),
    }
