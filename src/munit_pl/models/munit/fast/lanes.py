"""Both domains' networks side by side: in each phase of an iteration neither waits for the other.

What is minimized stands in `munit_pl.models.munit.objective`; here is only when the networks are
called.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.base.objective import Decodings, Translations
from munit_pl.models.components.discriminators import ScaleDiscriminators
from munit_pl.models.munit.objective import Codes


class Work(NamedTuple):
    """What is done for one domain: a function, the tensors that it takes, whose weights it uses."""

    function: Callable[..., Any]
    tensors: tuple[Tensor, ...]
    networks: tuple[nn.Module, ...]

    def do(self) -> Any:
        """Return what the function makes of the tensors."""
        return self.function(*self.tensors)


class ParallelDomains(Protocol):
    """What does two things side by side."""

    def both(self, of_a: Work, of_b: Work) -> tuple[Any, Any]:
        """Return what both make: tensors, in tuples or lists or alone."""

    def join(self) -> None:
        """Wait for the second, as far as it was differentiated too."""


class CudaLane:
    """A second CUDA stream, forked from the current one and joined to it in each phase.

    Memory belongs to the stream that it was taken on, and is free for that stream as soon as Python
    lets go of it; so each side is told of what the other one uses of it.
    """

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def both(self, of_a: Work, of_b: Work) -> tuple[Any, Any]:
        """Do the first on the current stream and the second beside it."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            b = of_b.do()
        a = of_a.do()
        for tensor in of_b.tensors:
            tensor.record_stream(self._stream)
        for tensor in tree_leaves(b):
            tensor.record_stream(current)
        current.wait_stream(self._stream)
        return a, b

    def join(self) -> None:
        """Let the current stream wait: gradients are computed where the values were."""
        torch.cuda.current_stream().wait_stream(self._stream)


class Networks(NamedTuple):
    """What MUNIT consists of."""

    gen_a: DomainGenerator
    gen_b: DomainGenerator
    dis_a: ScaleDiscriminators
    dis_b: ScaleDiscriminators


class Precomputed:
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

    def score_batches(self, *batches: Tensor) -> list[list[Tensor]]:
        """Return the logits of several batches."""
        return self._logits

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Return logits."""
        return self._logits


def encode(lane: ParallelDomains, nets: Networks, x_a: Tensor, x_b: Tensor) -> Codes:
    """Do what `objective.encode` does."""
    of_a, of_b = lane.both(
        Work(nets.gen_a.encode, (x_a,), (nets.gen_a,)),
        Work(nets.gen_b.encode, (x_b,), (nets.gen_b,)),
    )
    return Codes(*of_a, *of_b)


def translate(
    lane: ParallelDomains, nets: Networks, codes: Codes, z_a: Tensor, z_b: Tensor
) -> Translations:
    """Do what `objective.translate` does."""
    x_ba, x_ab = lane.both(
        Work(nets.gen_a.decode, (codes.c_b, z_a), (nets.gen_a,)),
        Work(nets.gen_b.decode, (codes.c_a, z_b), (nets.gen_b,)),
    )
    return Translations(x_ab=x_ab, x_ba=x_ba)


def decode(
    lane: ParallelDomains, nets: Networks, codes: Codes, z_a: Tensor, z_b: Tensor
) -> Decodings:
    """Do what `objective.decode` does."""
    c_a, s_a, c_b, s_b = codes
    (x_aa, x_ba), (x_bb, x_ab) = lane.both(
        Work(partial(_decode_two, nets.gen_a), (c_a, c_b, s_a, z_a), (nets.gen_a,)),
        Work(partial(_decode_two, nets.gen_b), (c_b, c_a, s_b, z_b), (nets.gen_b,)),
    )
    return Decodings(x_aa=x_aa, x_bb=x_bb, x_ab=x_ab, x_ba=x_ba)


def score_batches(
    lane: ParallelDomains, nets: Networks, x_a: Tensor, x_b: Tensor, made: Translations
) -> tuple[Precomputed, Precomputed]:
    """Return discriminators that know their logits of images and of translations."""
    of_a, of_b = lane.both(
        Work(nets.dis_a.score_batches, (x_a, made.x_ba.detach()), (nets.dis_a,)),
        Work(nets.dis_b.score_batches, (x_b, made.x_ab.detach()), (nets.dis_b,)),
    )
    return Precomputed(logits=of_a), Precomputed(logits=of_b)


def read_back(
    lane: ParallelDomains, nets: Networks, codes: Codes, decoded: Decodings, cycle: bool
) -> tuple[Precomputed, Precomputed, Precomputed, Precomputed]:
    """Return networks that know what the generators' terms ask of the translations."""
    (code_a, logits_a), (code_b, logits_b) = lane.both(
        Work(
            lambda x: (nets.gen_a.encode(x), nets.dis_a(x)),
            (decoded.x_ba,),
            (nets.gen_a, nets.dis_a),
        ),
        Work(
            lambda x: (nets.gen_b.encode(x), nets.dis_b(x)),
            (decoded.x_ab,),
            (nets.gen_b, nets.dis_b),
        ),
    )
    x_aba = x_bab = None
    if cycle:
        x_aba, x_bab = lane.both(
            Work(nets.gen_a.decode, (code_b[0], codes.s_a), (nets.gen_a,)),
            Work(nets.gen_b.decode, (code_a[0], codes.s_b), (nets.gen_b,)),
        )
    known_a, known_b = (
        Precomputed(encoded=code_a, decoded=x_aba),
        Precomputed(encoded=code_b, decoded=x_bab),
    )
    return known_a, known_b, Precomputed(logits=logits_a), Precomputed(logits=logits_b)


def _decode_two(
    gen: DomainGenerator, c_own: Tensor, c_other: Tensor, s_own: Tensor, z: Tensor
) -> tuple[Tensor, Tensor]:
    """Decode a domain's own images and the other's in one batch."""
    images = gen.decode(torch.cat([c_own, c_other]), torch.cat([s_own, z]))
    n = c_own.shape[0]
    return images[:n], images[n:]
