"""Both domains' networks side by side: in each phase of an iteration neither waits for the other.

What is minimised stands in `munit_pl.objective`; here is only when the networks are called.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from munit_pl.discriminator import ScaleDiscriminators
from munit_pl.generator import DomainGenerator
from munit_pl.objective import Codes, Decodings, Translations

A = TypeVar("A")
B = TypeVar("B")


class Lane(Protocol):
    """What runs two functions side by side."""

    def both(self, of_a: Callable[[], A], of_b: Callable[[], B], *taken: Tensor) -> tuple[A, B]:
        """Return both functions' results; of what was made outside, the second takes ``taken``."""

    def join(self) -> None:
        """Wait for the second, as far as it was differentiated too."""


class CudaLane:
    """A second CUDA stream, forked from the current one and joined to it in each phase.

    Memory belongs to the stream that it was taken on, and is free for that stream as soon as Python
    lets go of it; so each side is told of what the other one uses of it.
    """

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def both(self, of_a: Callable[[], A], of_b: Callable[[], B], *taken: Tensor) -> tuple[A, B]:
        """Run the first on the current stream and the second beside it."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            b = of_b()
        a = of_a()
        for tensor in taken:
            tensor.record_stream(self._stream)
        for tensor in _tensors(b):
            tensor.record_stream(current)
        current.wait_stream(self._stream)
        return a, b

    def join(self) -> None:
        """Let the current stream wait: gradients are computed where the values were."""
        torch.cuda.current_stream().wait_stream(self._stream)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


class Networks(NamedTuple):
    """What MUNIT consists of."""

    gen_a: DomainGenerator
    gen_b: DomainGenerator
    dis_a: ScaleDiscriminators
    dis_b: ScaleDiscriminators


class Known:
    """A network whose answer is there by now: what calls it again, gets that.

    Args:
        encoded: What `encode` answers.
        decoded: What `decode` answers.
        logits: What a discriminator answers.
    """

    def __init__(self, encoded: Any = None, decoded: Any = None, logits: Any = None) -> None:
        self._encoded = encoded
        self._decoded = decoded
        self._logits = logits

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return content and style."""
        return self._encoded

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Return images."""
        return self._decoded

    def judge(self, *batches: Tensor) -> list[list[Tensor]]:
        """Return the logits of several batches."""
        return self._logits

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Return logits."""
        return self._logits


def encode(lane: Lane, nets: Networks, x_a: Tensor, x_b: Tensor) -> Codes:
    """Do what `objective.encode` does."""
    of_a, of_b = lane.both(lambda: nets.gen_a.encode(x_a), lambda: nets.gen_b.encode(x_b), x_b)
    return Codes(*of_a, *of_b)


def translate(lane: Lane, nets: Networks, codes: Codes, z_a: Tensor, z_b: Tensor) -> Translations:
    """Do what `objective.translate` does."""
    x_ba, x_ab = lane.both(
        lambda: nets.gen_a.decode(codes.c_b, z_a),
        lambda: nets.gen_b.decode(codes.c_a, z_b),
        codes.c_a,
        z_b,
    )
    return Translations(x_ab=x_ab, x_ba=x_ba)


def decode(lane: Lane, nets: Networks, codes: Codes, z_a: Tensor, z_b: Tensor) -> Decodings:
    """Do what `objective.decode` does."""
    c_a, s_a, c_b, s_b = codes
    of_a, of_b = lane.both(
        lambda: nets.gen_a.decode(torch.cat([c_a, c_b]), torch.cat([s_a, z_a])),
        lambda: nets.gen_b.decode(torch.cat([c_b, c_a]), torch.cat([s_b, z_b])),
        c_a,
        z_b,
    )
    n_a, n_b = len(c_a), len(c_b)
    return Decodings(x_aa=of_a[:n_a], x_bb=of_b[:n_b], x_ab=of_b[n_b:], x_ba=of_a[n_a:])


def judge(
    lane: Lane, nets: Networks, x_a: Tensor, x_b: Tensor, made: Translations
) -> tuple[Known, Known]:
    """Return discriminators that know their logits of images and of translations."""
    x_ab, x_ba = made.x_ab.detach(), made.x_ba.detach()
    of_a, of_b = lane.both(
        lambda: nets.dis_a.judge(x_a, x_ba), lambda: nets.dis_b.judge(x_b, x_ab), x_b, x_ab
    )
    return Known(logits=of_a), Known(logits=of_b)


def read_back(
    lane: Lane, nets: Networks, codes: Codes, decoded: Decodings, cycle: bool
) -> tuple[Known, Known, Known, Known]:
    """Return networks that know what the generators' terms ask of the translations."""
    x_ab, x_ba = decoded.x_ab, decoded.x_ba
    (code_a, logits_a), (code_b, logits_b) = lane.both(
        lambda: (nets.gen_a.encode(x_ba), nets.dis_a(x_ba)),
        lambda: (nets.gen_b.encode(x_ab), nets.dis_b(x_ab)),
        x_ab,
    )
    x_aba = x_bab = None
    if cycle:
        x_aba, x_bab = lane.both(
            lambda: nets.gen_a.decode(code_b[0], codes.s_a),
            lambda: nets.gen_b.decode(code_a[0], codes.s_b),
            code_a[0],
        )
    known_a, known_b = Known(encoded=code_a, decoded=x_aba), Known(encoded=code_b, decoded=x_bab)
    return known_a, known_b, Known(logits=logits_a), Known(logits=logits_b)
