"""Names of files as attackers choose them: nothing is written or read where it does not belong."""

import json
import os
import sys
import unicodedata
from importlib.resources import files

import pytest
import torch
from jinja2 import Environment
from PIL import Image

from munit_pl.commands.translate import main as translate
from munit_pl.commands.translating.sources import tell_apart
from munit_pl.data.listing import scan_list
from munit_pl.models.base.description import export_generators
from munit_pl.models.munit.networks import AdaINGenerator

HOSTILE = (
    "-rf.png",
    "--out=elsewhere.png",
    "a\nb.png",
    "tab\there.png",
    "esc\x1b[2J.png",
    "..png",
    "... .png",
    "%2e%2e%2fup.png",
    "..\\up.png",
    "C:\\up.png",
    "$(touch x).png",
    "'; rm x; '.png",
    "<script>alert(1)<\u2044script>.png",
    unicodedata.normalize("NFC", "\u00e9.png"),
    unicodedata.normalize("NFD", "\u00e9.png"),
    "\u202egnp.exe.png",
    "\uff0e\uff0e\uff0fup.png",
    "manifest.jsonl.png",
    "sheet_000.png",
    b"\xff\xfe.png",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    sizes = {"dim": 2, "style_dim": 2, "mlp_dim": 2, "num_downsample": 1, "num_res_blocks": 1}
    torch.manual_seed(0)
    export_generators(path, AdaINGenerator(**sizes), AdaINGenerator(**sizes))
    return path


def tree(folder):
    """Return all files below a folder, with their bytes."""
    found = {}
    for parent, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[path] = file.read()
    return found


def run(*arguments):
    """Run the command; return its exit status, which is a line where it stopped early."""
    try:
        return translate([*map(str, arguments), "--device", "cpu", "--styles", "1"])
    except SystemExit as stopped:
        return stopped.code


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_translations_of_hostile_names_lie_in_the_output_folder(model, tmp_path, capsys):
    inputs, out = tmp_path / "in" / "deep", tmp_path / "out"
    inputs.mkdir(parents=True)
    for i, name in enumerate(HOSTILE):
        place = os.path.join(os.fsencode(inputs), os.fsencode(name))
        with open(place, "xb") as file:
            Image.new("RGB", (32, 32), (i, i, i)).save(file, "PNG")
    before = tree(tmp_path)
    assert run(model, inputs, "--out", out) == 0
    made = tree(tmp_path).keys() - before.keys()
    assert all(path.startswith(os.fsencode(out) + b"/") for path in made)
    assert all(before[path] == tree(tmp_path)[path] for path in before)
    shown = [name for name in HOSTILE if os.fsencode(name)[:1] != b"."]  # hidden ones are not
    manifest = (out / "manifest.jsonl").read_text(encoding="utf-8", errors="surrogateescape")
    assert manifest.count("\n") == len(shown)
    names = [json.loads(line)["output"] for line in manifest.split("\n")[:-1]]
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(shown)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other limits")
def test_names_of_255_bytes_are_cut_and_stay_apart(model, tmp_path, capsys):
    inputs, out = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    for name in ("a.png", "x" * 251 + ".png", "z.png"):
        Image.new("RGB", (32, 32)).save(inputs / name)
    for word in ("x" * 250, "x" * 200 + "y" * 50, "\u65e5" * 83):  # 83 of three bytes each
        Image.new("RGB", (32, 32)).save(inputs / f"{word}.png")
    assert run(model, inputs, "--out", out) == 0
    manifest = (out / "manifest.jsonl").read_text(encoding="utf-8")
    assert len({json.loads(line)["output"] for line in manifest.splitlines()}) == 6


def test_an_input_named_through_its_parents_is_written_below_the_output_folder(model, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "up.png")
    before = tree(tmp_path)
    assert run(model, tmp_path / "in" / ".." / "up.png", "--out", tmp_path / "out") == 0
    made = tree(tmp_path).keys() - before.keys()
    assert made
    assert all(path.startswith(os.fsencode(tmp_path / "out")) for path in made)


def test_a_link_in_the_output_folder_is_replaced_and_not_written_through(model, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "x.png")
    assert run(model, tmp_path / "x.png", "--out", tmp_path / "out") == 0
    picture = next(p for p in (tmp_path / "out").glob("x*.png"))
    precious = tmp_path / "precious"
    precious.write_text("mine")
    picture.unlink()
    picture.symlink_to(precious)
    other = ("--seed", 1, "--overwrite")
    assert run(model, tmp_path / "x.png", "--out", tmp_path / "out", *other) == 0
    assert not picture.is_symlink()
    assert precious.read_text() == "mine"


def test_names_stay_apart_where_case_and_accents_do_not_count():
    from pathlib import PurePath

    names = tell_apart([PurePath(name) for name in ("A.png", "a.png", "e\u0301.png", "\u00e9.png")])
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == 4


@pytest.mark.parametrize(
    "line",
    ["../secret.png", "/etc/hostname", "sub/../../secret.png", "sub/../../in/../secret.png"],
)
def test_a_list_names_nothing_outside_its_folder(line, tmp_path):
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    Image.new("RGB", (8, 8)).save(root / "own.png")
    listed = root / "list.txt"
    listed.write_text(f"own.png\n{line}\n")
    assert os.path.exists(os.path.join(root, line))  # a reader that joins paths would read it
    with pytest.raises(ValueError, match=r"list\.txt.*line 2") as caught:
        scan_list(listed, root)
    assert "\n" not in str(caught.value)


def test_the_page_escapes_whatever_it_is_given():
    """Its texts are tested with a real report; here that no template can opt out."""
    from munit_pl.evaluation.page import _template

    environment = _template().environment
    assert isinstance(environment, Environment)
    assert environment.autoescape is True
    shown = environment.from_string("<td title='{{ name }}'>{{ name }}</td>").render(
        name="<script>'\"&"
    )
    assert shown == "<td title='&lt;script&gt;&#39;&#34;&amp;'>&lt;script&gt;&#39;&#34;&amp;</td>"
    for file in files("munit_pl.evaluation").iterdir():
        if file.name.endswith((".jinja", ".py")):
            text = file.read_text(encoding="utf-8")
            assert "Markup" not in text
            assert "safe }}" not in text
            assert "autoescape false" not in text
