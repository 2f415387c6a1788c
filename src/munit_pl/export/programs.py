"""Graphs for other programs, as `torch.export` programs or ONNX, with metadata beside them."""

import contextlib
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.export import ExportedProgram

from munit_pl.data.domain import DomainName
from munit_pl.export.graphs import (
    Graph,
    content_factor,
    graphs_of,
    inputs_of,
    min_size,
    trace,
)
from munit_pl.inference.onnx import OnnxGraph
from munit_pl.io.files import digest
from munit_pl.models.base.description import describe_images
from munit_pl.models.base.generator import DomainGenerator

Format = Literal["torch", "onnx"]

TOLERANCE = 1e-4  # of the largest absolute value, or of 1 if that is less
_CHECKED = ((1, 4, 2), (3, 2, 5))  # other batches and sides than were traced

_SUFFIXES: dict[Format, str] = {"torch": ".pt2", "onnx": ".onnx"}


class ExportError(Exception):
    """A graph was made, but does not compute what the networks do."""


def export_graphs(
    folder: Path,
    gen_a: DomainGenerator,
    gen_b: DomainGenerator,
    form: Format,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Write a model's graphs and ``model.json`` into a folder, and check each as it was written.

    Each graph takes any number of images, of any sides from twice the networks' smallest on;
    multiples of the networks' downsampling factor, but for styles.

    Args:
        folder: Where they go; it is there.
        gen_a: Domain a's generator, on the CPU; put into evaluation mode.
        gen_b: Domain b's generator, likewise.
        form: "torch" for `torch.export` programs, "onnx" for ONNX.
        log: Called with a line for each graph that was checked.

    Raises:
        ExportError: If a graph differs from its network by more than `TOLERANCE`.
        ImportError: If the packages that ONNX needs are not installed.
    """
    if form == "onnx":
        require_onnx()
    gens: dict[DomainName, DomainGenerator] = {"a": gen_a.eval(), "b": gen_b.eval()}
    graphs: dict[DomainName, dict[str, Any]] = {"a": {}, "b": {}}
    for graph in graphs_of(gen_a, gen_b):
        path = folder / f"{graph.name}{_SUFFIXES[form]}"
        with _quiet():
            (_write_torch if form == "torch" else _write_onnx)(graph, path)
            difference = check(graph, _load(path, form), gens)
        graphs[graph.domain][graph.part] = {
            "file": path.name,
            "sha256": digest(path),
            "inputs": list(graph.names),
            "output": graph.output,
            "difference": float(f"{difference:.2g}"),
        }
        log(f"{path.name}: differs from the networks by {difference:.1e} at most")
    (folder / "model.json").write_text(json.dumps(_metadata(gens, graphs, form), indent=1) + "\n")


def require_onnx() -> None:
    """Make sure that writing and running ONNX is possible.

    Raises:
        ImportError: If a package is not installed; the message names the extra.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(f"ONNX needs {package}: pip install 'munit-pl[onnx]'")


def check(
    graph: Graph, run: Callable[..., Tensor], gens: dict[DomainName, DomainGenerator]
) -> float:
    """Compare an exported graph with its network, at other batches and sizes than it was traced.

    Args:
        graph: The graph.
        run: The exported graph, read back.
        gens: Both generators.

    Returns:
        The largest difference, relative to the largest value or 1, whichever is more.

    Raises:
        ExportError: If it is more than `TOLERANCE`.
    """
    worst = 0.0
    for n, rows, columns in _CHECKED:
        inputs = inputs_of(graph, gens, n, rows, columns)
        with torch.no_grad():
            expected, got = graph.network(*inputs), run(*inputs)
        if got.shape != expected.shape:
            raise ExportError(f"{graph.name} gives {tuple(got.shape)}, not {tuple(expected.shape)}")
        scale = max(1.0, expected.abs().max().item())
        difference = (got - expected).abs().max().item() / scale
        if not difference <= TOLERANCE:  # nor NaN
            raise ExportError(f"{graph.name} differs from the networks by {difference:.1e}")
        worst = max(worst, difference)
    return worst


def _write_torch(graph: Graph, path: Path) -> None:
    torch.export.save(trace(graph), path)


def _write_onnx(graph: Graph, path: Path) -> None:
    program = torch.onnx.export(
        trace(graph),
        input_names=graph.names,
        output_names=[graph.output],
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # which it is with a file name alone
    _name_axes(graph, program)
    program.save(path, external_data=False)


def _name_axes(graph: Graph, program: torch.onnx.ONNXProgram) -> None:
    """Call the free axes batch, height and width, where the exporter has numbered symbols."""
    ends = (*program.model.graph.inputs, *program.model.graph.outputs)
    for node in program.model.graph:
        for value in node.outputs:
            if value not in ends:
                value.shape = None  # of symbols; a runtime infers it
    for value in ends:
        factor = graph.content_factor if value.name == "content" else 1
        names = ("height", "width") if factor == 1 else (f"height/{factor}", f"width/{factor}")
        assert value.shape is not None  # of what goes in and comes out
        for axis, name in zip(range(len(value.shape)), ("batch", None, *names), strict=False):
            if name is not None:
                value.shape[axis] = name


def _load(path: Path, form: Format) -> Callable[..., Tensor]:
    if form == "onnx":
        return OnnxGraph(path.read_bytes())
    program: ExportedProgram = torch.export.load(path)
    return program.module()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporters' log messages, warnings and prints."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _metadata(
    gens: dict[DomainName, DomainGenerator], graphs: dict[DomainName, dict[str, Any]], form: Format
) -> dict[str, Any]:
    return {
        "library": "munit_pl",
        "version": version("munit-pl"),
        "format": form,
        "made_with": {"torch": torch.__version__},
        "images": {
            "layout": "NCHW",
            "type": "float32",
            "range": [-1.0, 1.0],
            "from_bytes": "x / 127.5 - 1",
            "colors": "RGB",
        },
        "styles": "drawn from N(0, 1) in each dimension, or read from an image",
        "domains": {
            domain: {
                "in_channels": gen.in_channels,
                "style_dim": gen.style_dim,
                "multiple": gen.size_divisor,
                "shortest": min_size(gen),
                **describe_images(gen),
                "content_factor": content_factor(gen),
                "graphs": graphs[domain],
            }
            for domain, gen in gens.items()
        },
    }
