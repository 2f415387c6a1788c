"""Inference with ONNX exports: generators whose networks are graphs run by onnxruntime."""

import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from munit_pl.io.regular_files import open_regular
from munit_pl.io.state_dict_checks import brief
from munit_pl.models.base.description import recall_images
from munit_pl.models.base.generator import DomainGenerator

_MAX_JSON = 1 << 20  # bytes; what an export says of itself has a few thousand
_MAX_GRAPH = 1 << 30  # bytes of a file; the published networks' have some 50 million
_SHARE = 0.75  # of the memory that is free, for all graphs together
_CONTROL_GROUP = Path("/sys/fs/cgroup")  # of a container
_SIZES = ("in_channels", "style_dim", "multiple", "shortest")


def require_onnxruntime() -> None:
    """Make sure that onnxruntime is installed.

    Raises:
        ImportError: If it is not; the message says how to install it.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise ImportError("ONNX needs onnxruntime: pip install 'munit-pl[onnx]'")


@cache
def _bound_memory() -> None:
    """Let all sessions of this process share one allocator, whose memory is limited."""
    import onnxruntime

    with suppress(OSError):  # not told by systems other than Linux
        settings = onnxruntime.OrtArenaCfg({"max_mem": int(_SHARE * _free_memory())})
        kind, where = onnxruntime.OrtAllocatorType, onnxruntime.OrtMemType
        place = onnxruntime.OrtMemoryInfo("Cpu", kind.ORT_ARENA_ALLOCATOR, 0, where.DEFAULT)
        onnxruntime.create_and_register_allocator(place, settings)


def _free_memory() -> int:
    """Return how many bytes of memory are available: of the machine, or of the container."""
    meminfo = Path("/proc/meminfo").read_text()
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo)
    free = 1024 * int(found[1]) if found else 0
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            left = int((_CONTROL_GROUP / limit).read_text()) - int(
                (_CONTROL_GROUP / used).read_text()
            )
            statistics = ((_CONTROL_GROUP / limit).parent / "memory.stat").read_text()
        except (OSError, ValueError):  # none, or "max"
            continue
        # Files that were read and may be forgotten count as used.
        idle = re.search(r"^(?:total_)?inactive_file (\d+)", statistics, re.MULTILINE)
        free = min(free, left + (int(idle[1]) if idle else 0))
    return max(0, free)


class OnnxGraph(nn.Module):
    """A graph as a network: tensors in, a tensor on the CPU out.

    What its operators allocate is bounded; how long they take is not.

    Args:
        model: The graph's file, as bytes: so its data cannot lie in files elsewhere.
        shape: Of its output, as far as it is known: None stands for any number.

    Raises:
        ImportError: If onnxruntime is not installed.
        ValueError: If it is no graph.
    """

    def __init__(self, model: bytes, shape: Sequence[int | None] | None = None) -> None:
        require_onnxruntime()
        import onnxruntime

        super().__init__()
        self.shape = shape
        _bound_memory()
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # errors are raised, and told here
        try:
            # Constants that are folded beforehand are allocated elsewhere, without a bound.
            self.session = onnxruntime.InferenceSession(
                model,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=["ConstantFolding"],
            )
        except Exception as error:  # of many kinds, all of the library's own
            raise ValueError(f"onnxruntime cannot read it: {_one_line(error)}") from None
        self.names = [node.name for node in self.session.get_inputs()]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the graph's output for its inputs, of which a method may have one less.

        Raises:
            ValueError: If the graph cannot be computed for these, or its output is no float32, of
                another shape, or holds NaN or Inf.
        """
        arrays: list[np.ndarray[Any, Any]] = [x.detach().cpu().float().numpy() for x in inputs]
        try:
            output, *_ = self._run(dict(zip(self.names, arrays, strict=False)))
        except Exception as error:  # of many kinds, all of the library's own
            raise ValueError(f"onnxruntime cannot compute it: {_one_line(error)}") from None
        if not isinstance(output, np.ndarray) or output.dtype != np.float32:
            raise ValueError("the graph's output is no float32 tensor")
        expected = (len(inputs[0]), *self.shape[1:]) if self.shape else output.shape
        if output.ndim != len(expected) or any(
            want not in (None, size) for want, size in zip(expected, output.shape, strict=True)
        ):
            raise ValueError(f"the graph's output has the shape {output.shape}, not {expected}")
        if not np.isfinite(output).all():
            raise ValueError("the graph's output holds NaN or Inf")
        return torch.from_numpy(output)

    def _run(self, named: dict[str, np.ndarray[Any, Any]]) -> Any:
        """Compute the graph in a thread, so that Ctrl-C ends even one that loops for ever."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        with ThreadPoolExecutor(1) as pool:
            try:
                return pool.submit(self.session.run, None, named, options).result()
            except BaseException:
                options.terminate = True
                raise


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
    return " ".join(str(error).split())[:400]


def _read_json(path: Path) -> dict[str, Any]:
    with open_regular(path) as file:
        text = file.read(_MAX_JSON + 1)
    if len(text) > _MAX_JSON:
        raise ValueError(f"{path} is no export's metadata: it has more than 1 MiB")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is no export's metadata: it is broken JSON") from None
    if not isinstance(metadata, dict):
        raise ValueError(f"{path} is no export's metadata")
    return metadata


def _generator(said: dict[str, Any], path: Path) -> DomainGenerator:
    """Make a domain's generator from untrusted metadata, all of which is checked."""
    sizes = [said.get(name) for name in _SIZES]
    for name, size in zip(_SIZES, sizes, strict=True):
        least = 0 if name == "style_dim" else 1
        if type(size) is not int or not least <= size <= 1 << 16:
            raise ValueError(f"{path}: {name} is {brief(size)}")
    gen = DomainGenerator()  # no class of its own, which a checkpoint could ask for
    gen.arguments = {}
    gen.in_channels, gen.style_dim, gen.size_divisor, gen.min_size = sizes  # type: ignore[assignment]
    graphs = said.get("graphs")
    graphs = graphs if isinstance(graphs, dict) else {}
    gen.content_encoder = _graph(graphs.get("content"), path, (None,) * 4) or nn.Identity()
    gen.style_encoder = _graph(graphs.get("style"), path, (None, gen.style_dim))
    decoder = _graph(graphs.get("decode"), path, (None, gen.in_channels, None, None))
    if decoder is None:
        raise ValueError(f"{path} names no graph to decode with")
    gen.decoder = decoder
    return gen


def _graph(said: Any, path: Path, shape: Sequence[int | None]) -> OnnxGraph | None:
    """Read a graph beside ``path``, if one is named."""
    if said is None:
        return None
    name = said.get("file") if isinstance(said, dict) else None
    if not isinstance(name, str) or not name.endswith(".onnx") or Path(name).name != name:
        raise ValueError(f"{path} names the graph {brief(name)}, which is no file beside it")
    try:
        with open_regular(path.parent / name) as file:
            model = file.read(_MAX_GRAPH + 1)
    except (OSError, ValueError):
        raise ValueError(f"{path} names the graph {brief(name)}, which cannot be read") from None
    if len(model) > _MAX_GRAPH:
        raise ValueError(f"{path.parent / name} is larger than {_MAX_GRAPH >> 30} GiB")
    if hashlib.sha256(model).hexdigest() != said.get("sha256"):
        raise ValueError(f"{path.parent / name} is not the graph that {path.name} names")
    try:
        return OnnxGraph(model, shape)
    except ValueError as error:
        raise ValueError(f"{path.parent / name}: {error}") from None
