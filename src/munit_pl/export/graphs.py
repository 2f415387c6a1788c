"""A model as graphs: of each domain one for content, one for style, one to decode.

They are apart so that one content can be shown in many styles.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from munit_pl.data.domain import DomainName
from munit_pl.layers.blocks import with_plain_weights
from munit_pl.models.base.generator import DomainGenerator

_MIN_SIZE_FACTOR = 2  # at the networks' own the smallest maps have one pixel: a special case
_BATCH = 2  # a batch of one would be taken for a constant

Shapes = tuple[dict[int, Dim], ...]


class Graph(NamedTuple):
    """A network, and what tracing it takes.

    Attributes:
        part: "content", "style" or "decode".
        domain: Whose it is: which images it reads, or which it makes.
        network: The module that is traced.
        inputs: Example inputs.
        names: The inputs' names.
        shapes: Of each input, the dynamic dimensions.
        content_factor: Downsampling factor from an image to its content.
    """

    part: str
    domain: DomainName
    network: nn.Module
    inputs: tuple[Tensor, ...]
    names: tuple[str, ...]
    shapes: Shapes
    content_factor: int

    @property
    def output(self) -> str:
        """The output's name: what others take as their input, or images."""
        return "images" if self.part == "decode" else self.part

    @property
    def name(self) -> str:
        """The graph's name, such as "content_a"."""
        return f"{self.part}_{self.domain}"


class _Unstyled(nn.Module):
    """A decoder of a method without styles, as graphs take no empty input."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, content: Tensor) -> Tensor:
        return self.decoder(content, content.new_empty(content.shape[0], 0))


def min_size(gen: DomainGenerator) -> int:
    """Return the smallest side of images, in pixels, that a domain's graphs take."""
    return _MIN_SIZE_FACTOR * gen.min_size


def graphs_of(gen_a: DomainGenerator, gen_b: DomainGenerator) -> Iterator[Graph]:
    """Yield the graphs that a method has: no content where it is the image, no style where none is.

    Args:
        gen_a: Domain a's generator, in evaluation mode on the CPU.
        gen_b: Domain b's generator, likewise.
    """
    domains: tuple[tuple[DomainName, DomainGenerator, DomainGenerator], ...] = (
        ("a", gen_a, gen_b),
        ("b", gen_b, gen_a),
    )
    for domain, gen, other in domains:
        x, factor = example(gen, _BATCH, 2, 3), content_factor(gen)
        if gen.has_content_code:
            shapes = _free(gen.size_divisor, min_size(gen))
            yield Graph(
                "content", domain, gen.content_encoder, (x,), ("images",), (shapes,), factor
            )
        if gen.style_encoder is not None:
            shapes = _free(1, min_size(gen))
            yield Graph("style", domain, gen.style_encoder, (x,), ("images",), (shapes,), factor)
        yield _decoding(domain, gen, other)


def example(gen: DomainGenerator, n: int, rows: int, columns: int) -> Tensor:
    """Return ``n`` images of noise, of so many times the shortest side, in [-1, 1]."""
    sides = (-(-gen.min_size // gen.size_divisor) * gen.size_divisor * k for k in (rows, columns))
    return (
        torch.rand(n, gen.in_channels, *sides, generator=torch.Generator().manual_seed(0)) * 2 - 1
    )


def inputs_of(
    graph: Graph, gens: dict[DomainName, DomainGenerator], n: int, rows: int, columns: int
) -> tuple[Tensor, ...]:
    """Return other inputs of a graph, as `example` makes them; contents are images' own."""
    source = gens[graph.domain]
    if graph.part != "decode":
        return (example(source, n, rows, columns),)
    other = gens["b" if graph.domain == "a" else "a"]
    with torch.no_grad():
        content = other.content_encoder(example(other, n, rows, columns))
    rng = torch.Generator().manual_seed(n)
    style = torch.randn(n, source.style_dim, generator=rng)
    return (content, style)[: len(graph.inputs)]


def _decoding(domain: DomainName, gen: DomainGenerator, other: DomainGenerator) -> Graph:
    x = example(other, _BATCH, 2, 3)
    with torch.no_grad():
        content = other.content_encoder(x)
    factor = content_factor(other)
    free = _free(other.size_divisor // factor, min_size(other) // factor)
    if not gen.style_dim:
        return Graph(
            "decode", domain, _Unstyled(gen.decoder), (content,), ("content",), (free,), factor
        )
    style = torch.randn(_BATCH, gen.style_dim)
    names, shapes = ("content", "style"), (free, {0: free[0]})
    return Graph("decode", domain, gen.decoder, (content, style), names, shapes, factor)


def content_factor(gen: DomainGenerator) -> int:
    """Return the downsampling factor from a domain's images to their content."""
    return gen.size_divisor if gen.has_content_code else 1


def _free(multiple: int, least: int) -> dict[int, Dim]:
    """Make batch and sides dynamic, the latter as multiples from the least on."""
    low = -(-least // multiple)
    height, width = Dim("height", min=low), Dim("width", min=low)
    return {0: Dim("n", min=1), 2: multiple * height, 3: multiple * width}


def trace(graph: Graph) -> ExportedProgram:
    """Trace a graph with `torch.export`; its weights are as they are applied."""
    network = with_plain_weights(graph.network)
    with torch.no_grad():
        return torch.export.export(network, graph.inputs, dynamic_shapes=graph.shapes)
