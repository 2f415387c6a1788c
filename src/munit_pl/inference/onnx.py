"""An ONNX export put to use: generators whose networks are graphs that onnxruntime computes."""

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from munit_pl.io.fitting import brief
from munit_pl.models.base.description import recall_images
from munit_pl.models.base.generator import DomainGenerator

_MAX_JSON = 1 << 20  # bytes; what an export says of itself has a few thousand
_SIZES = ("in_channels", "style_dim", "multiple", "shortest")


def require_onnxruntime() -> None:
    """Make sure that onnxruntime is installed.

    Raises:
        ImportError: If it is not; the message says how to install it.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise ImportError("ONNX needs onnxruntime: pip install 'munit-pl[onnx]'")


class OnnxGraph(nn.Module):
    """A graph as a network: tensors in, a tensor on the CPU out.

    Args:
        model: The graph's file, as bytes: so its data cannot lie in files elsewhere.

    Raises:
        ImportError: If onnxruntime is not installed.
        ValueError: If it is no graph.
    """

    def __init__(self, model: bytes) -> None:
        require_onnxruntime()
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # errors are raised, and told here
        try:
            self.session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # of many kinds, all of the library's own
            raise ValueError(f"onnxruntime cannot read it: {_one_line(error)}") from None
        self.names = [node.name for node in self.session.get_inputs()]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the graph's output for its inputs, of which a method may have one less.

        Raises:
            ValueError: If the graph cannot be computed for these.
        """
        arrays: list[np.ndarray[Any, Any]] = [x.detach().cpu().float().numpy() for x in inputs]
        try:
            output, *_ = self.session.run(None, dict(zip(self.names, arrays, strict=False)))
        except Exception as error:  # of many kinds, all of the library's own
            raise ValueError(f"onnxruntime cannot compute it: {_one_line(error)}") from None
        return torch.from_numpy(output)


def read_onnx(path: Path) -> tuple[DomainGenerator, DomainGenerator]:
    """Read what `munit_pl.export.programs` wrote as ONNX.

    Args:
        path: The metadata file, ``model.json``, beside which the graphs lie.

    Returns:
        Both domains' generators, whose networks are `OnnxGraph`.

    Raises:
        ImportError: If onnxruntime is not installed.
        ValueError: If it is something else, or a graph is not the one that it names.
    """
    metadata = _read_json(path)
    if metadata.get("format") != "onnx":
        raise ValueError(
            f"{path} describes no ONNX export, which is the only kind that can be run here: "
            "translate with the checkpoint that it was made of"
        )
    domains = metadata.get("domains")
    if not isinstance(domains, dict) or not all(isinstance(domains.get(d), dict) for d in "ab"):
        raise ValueError(f"{path} describes no domains a and b")
    gens = {domain: _generator(domains[domain], path) for domain in "ab"}
    try:
        recall_images(gens, domains)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return gens["a"], gens["b"]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _read_json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_JSON:
        raise ValueError(f"{path} is no export's metadata: it has more than 1 MiB")
    try:
        metadata = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is no export's metadata: it is broken JSON") from None
    if not isinstance(metadata, dict):
        raise ValueError(f"{path} is no export's metadata")
    return metadata


def _generator(said: dict[str, Any], path: Path) -> DomainGenerator:
    """Make a domain's generator of what the metadata say, none of which is taken on trust."""
    sizes = [said.get(name) for name in _SIZES]
    for name, size in zip(_SIZES, sizes, strict=True):
        least = 0 if name == "style_dim" else 1
        if type(size) is not int or not least <= size <= 1 << 16:
            raise ValueError(f"{path}: {name} is {brief(size)}")
    gen = DomainGenerator()  # no class of its own, which a checkpoint could ask for
    gen.arguments = {}
    gen.in_channels, gen.style_dim, gen.multiple, gen.shortest = sizes  # type: ignore[assignment]
    graphs = said.get("graphs")
    graphs = graphs if isinstance(graphs, dict) else {}
    gen.content_encoder = _graph(graphs.get("content"), path) or nn.Identity()
    gen.style_encoder = _graph(graphs.get("style"), path)
    decoder = _graph(graphs.get("decode"), path)
    if decoder is None:
        raise ValueError(f"{path} names no graph to decode with")
    gen.decoder = decoder
    return gen


def _graph(said: Any, path: Path) -> OnnxGraph | None:
    """Read a graph beside ``path``, if one is named."""
    if said is None:
        return None
    name = said.get("file") if isinstance(said, dict) else None
    if not isinstance(name, str) or not name.endswith(".onnx") or Path(name).name != name:
        raise ValueError(f"{path} names the graph {brief(name)}, which is no file beside it")
    try:
        model = (path.parent / name).read_bytes()
    except (OSError, ValueError):
        raise ValueError(f"{path} names the graph {brief(name)}, which cannot be read") from None
    if hashlib.sha256(model).hexdigest() != said.get("sha256"):
        raise ValueError(f"{path.parent / name} is not the graph that {path.name} names")
    try:
        return OnnxGraph(model)
    except ValueError as error:
        raise ValueError(f"{path.parent / name}: {error}") from None
