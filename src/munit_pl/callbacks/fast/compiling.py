"""Networks that `torch.compile` has made faster, while training alone."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class CompiledNetworks:
    """Networks compiled in place: their modules, weights and names stay what they are.

    Only within the context of `in_use` are they called compiled. Pictures and validation come in
    other sizes, each of which would take a minute to compile and save milliseconds.

    Args:
        networks: Each is compiled as one piece, at its first call of each shape.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        self._networks = list(networks)
        self._calls = []
        for network in self._networks:
            network.compile(fullgraph=True, dynamic=False)
            self._calls.append(network._compiled_call_impl)
            network._compiled_call_impl = None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Call the compiled networks where their modules are called."""
        try:
            for network, call in zip(self._networks, self._calls, strict=True):
                network._compiled_call_impl = call
            yield
        finally:
            for network in self._networks:
                network._compiled_call_impl = None


@contextmanager
def restored(buffers: Iterable[Tensor]) -> Iterator[None]:
    """Give buffers back the values that they had before."""
    changing = list(buffers)
    earlier = [buffer.clone() for buffer in changing]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in zip(changing, earlier, strict=True):
                buffer.copy_(before)
