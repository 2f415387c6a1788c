"""Graphs are slow to make, so most of this is; reading them is tested beside the formats."""

import json

import pytest
import torch

from munit_pl import Translator, random_styles
from munit_pl.export.graphs import content_factor, graphs_of, min_size
from munit_pl.export.programs import TOLERANCE, ExportError, check, export_graphs
from munit_pl.inference.onnx import OnnxGraph
from munit_pl.layers.initialization import initialize
from munit_pl.models.munit.networks import AdaINGenerator


@pytest.fixture
def gens():
    made = tuple(
        AdaINGenerator(channels, dim=4, mlp_dim=8, num_res_blocks=1, whiten_styles=True).eval()
        for channels in (3, 1)
    )
    for gen in made:
        initialize(gen, "kaiming")
        gen.track_styles(torch.randn(4, 8) * 9)
    return made


def names(gens):
    return [graph.name for graph in graphs_of(*gens)]


def test_each_domain_has_the_graphs_that_its_method_has(gens, method):
    module = method.make().eval()
    parts = {"decode"}
    parts |= {"style"} if "examples" in method.has else set()
    parts |= {"content"} if "content" in method.has else set()
    expected = {f"{part}_{domain}" for part in parts for domain in "ab"}
    assert set(names((module.gen_a, module.gen_b))) == expected


def test_a_decoder_reads_the_other_domains_contents_in_its_own_styles(gens):
    graph = next(graph for graph in graphs_of(*gens) if graph.name == "decode_b")
    content, style = graph.inputs
    assert content.shape == (2, 16, 8, 12)  # of images of 32x48, a quarter of them
    assert style.shape == (2, 8)
    assert graph.network(content, style).shape == (2, 1, 32, 48)
    assert (content_factor(gens[0]), min_size(gens[0])) == (4, 32)


class Off(torch.nn.Module):
    """A network that comes out larger by a share of itself."""

    def __init__(self, network, share):
        super().__init__()
        self.network, self.share = network, share

    def forward(self, *inputs):
        return self.network(*inputs) * (1 + self.share)


def test_a_graph_that_computes_something_else_is_refused(gens):
    by_domain = dict(zip("ab", gens, strict=True))
    for graph in graphs_of(*gens):
        assert check(graph, Off(graph.network, 0), by_domain) == 0
        assert 0 < check(graph, Off(graph.network, TOLERANCE / 10), by_domain) < TOLERANCE
    with pytest.raises(ExportError, match=r"decode_b differs from the networks by 1\.\de-03"):
        check(graph, Off(graph.network, 1e-3 * 1.5), by_domain)
    with pytest.raises(ExportError, match="differs from the networks by nan"):
        check(graph, Off(graph.network, torch.nan), by_domain)
    with pytest.raises(ExportError, match=r"decode_b gives \(1, 1, 63, 32\), not \(1, 1, 64, 32\)"):
        check(graph, lambda *inputs: graph.network(*inputs)[:, :, 1:], by_domain)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["torch", "onnx"])
def test_graphs_of_every_method_are_written_and_agree(method, form, tmp_path):
    if form == "onnx":
        pytest.importorskip("onnxscript", reason="the extra onnx writes ONNX")
        pytest.importorskip("onnxruntime", reason="the extra onnx runs ONNX")
    module = method.make().eval()
    told = []
    export_graphs(tmp_path, module.gen_a, module.gen_b, form, told.append)
    expected = names((module.gen_a, module.gen_b))
    suffix = {"torch": ".pt2", "onnx": ".onnx"}[form]
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.json",
        *(f"{name}{suffix}" for name in expected),
    }
    assert [line.split(".")[0] for line in told] == expected
    metadata = json.loads((tmp_path / "model.json").read_text())
    assert metadata["format"] == form
    assert metadata["domains"]["b"]["style_dim"] == module.gen_b.style_dim


@pytest.mark.slow
def test_a_translator_of_an_onnx_export_translates_as_the_networks(gens, tmp_path):
    pytest.importorskip("onnxscript", reason="the extra onnx writes ONNX")
    pytest.importorskip("onnxruntime", reason="the extra onnx runs ONNX")
    export_graphs(tmp_path, *gens, "onnx")
    metadata = json.loads((tmp_path / "model.json").read_text())
    graphs = metadata["domains"]["b"]["graphs"]
    assert {part: graph["output"] for part, graph in graphs.items()} == {
        "content": "content",
        "style": "style",
        "decode": "images",
    }
    session = OnnxGraph((tmp_path / "decode_b.onnx").read_bytes()).session
    ends = {end.name: end.shape for end in (*session.get_inputs(), *session.get_outputs())}
    assert ends == {
        "content": ["batch", 16, "height/4", "width/4"],
        "style": ["batch", 8],
        "images": ["batch", 1, "height", "width"],
    }
    exported, networks = Translator.load(tmp_path), Translator(*gens, device="cpu")
    for n, height, width, k in ((1, 32, 32, 1), (3, 45, 70, 2)):  # sides of any length
        x = torch.rand(n, 3, height, width) * 2 - 1
        z = random_styles(k, 8, seed=1)
        shown = exported.translate(x, z)
        assert shown.shape == (n, k, 1, height, width)
        torch.testing.assert_close(shown, networks.translate(x, z), atol=1e-4, rtol=0)
    y = torch.rand(2, 1, 36, 40) * 2 - 1
    torch.testing.assert_close(
        exported.reconstruct(y, "b"), networks.reconstruct(y, "b"), atol=1e-4, rtol=0
    )
    with pytest.raises(ValueError, match="at least 32 pixels"):
        exported.translate(x[:, :, :31], z)
