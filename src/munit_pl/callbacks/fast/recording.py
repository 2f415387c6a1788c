"""A function of tensors that is run a few times, then recorded, then replayed."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

WARM_UP = 3  # calls until nothing is allocated, chosen or compiled for the first time any more


class Recorder(Protocol):
    """What can record a function."""

    def run(self, function: Callable[[], T]) -> T:
        """Run a function that is to be recorded later."""

    def record(self, function: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """Return what replays a function, and what holds its results after each replay."""

    def settle(self) -> None:
        """Wait for the replays that are under way."""


class CudaGraphs:
    """Records what a function has a CUDA device do.

    Nothing in it may wait for the device, and no memory that it reads may be replaced later.
    """

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def run(self, function: Callable[[], T]) -> T:
        """Run a function on the stream that it will be recorded on, as it readies that."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = function()
        current.wait_stream(self._stream)
        return result

    def record(self, function: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """Record a function; nothing is computed by that."""
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as one that pins the next batch, may use the device meanwhile.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            result = function()
        return graph.replay, result

    def settle(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize()


class Recorded(Generic[T]):
    """A function of tensors, replayed from its fourth call on.

    Its results are then always the same tensors, overwritten by the next call. With tensors of
    other shapes than were recorded it is simply called.

    Args:
        function: The function. Whatever else it reads or changes must stay where it is in memory.
        recorder: What records it; without one it is called each time.
        on_fallback: Called with the reason if it cannot be recorded; then it is simply called.

    Attributes:
        recording: Whether it is being recorded at this moment.
    """

    def __init__(
        self,
        function: Callable[..., T],
        recorder: Recorder | None,
        on_fallback: Callable[[str], None],
    ) -> None:
        self._function = function
        self._recorder = recorder
        self._on_fallback = on_fallback
        self._calls = 0
        self._inputs: list[Tensor] = []
        self._replay: Callable[[], None] | None = None
        self._result: T | None = None
        self.recording = False

    def __call__(self, *tensors: Tensor) -> T:
        """Call the function, or replay it."""
        if self._recorder is None or (self._inputs and not self._fit(tensors)):
            return self._function(*tensors)
        if self._calls < WARM_UP:
            self._calls += 1
            return self._recorder.run(lambda: self._function(*tensors))
        if self._replay is None:
            try:
                self._record(self._recorder, tensors)
            except RuntimeError as error:
                self._recorder = None
                self._drop()
                self._on_fallback(str(error).partition("\n")[0])
                return self._function(*tensors)
        for buffer, tensor in zip(self._inputs, tensors, strict=True):
            buffer.copy_(tensor, non_blocking=True)
        assert self._replay is not None
        self._replay()
        return self._result  # type: ignore[return-value]

    def forget(self) -> None:
        """Record anew, since something that the function uses lies elsewhere now."""
        if self._recorder is not None:
            self._recorder.settle()
        self._drop()

    def _record(self, recorder: Recorder, tensors: tuple[Tensor, ...]) -> None:
        self._inputs = [tensor.detach().clone() for tensor in tensors]
        self.recording = True
        try:
            self._replay, self._result = recorder.record(lambda: self._function(*self._inputs))
        finally:
            self.recording = False

    def _drop(self) -> None:
        self._calls, self._inputs, self._replay, self._result = 0, [], None, None

    def _fit(self, tensors: tuple[Tensor, ...]) -> bool:
        return [(t.shape, t.dtype) for t in tensors] == [(t.shape, t.dtype) for t in self._inputs]
