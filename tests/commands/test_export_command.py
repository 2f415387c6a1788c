import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from PIL import Image

from munit_pl import Translator
from munit_pl.commands import export as command
from munit_pl.commands.export import main as export
from munit_pl.commands.translate import main as translate
from munit_pl.export import programs
from munit_pl.inference.generator_loading import read_generators


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    export([str(argument) for argument in arguments])


def refused(*arguments):
    """Return the one line that ``munit-export`` ends with."""
    with pytest.raises(SystemExit) as told:
        run(*arguments)
    assert isinstance(told.value.code, str)
    assert "\n" not in told.value.code
    return told.value.code


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_what_munit_translate_takes(exported, here, capsys):
    run(exported, "shared", "--data", "cats and dogs", "--license", "mit")
    assert capsys.readouterr().out == "written to shared\n"
    assert left(here) == ["shared"]
    assert left(here / "shared") == ["README.md", "config.json", "model.safetensors"]
    card = (here / "shared/README.md").read_text()
    assert "Trained on: cats and dogs." in card
    assert 'license: "mit"' in card
    Image.new("RGB", (16, 16)).save("photo.png")
    assert translate(["shared", "photo.png", "--styles", "1"]) == 0
    assert (here / "translations/photo_s00.png").is_file()
    x, z = torch.rand(1, 3, 16, 16), torch.randn(1, 8)
    ours, theirs = (Translator.load(p, device="cpu") for p in ("shared", exported))
    assert torch.equal(ours.translate(x, z), theirs.translate(x, z))


def test_the_license_of_a_model_that_comes_along_is_told(here):
    run("drawn-shoes", "shoes")
    assert 'license: "apache-2.0"' in (here / "shoes/README.md").read_text()


def test_one_file_in_half_precision_is_of_half_the_bytes(exported, here):
    run(exported, "small.safetensors", "--half")
    assert left(here) == ["small.safetensors"]
    ours, theirs = (
        read_generators(path)[1].state_dict() for path in ("small.safetensors", exported)
    )
    assert all(torch.equal(w, theirs[name].half().float()) for name, w in ours.items())


def test_the_model_of_the_package_translates_by_its_name(here):
    Image.new("RGB", (16, 16)).save("photo.png")
    assert translate(["drawn-shoes", "photo.png", "--styles", "1"]) == 0
    (line,) = (here / "translations/manifest.jsonl").read_text().splitlines()
    assert len(json.loads(line)["checkpoint"]) == 64


def test_what_cannot_be_asked_for_is_told_in_one_line(exported, here, tmp_path):
    (here / "text.ckpt").write_text("no model")
    (here / "file").touch()
    (here / "folder").mkdir()
    assert "there is no checkpoint none.ckpt" in refused("none.ckpt", "x")
    assert "text.ckpt is no checkpoint" in refused("text.ckpt", "x")
    assert "folder is there already: give another name" in refused(exported, "folder")
    assert "file is there already" in refused(exported, "file")
    assert "nothing can be written to file/x: file is a file" in refused(exported, "file/x")
    assert "file/x/y: Not a directory" in refused(exported, "file/x/y")
    assert left(here) == ["file", "folder", "text.ckpt"]


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_without_the_extra_it_is_named(exported, here, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    told = refused(exported, "x", "--format", "onnx")
    assert told == f"munit-export: ONNX needs {package}: pip install 'munit-pl[onnx]'"
    assert left(here) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["x", "--format", "onnx", "--half"],
        ["x", "--format", "torch", "--license", "mit"],
        ["x.safetensors", "--format", "torch"],
        ["x.safetensors", "--data", "cats"],
        ["x", "--format", "tflite"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(exported, here, arguments):
    with pytest.raises(SystemExit) as told:
        run(exported, *arguments)
    assert told.value.code == 2
    assert left(here) == []


def test_a_graph_that_differs_leaves_nothing_behind(exported, here, monkeypatch):
    monkeypatch.setattr(programs, "TOLERANCE", -1.0)
    monkeypatch.setattr(programs, "_write_torch", lambda graph, path: path.touch())
    monkeypatch.setattr(programs, "_load", lambda path, form: lambda *inputs: torch.zeros(1))
    assert "content_a gives (1,), not" in refused(exported, "x", "--format", "torch")
    assert left(here) == []


@pytest.mark.slow
def test_programs_of_torch_translate_as_the_networks(exported, here, capsys):
    run(exported, "graphs", "--format", "torch")
    assert "decode_b.pt2: differs from the networks by" in capsys.readouterr().out
    content, decode = (
        torch.export.load(here / f"graphs/{name}.pt2").module()
        for name in ("content_a", "decode_b")
    )
    x, z = torch.rand(3, 3, 36, 64) * 2 - 1, torch.randn(3, 8)
    expected = Translator.load(exported, device="cpu").translate(x, z[:, None])[:, 0]
    with torch.no_grad():
        torch.testing.assert_close(decode(content(x), z), expected, atol=1e-4, rtol=0)
    Image.new("RGB", (32, 32)).save("photo.png")
    with pytest.raises(SystemExit, match="translate with the checkpoint that it was made of"):
        translate(["graphs", "photo.png"])


@pytest.mark.slow
def test_an_onnx_export_is_what_munit_translate_takes(exported, here):
    pytest.importorskip("onnxscript", reason="the extra onnx writes ONNX")
    pytest.importorskip("onnxruntime", reason="the extra onnx runs ONNX")
    run(exported, "graphs", "--format", "onnx")
    Image.effect_mandelbrot((40, 33), (-2, -1, 1, 1), 50).convert("RGB").save("photo.png")
    for model, out in (("graphs/model.json", "one"), (str(exported), "other")):
        assert translate([model, "photo.png", "--styles", "2", "--out", out]) == 0
    ours, theirs = (
        Image.open(here / out / "photo_s01.png").convert("RGB").tobytes()
        for out in ("one", "other")
    )
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= 1
    assert "is an export already" in refused("graphs", "again")


WITHOUT = """
import sys
for name in ("huggingface_hub", "onnx", "onnxscript", "onnxruntime"):
    sys.modules[name] = None
import munit_pl, munit_pl.commands.export
print(munit_pl.Translator.pretrained("drawn-shoes", device="cpu").style_dim("b"))
"""


@pytest.mark.process
@pytest.mark.slow
def test_all_else_works_without_the_extras():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=200, check=False
    )
    assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr


def test_an_interrupted_export_leaves_nothing(exported, here, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    def terminate():
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    (here / "kept").mkdir()
    for stop, status in ((interrupt, 130), (terminate, 143)):
        monkeypatch.setattr(
            command, "write_folder", lambda folder, *_, s=stop: ((folder / "half").touch(), s())
        )
        for out in ("shared", "kept/shared", "new/folders/shared"):
            with pytest.raises(SystemExit) as ended:
                run(exported, out)
            assert ended.value.code == status
            assert [str(path.relative_to(here)) for path in here.rglob("*")] == ["kept"]
    assert signal.getsignal(signal.SIGTERM) == before
