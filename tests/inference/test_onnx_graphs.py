import hashlib
import json
import os
import signal
import sys
import threading

import pytest
import torch

from munit_pl import Translator
from munit_pl.inference import onnx as onnx_graphs
from munit_pl.inference.generator_loading import read_generators

onnx = pytest.importorskip("onnx", reason="the extra onnx has it")
pytest.importorskip("onnxruntime", reason="the extra onnx has it")

from onnx import TensorProto, helper  # noqa: E402


def graph_of(nodes, inputs, typed=True):
    """A graph of a few operations, whose output are images or contents; of any type if untyped."""
    shapes = {"images": 4, "content": 4, "style": 2}
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * shapes[name])
        for name in inputs
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [None] * 4)
    if not typed:
        output.ClearField("type")
    graph = helper.make_graph(nodes, "graph", values, [output])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


node = helper.make_node
HALVED = graph_of(
    [node("AveragePool", ["images"], ["output"], kernel_shape=[2, 2], strides=[2, 2])], ["images"]
)
# A style of three numbers is added to the three channels.
SHOWN = graph_of(
    [
        node("Constant", [], ["axes"], value_ints=[2, 3]),
        node("Unsqueeze", ["style", "axes"], ["maps"]),
        node("Add", ["content", "maps"], ["output"]),
    ],
    ["content", "style"],
)


def write(folder, written, style_dim=3, **replaced):
    """Write an export whose domains are alike."""
    said = {}
    for part, model in written.items():
        (folder / f"{part}.onnx").write_bytes(model)
        sha256 = hashlib.sha256(model).hexdigest()
        said[part] = {"file": f"{part}.onnx", "sha256": sha256}
    domain = {"in_channels": 3, "style_dim": style_dim, "multiple": 2, "shortest": 4}
    domain = {**domain, "graphs": said, **replaced}
    metadata = {"format": "onnx", "domains": {"a": domain, "b": domain}}
    (folder / "model.json").write_text(json.dumps(metadata))
    return folder / "model.json"


def test_a_translation_is_what_the_graphs_compute_of_it(tmp_path):
    write(tmp_path, {"content": HALVED, "decode": SHOWN})
    translator = Translator.load(tmp_path, batch_size=3)
    content = torch.arange(24.0).view(1, 1, 4, 6).expand(2, 3, 4, 6) / 24
    x = content.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(translator.encode_content(x, "a"), content)
    styles = torch.tensor([[0.5, -0.5, 0.0], [1.0, 2.0, 3.0]])
    shown = translator.decode(content, styles)
    torch.testing.assert_close(shown, content[:, None] + styles[None, :, :, None, None])
    assert translator.reconstructs
    assert not translator.reads_styles


def test_a_method_without_contents_and_styles_is_given_images_alone(tmp_path):
    negated = graph_of([node("Neg", ["content"], ["output"])], ["content"])
    write(tmp_path, {"decode": negated}, style_dim=0)
    translator = Translator.load(tmp_path)
    x = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(translator.translate(x, torch.empty(1, 0))[:, 0], -x)
    assert not translator.reconstructs


@pytest.mark.parametrize("options", [{"precision": "bf16"}, {"compile": True}, {"device": "meta"}])
def test_what_graphs_cannot_do_is_refused(tmp_path, options):
    write(tmp_path, {"decode": SHOWN})
    with pytest.raises(ValueError, match="an ONNX export runs here on the CPU, in fp32"):
        Translator.load(tmp_path, **options)
    assert Translator.load(tmp_path, precision="auto").precision == "fp32"


def test_what_a_graph_cannot_compute_is_told_in_one_line(tmp_path):
    write(tmp_path, {"decode": SHOWN}, style_dim=5)
    with pytest.raises(ValueError, match="onnxruntime cannot compute it: ") as told:
        Translator.load(tmp_path).translate(torch.rand(1, 3, 4, 4), torch.rand(1, 5))
    assert "\n" not in str(told.value)


def test_outputs_of_other_kinds_and_shapes_are_told(tmp_path):
    x, styles = torch.rand(1, 3, 4, 4), torch.rand(1, 3)
    nan = node("Constant", [], ["nan"], value_float=float("nan"))
    for nodes, message in (
        ([node("Cast", ["content"], ["output"], to=TensorProto.INT64)], "no float32 tensor"),
        ([node("Cast", ["content"], ["output"], to=TensorProto.STRING)], "no float32 tensor"),
        ([node("SequenceConstruct", ["content"], ["output"])], "no float32 tensor"),
        ([nan, node("Add", ["content", "nan"], ["output"])], "NaN or Inf"),
        ([node("ReduceSum", ["content"], ["output"], keepdims=0)], r"the shape \(\), not"),
        ([node("Flatten", ["content"], ["output"])], r"the shape \(1, 48\), not"),
        ([node("Concat", ["content"] * 2, ["output"], axis=0)], r"the shape \(2, 3, 4, 4\), not"),
        ([node("Concat", ["content"] * 2, ["output"], axis=1)], r"the shape \(1, 6, 4, 4\), not"),
        ([node("Concat", ["content"] * 2, ["output"], axis=2)], "are 8x4 pixels for inputs of 4x4"),
    ):
        write(tmp_path, {"decode": graph_of(nodes, ["content"], typed=False)})
        with pytest.raises(ValueError, match=message):
            Translator.load(tmp_path).translate(x, styles)


def test_a_graph_takes_no_more_memory_than_there_is(tmp_path):
    """An allocation beyond the bound is refused, not tried."""
    side = 1 << 21
    bomb = [
        node("Constant", [], ["size"], value_ints=[side, side]),
        node("ConstantOfShape", ["size"], ["huge"]),
        node("ReduceSum", ["huge"], ["zero"], keepdims=0),
        node("Add", ["content", "zero"], ["output"]),
    ]
    write(tmp_path, {"decode": graph_of(bomb, ["content"])})
    with pytest.raises(ValueError, match=r"cannot compute it: .*Available memory of"):
        Translator.load(tmp_path).translate(torch.rand(1, 3, 4, 4), torch.rand(1, 3))


@pytest.fixture
def interruptible():
    """SIGINT is ignored in what a shell runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_graph_that_loops_for_ever(tmp_path, interruptible):
    info, kind = helper.make_tensor_value_info, TensorProto
    number = info("number", kind.INT64, [])
    on, still = (info(name, kind.BOOL, []) for name in ("on", "still"))
    x, y = (info(name, kind.FLOAT, [None] * 4) for name in "xy")
    passed = [node("Identity", ["on"], ["still"]), node("Identity", ["x"], ["y"])]
    body = helper.make_graph(passed, "body", [number, on, x], [still, y])
    loop = [
        node("Constant", [], ["often"], value_int=1 << 62),
        node("Cast", ["often"], ["always"], to=kind.BOOL),
        node("Loop", ["often", "always", "content"], ["output"], body=body),
    ]
    write(tmp_path, {"decode": graph_of(loop, ["content"])})
    translator = Translator.load(tmp_path)
    threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        translator.translate(torch.rand(1, 3, 4, 4), torch.rand(1, 3))


def test_files_that_are_too_large_or_no_files_are_refused(tmp_path, monkeypatch):
    path = write(tmp_path, {"decode": SHOWN})
    monkeypatch.setattr(onnx_graphs, "_MAX_GRAPH", len(SHOWN) - 1)
    with pytest.raises(ValueError, match=r"decode\.onnx is larger than"):
        read_generators(path)
    (tmp_path / "decode.onnx").unlink()
    os.mkfifo(tmp_path / "decode.onnx")
    with pytest.raises(ValueError, match="cannot be read"):
        read_generators(path)


def test_a_graph_that_is_not_the_one_that_was_written_is_refused(tmp_path):
    path = write(tmp_path, {"content": HALVED, "decode": SHOWN})
    (tmp_path / "content.onnx").write_bytes(SHOWN)
    with pytest.raises(ValueError, match=r"content\.onnx is not the graph that model\.json names"):
        read_generators(path)


@pytest.mark.parametrize(
    "name", ["../up.onnx", "/etc/up.onnx", "up.bin", "none.onnx", 3, "\0.onnx"]
)
def test_a_graph_elsewhere_is_refused(tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "up.onnx").write_bytes(SHOWN)
    path = write(folder, {}, graphs={"decode": {"file": name}})
    with pytest.raises(ValueError, match=r"names the graph .*which (is no file|cannot be read)"):
        read_generators(path)


def test_a_file_that_is_no_graph_is_refused_in_one_line(tmp_path):
    path = write(tmp_path, {"decode": b"no graph"})
    with pytest.raises(ValueError, match=r"decode\.onnx: onnxruntime cannot read it: ") as told:
        read_generators(path)
    assert "\n" not in str(told.value)


def test_metadata_of_other_kinds_are_told_apart(tmp_path):
    for text, message in [
        ("{", "broken JSON"),
        ("[" * 100_000, "broken JSON"),
        ("[]", "no export's metadata"),
        ("{}", "describes no ONNX export"),
        ('{"format": "torch"}', "translate with the checkpoint that it was made of"),
        ('{"format": "onnx", "domains": {"a": {}}}', "no domains a and b"),
        ('{"format": "onnx", "domains": {"a": {}, "b": {}}}', "in_channels is None"),
        (" " * (2 << 20), "more than 1 MiB"),
    ]:
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_generators(tmp_path / "model.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [("in_channels", 0), ("multiple", True), ("shortest", 1 << 40), ("style_dim", -1)],
)
def test_sizes_that_cannot_be_are_refused(tmp_path, name, value):
    path = write(tmp_path, {"decode": SHOWN}, **{name: value})
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        read_generators(path)


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    path = write(tmp_path, {"decode": SHOWN})
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"onnxruntime: pip install 'munit-pl\[onnx\]'"):
        read_generators(path)


def test_a_containers_limit_counts_less_the_files_that_may_be_forgotten(tmp_path, monkeypatch):
    for name, text in {
        "memory.max": "1000000",
        "memory.current": "700000",
        "memory.stat": "anon 5\ninactive_file 200000\n",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(onnx_graphs, "_CONTROL_GROUP", tmp_path)
    assert onnx_graphs._free_memory() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert onnx_graphs._free_memory() > 10**6
