import json
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.commands.translate import main
from munit_pl.data.sizes import ImageSize
from munit_pl.models.base.description import export_generators
from munit_pl.models.munit.networks import AdaINGenerator


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(5):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def start(exported, tmp_path):
    """Start ``munit-translate`` in a process of its own."""

    def started(*arguments, **variables):
        return subprocess.Popen(
            [sys.executable, "-m", "munit_pl.commands.translate", str(exported), *arguments],
            cwd=tmp_path,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


@pytest.mark.process
def test_two_processes_share_the_inputs_and_together_make_what_one_makes(
    start, translated, photos, tmp_path
):
    ranks = [
        start("in", "--styles", "2", "--out", "two", RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK="0")
        for rank in range(2)
    ]
    told = [process.communicate(timeout=200) for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], told
    translated("in", "--styles", 2, "--out", "one")
    made = [
        [json.loads(line)["output"] for line in path.read_text().splitlines()]
        for path in sorted((tmp_path / "two").glob("manifest.?.jsonl"))
    ]
    assert sorted(made[0]) == [f"{i}_s0{k}.png" for i in (0, 2, 4) for k in (0, 1)]
    assert sorted(made[1]) == [f"{i}_s0{k}.png" for i in (1, 3) for k in (0, 1)]
    for name in made[0] + made[1]:
        one, two = (np.asarray(Image.open(tmp_path / out / name)) for out in ("one", "two"))
        assert abs(one.astype(int) - two).max() <= 1
    sheets = sorted(path.name for path in (tmp_path / "two").glob("sheet_*"))
    assert sheets == ["sheet_r0_0001.png", "sheet_r1_0001.png"]
    assert told[1][0].startswith("rank 1 of 2: 4 images written to two")
    assert translated("in", "--styles", 2, "--out", "two") == 0  # another number of processes
    assert not (tmp_path / "two/manifest.jsonl").exists()


@pytest.mark.process
def test_a_user_who_stops_it_sees_no_traceback_and_whole_files(start, photos, tmp_path):
    # What a shell starts in the background ignores the signal, and so would a child of it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start("in", "--styles", "1000")
    signal.signal(signal.SIGINT, before)
    folder = tmp_path / "translations"
    while not (folder / "manifest.jsonl").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=100)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert not list(folder.glob(".*"))
    made = list(folder.glob("*.png"))
    assert 0 < len(made) < 5000
    for path in made:
        Image.open(path).load()


def test_the_status_and_the_summary_tell_how_it_went(translated, photos, capsys):
    (photos / "cut.png").write_bytes((photos / "0.png").read_bytes()[:200])
    assert translated("in", "--styles", 1) == 1
    out, told = capsys.readouterr()
    assert out.startswith("5 images written to translations, ")
    assert out.endswith(" images/s; contact sheet translations/sheet_0001.png\n")
    assert [line.split(": ")[0] for line in told.splitlines()] == ["munit-translate"] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "munit-translate: there is no file or folder none"),
        (["empty"], "munit-translate: there is no image and no video in empty"),
        (["in", "--device", "abacus"], "munit-translate: there is no device 'abacus' here"),
        (["in", "--out", "in/0.png/x"], "munit-translate: .* Not a directory: 'in/0.png/x'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(translated, photos, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match=message) as stopped:
        translated(*arguments)
    assert len(stopped.value.code.splitlines()) == 1


@pytest.mark.parametrize(
    ("asked", "size", "told"),
    [
        ([], (24, 24), "resized to a shortest side of 24 pixels, as in training"),
        (["--resize", "24"], (24, 24), ""),
        (["--resize", "24x32"], (24, 32), ""),
        (["--resize", "32"], (32, 32), "--resize 32: this model was trained on images of a short"),
        (["--resize", "none"], (16, 16), "--resize none: this model was trained on images of a"),
    ],
)
def test_images_are_resized_as_in_training_unless_asked_otherwise(
    photos, monkeypatch, tmp_path, capsys, asked, size, told
):
    gens = [AdaINGenerator(dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    for gen in gens:
        gen.image_size = ImageSize(24, (20, 16))
    export_generators(tmp_path / "m.safetensors", *gens)
    monkeypatch.chdir(tmp_path)
    assert main(["m.safetensors", "in/0.png", "--styles", "1", *asked]) == 0
    assert Image.open("translations/0_s00.png").size == size[::-1]
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == bool(told)


def test_inputs_are_looked_for_before_the_model_is_read(photos, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="there is no file or folder nothing"):
        main(["none.ckpt", "nothing"])
    with pytest.raises(SystemExit, match=r"there is no checkpoint none\.ckpt"):
        main(["none.ckpt", "in"])
    (tmp_path / "text.ckpt").write_text("text")
    with pytest.raises(SystemExit, match=r"munit-translate: .*text\.ckpt"):
        main(["text.ckpt", "in"])


def test_without_pyav_a_video_is_told_before_the_model_is_read(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "clip.mp4").write_bytes(b"")
    with pytest.raises(SystemExit, match=r"pip install 'munit-pl\[video\]'"):
        main(["none.ckpt", str(tmp_path / "clip.mp4")])


def test_four_channels_are_no_jpg(photos, monkeypatch, tmp_path):
    gens = [AdaINGenerator(4, dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    export_generators(tmp_path / "rgba.safetensors", *gens)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="an alpha channel, which jpg does not hold"):
        main(["rgba.safetensors", "in", "--format", "jpg"])
    for kind in ("png", "webp"):
        assert main(["rgba.safetensors", "in", "--styles", "1", "--format", kind]) == 0
        assert Image.open(f"translations/0_s00.{kind}").mode == "RGBA"


def test_too_little_memory_is_told_with_what_helps(translated, photos, monkeypatch):
    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("munit_pl.inference.translator.Translator.translate", fail)
    with pytest.raises(SystemExit, match="too little memory: lower --batch-size, or give --tile"):
        translated("in")


@pytest.mark.parametrize(
    ("asked", "used"), [([], "cuda:3"), (["--device", "cuda"], "cuda:3"), (["--device", "x"], "x")]
)
def test_each_process_of_a_machine_has_a_gpu_of_its_own(
    translated, photos, monkeypatch, asked, used
):
    class Loaded(Exception):
        pass

    def load(*_, device, **__):
        raise Loaded(device)

    monkeypatch.setattr("munit_pl.commands.translate.Translator.load", load)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    for name, value in (("RANK", "7"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "3")):
        monkeypatch.setenv(name, value)
    with pytest.raises(Loaded, match=f"^{used}$"):
        translated("in", *asked)


# The page


def test_the_page_shows_all_inputs_and_outputs_and_the_examples(translated, photos, tmp_path):
    (photos / "4.png").rename(photos / "<4> & 50%.png")
    assert translated("in", "--like", "in/0.png", "in/1.png", "--page", "--out", "out") == 0
    page = (tmp_path / "out/index.html").read_text()
    shown, links = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            values = dict(attrs)
            shown.extend([values["src"]] if tag == "img" else [])
            links.extend([values["href"]] if tag == "a" else [])

    Reader().feed(page)
    outputs = [address for address in shown if not address.startswith("data:image/jpeg;base64,")]
    assert outputs == links
    assert {unquote(address) for address in outputs} == {
        path.name for path in (tmp_path / "out").glob("*_*.png") if "sheet" not in path.name
    }
    assert len(shown) == 2 + 5 + 5 * 2
    assert "&lt;4&gt; &amp; 50%" in page
    assert "<4>" not in page


def test_a_page_of_inputs_that_cannot_be_read_names_them_all_the_same(translated, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"hello")
    assert translated("bad.png", "--page", "--out", "out") == 1
    assert "<th>bad</th>" in (tmp_path / "out/index.html").read_text()


def test_a_page_of_something_else_is_not_replaced(translated, photos, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/index.html").write_text("a run's page")
    with pytest.raises(SystemExit, match=r"index\.html is not of munit-translate"):
        translated("in", "--styles", "1", "--page", "--out", "out")
    assert (tmp_path / "out/index.html").read_text() == "a run's page"
    (tmp_path / "out/index.html").unlink()
    for _ in range(2):
        assert translated("in", "--styles", "1", "--page", "--out", "out") == 0
