"""A CUDA graph's stand-in on the CPU: what was computed is noted, and computed again in place."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.item.default}


class Tape(TorchDispatchMode):
    """Notes every operation on tensors, those of the backward pass and of optimizers among them.

    As a graph, it knows nothing of the Python that led to them, and refuses what would have the
    host wait for a device.
    """

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in WAITS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        out = func(*args, **(kwargs or {}))
        # With the shapes of now, which an operation in place may change.
        made = [(t, t.detach()) for t in tree_leaves(out) if isinstance(t, torch.Tensor)]
        self.calls.append((func, args, kwargs or {}, made))
        return out

    @torch.no_grad()
    def play(self):
        for func, args, kwargs, made in self.calls:
            if func.is_view or func is torch.ops.aten.resize_.default:
                continue  # what it made still shows the memory that it showed
            results = tree_leaves(func(*args, **kwargs))
            tensors = [t for t in results if isinstance(t, torch.Tensor)]
            for (was, place), now in zip(made, tensors, strict=True):
                if now is not was:
                    place.copy_(now)


class Tapes:
    """Records on tapes. As with a graph, recording leaves everything as it was."""

    def __init__(self, *changing):
        self.changing = changing  # functions that yield the tensors that the function changes
        self.recorded = self.replayed = self.ran = 0

    def run(self, function):
        self.ran += 1
        return function()

    def record(self, function):
        self.recorded += 1
        tensors = [t for give in self.changing for t in give()]
        earlier = [t.detach().clone() for t in tensors]
        tape = Tape()
        with tape:
            result = function()
        with torch.no_grad():
            for t, before in zip(tensors, earlier, strict=True):
                t.copy_(before)

        def replay():
            self.replayed += 1
            tape.play()

        return replay, result

    def settle(self):
        pass


def state_of(module, optimizers, counts):
    """Return what gives all tensors that an iteration changes."""

    def give():
        yield from module.parameters()
        yield from module.buffers()
        for optimizer in optimizers:
            for state in optimizer.state.values():
                yield from state.values()
        yield from counts().values()

    return give
