import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.commands.translating.outputs import Outputs
from munit_pl.commands.translating.sources import Source
from munit_pl.data.images.reading import read_image, resize_image
from munit_pl.data.images.tensors import to_uint8
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator


class Mirror:
    """Stands in for a model: every translation of an image is the image."""

    precision, precision_reason = "fp32", ""
    resize = image_size = None

    def channels(self, domain):
        return 3

    def check_target(self, domain):
        pass

    def max_value(self, domain):
        return 4095

    def picture(self, image, domain, size):
        return resize_image(read_image(image, 3, max_value=4095), size)

    def style_dim(self, domain):
        return 8

    def translate(self, x, styles, to):
        return x[:, None].expand(-1, styles.shape[1], -1, -1, -1)


@pytest.fixture
def photo(tmp_path):
    """Save a picture of random colors below ``tmp_path``."""
    rng = np.random.default_rng(0)

    def save(name, height=16, width=20, mode="RGB"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(path)
        return path

    return save


def outputs(folder="translations", kind="png"):
    """Return the names of all translations."""
    paths = folder.rglob(f"*_*.{kind}")
    names = (path.relative_to(folder).as_posix() for path in paths)
    return sorted(name for name in names if not name.startswith("sheet_"))


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def lines(folder):
    told = (folder / "manifest.jsonl").read_text().splitlines()
    return {line["output"]: line for line in map(json.loads, told)}


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def test_the_tree_is_kept_and_names_are_told_apart(translated, photo, tmp_path):
    for name in ("u/x.png", "u/x.jpg", "u/v/x.png", "y.png"):
        photo(f"in/{name}")
    assert translated("in", "--styles", 2) == 0
    names = ["u/v/x", "u/x.jpg", "u/x.png", "y"]
    assert outputs(tmp_path / "translations") == [f"{n}_s0{i}.png" for n in names for i in (0, 1)]


def test_outputs_are_the_translators_in_the_styles_that_the_manifest_tells(
    translated, photo, exported, tmp_path
):
    path = photo("x.png", 17, 21)
    translated("x.png", "--styles", 2, "--seed", 7, "--to", "a")
    model = Translator.load(exported, device="cpu")
    expected = model.translate(model.read(path, "b"), random_styles(2, 8, 7), "a")
    told = lines(tmp_path / "translations")
    for i, image in enumerate(to_uint8(expected[0])):
        name = f"x_s0{i}.png"
        assert (
            abs(pixels(tmp_path / "translations" / name) - image.permute(1, 2, 0).numpy()).max()
            <= 1
        )
        assert torch.equal(torch.tensor(told[name]["style"]), random_styles(2, 8, 7)[i])
        assert told[name]["direction"] == "b2a"
        assert told[name]["input"] == str(path)
        assert told[name]["size"] == [17, 21]
        assert told[name]["how"] == {"random": i, "seed": 7}
        assert told[name]["seed"] == 7
        assert told[name]["precision"] == "fp32"
        assert len(told[name]["checkpoint"]) == 64


def test_sizes_and_colors_come_out_as_they_went_in(translated, photo, tmp_path, monkeypatch):
    monkeypatch.setattr(Translator, "load", lambda *_, **__: Mirror())
    path = photo("x.png", 250, 333)
    Image.new("RGB", (20, 20), (128, 127, 129)).save(tmp_path / "gray.png")
    Image.new("I;16", (20, 20), 2048).save(tmp_path / "deep.png")
    translated("x.png", "gray.png", "deep.png", "--styles", 1)
    assert Image.open(tmp_path / "translations/deep_s00.png").getpixel((9, 9)) == (128, 128, 128)
    assert np.array_equal(pixels(tmp_path / "translations/x_s00.png"), pixels(path))
    assert Image.open(tmp_path / "translations/gray_s00.png").getpixel((9, 9)) == (128, 127, 129)


@pytest.mark.parametrize(("kind", "name"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_other_formats_are_of_high_quality(translated, tmp_path, monkeypatch, kind, name):
    monkeypatch.setattr(Translator, "load", lambda *_, **__: Mirror())
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "x.png")
    translated("x.png", "--styles", 1, "--format", kind)
    made = tmp_path / f"translations/x_s00.{kind}"
    assert Image.open(made).format == name
    assert abs(pixels(made) - pixels(tmp_path / "x.png")).mean() < 2
    translated("x.png", "--styles", 1, "--format", kind, "--quality", 5, "--out", "low")
    assert (tmp_path / f"low/x_s00.{kind}").stat().st_size < made.stat().st_size


@pytest.mark.parametrize(("resize", "size"), [("16", (16, 21)), ("18x30", (18, 30))])
def test_inputs_are_resized(translated, photo, tmp_path, resize, size):
    photo("x.png", 30, 40)
    translated("x.png", "--styles", 1, "--resize", resize)
    assert Image.open(tmp_path / "translations/x_s00.png").size == size[::-1]
    (line,) = lines(tmp_path / "translations").values()
    assert line["size"] == list(size)


def test_a_second_run_writes_nothing(translated, photo, tmp_path, capsys):
    for name in ("x.png", "u/y.png"):
        photo(f"in/{name}")
    arguments = ["in", "--styles", 3, "--animate", "gif"]
    translated(*arguments)
    before = times(tmp_path)
    assert len(before) == 2 + 6 + 2 + 1 + 1  # inputs, outputs, animations, sheet, manifest
    capsys.readouterr()
    assert translated(*arguments) == 0
    assert times(tmp_path) == before
    assert "0 images written to translations (6 were there already)" in capsys.readouterr().out


def test_what_is_missing_is_made_again_and_nothing_else(translated, photo, tmp_path):
    for name in ("x", "y", "z"):
        photo(f"in/{name}.png")
    arguments = ["in", "--styles", 3, "--animate", "webp"]
    translated(*arguments)
    before, sheet = times(tmp_path), (tmp_path / "translations/sheet_0001.png").read_bytes()
    gone = [tmp_path / "translations" / name for name in ("y_s01.png", "z_animation.webp")]
    content = [path.read_bytes() for path in gone]
    for path in gone:
        path.unlink()
    translated(*arguments)
    after = times(tmp_path)
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {*gone, tmp_path / "translations/manifest.jsonl"}
    assert [path.read_bytes() for path in gone] == content
    (tmp_path / "translations/sheet_0001.png").unlink()
    translated(*arguments)
    assert (tmp_path / "translations/sheet_0001.png").read_bytes() == sheet


@pytest.mark.parametrize(
    "changed",
    [["--seed", 1], ["--set", "0=1"], ["--resize", 32], ["--precision", "bf16"], ["--fresh"]],
)
def test_other_settings_are_refused_before_anything_is_made(translated, photo, tmp_path, changed):
    photo("y.png")
    translated("y.png", "--styles", 1)
    photo("x.png")
    before = times(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        translated("x.png", "y.png", "--styles", 1, *changed)
    assert "y_s00.png is of other settings, or its input has changed" in stopped.value.code
    assert "--overwrite" in stopped.value.code
    assert len(stopped.value.code.splitlines()) == 1
    assert times(tmp_path) == before
    assert translated("x.png", "y.png", "--styles", 1, *changed, "--overwrite") == 0
    assert times(tmp_path)[tmp_path / "translations/y_s00.png"] > max(before.values())


def test_a_changed_input_is_another_setting(translated, photo):
    photo("x.png")
    translated("x.png", "--styles", 1)
    photo("x.png", 18, 18)
    with pytest.raises(SystemExit, match="its input has changed"):
        translated("x.png", "--styles", 1)


def test_an_unreadable_input_is_told_and_the_rest_is_done(translated, photo, tmp_path, capsys):
    photo("in/x.png")
    photo("in/z.png")
    whole = photo("in/cut.png").read_bytes()
    (tmp_path / "in/cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (1, 1)).save(tmp_path / "in/one.png")
    (tmp_path / "text.png").write_text("text")
    assert translated("in", "text.png", "--styles", 1) == 1
    assert outputs(tmp_path / "translations") == ["in/x_s00.png", "in/z_s00.png"]
    told = capsys.readouterr().err.splitlines()
    *causes, count = [line for line in told if line.startswith("munit-translate: ")]
    assert count == "munit-translate: 3 of 5 inputs could not be translated"
    for name, cause in (
        ("cut.png", "cannot read image"),
        ("text.png", "its header is of none of"),
        ("one.png", "an image of 1x1 is too small for this model"),
    ):
        assert sum(name in told and cause in told for told in causes) == 1


def test_a_gray_image_and_one_with_alpha_pass_an_rgb_model(translated, photo, tmp_path):
    photo("x.png", mode="L")
    photo("y.png", mode="RGBA")
    assert translated("x.png", "y.png", "--styles", 1) == 0
    assert len(outputs(tmp_path / "translations")) == 2


def test_fresh_styles_are_the_inputs_own_whatever_their_order(translated, photo, tmp_path):
    for name in ("x", "u/y"):
        photo(f"in/{name}.png")
    translated("in/x.png", "in/u/y.png", "--fresh", "--styles", 2, "--out", "1")
    translated("in/u/y.png", "in/x.png", "--fresh", "--styles", 2, "--out", "2")
    first, second = lines(tmp_path / "1"), lines(tmp_path / "2")
    styles = {name: line["style"] for name, line in first.items()}
    assert styles == {name: line["style"] for name, line in second.items()}
    assert len(set(map(tuple, styles.values()))) == 4


def test_each_input_is_looked_up_once_and_read_once(translated, photo, tmp_path, monkeypatch):
    read, looked_up = [], []
    picture, is_done, stamp = Translator.picture, Outputs.is_done, Source.stamp
    monkeypatch.setattr(
        Translator, "picture", lambda self, path, *of: read.append(path) or picture(self, path, *of)
    )
    monkeypatch.setattr(
        Outputs,
        "is_done",
        lambda self, name, with_: looked_up.append(name) or is_done(self, name, with_),
    )
    monkeypatch.setattr(Source, "stamp", lambda self: looked_up.append(self.name) or stamp(self))
    inputs = [photo(f"in/{name}.png") for name in ("x", "y")]
    for _ in range(2):
        looked_up.clear()
        translated("in", "in/x.png", "--styles", 2, "--animate", "gif")
        names = [
            f"{name}{end}"
            for name in ("x", "y")
            for end in ("", "_s00.png", "_s01.png", "_animation.gif")
        ]
        assert sorted(looked_up) == sorted(names)
    assert read == inputs


def test_inputs_of_one_size_are_translated_together(translated, photo, monkeypatch):
    batches = []

    class Watched(Mirror):
        def translate(self, x, styles, to):
            batches.append((*x.shape[2:], len(x)))
            return super().translate(x, styles, to)

    monkeypatch.setattr(Translator, "load", lambda *_, **__: Watched())
    for i, size in enumerate([16, 16, 16, 17, 16, 16]):
        photo(f"in/{i}.png", size, 16)
    translated("in", "--styles", 2, "--batch-size", 2)
    assert batches == [(16, 16, 2), (16, 16, 1), (17, 16, 1), (16, 16, 2)]
    monkeypatch.setattr(
        "munit_pl.commands.translating.batches._HELD", 2 * 3 * 16 * 16 * 4
    )  # an input's outputs
    batches.clear()
    translated("in", "--styles", 2, "--out", "again")
    assert [n for *_, n in batches] == [1] * 6


def test_an_animation_shows_the_styles_in_order(translated, photo, tmp_path):
    photo("x.png", 17, 21)
    translated("x.png", "--styles", 2, "--interpolate", 4, "--animate", "webp", "--fps", 4)
    names = [f"x_arc00-00{i}.png" for i in range(4)]
    assert outputs(tmp_path / "translations") == names
    with Image.open(tmp_path / "translations/x_animation.webp") as animation:
        assert animation.n_frames == 4
        for i, name in enumerate(names):
            animation.seek(i)
            shown = np.asarray(animation.convert("RGB")).astype(int)
            assert np.array_equal(shown, pixels(tmp_path / "translations" / name))
            assert animation.info["duration"] == 250
    first, last = (lines(tmp_path / "translations")[names[i]] for i in (0, -1))
    assert torch.equal(torch.tensor([first["style"], last["style"]]), random_styles(2, 8, 0))


def test_one_picture_is_not_animated(translated, photo, tmp_path):
    photo("x.png")
    translated("x.png", "--styles", 1, "--animate", "webp")
    assert not list(tmp_path.rglob("*animation*"))


def test_a_page_for_every_sixteen_inputs(translated, photo, tmp_path, capsys):
    for i in range(18):
        photo(f"in/{i:02}.png", 16, 20)
    translated("in", "--styles", 14)
    first, second = sorted((tmp_path / "translations").glob("sheet_*.png"))
    assert "contact sheet translations/sheet_0001.png to sheet_0002.png" in capsys.readouterr().out
    row = 16 + 14 + 6
    assert Image.open(first).size == (6 + 13 * (20 + 6), 6 + 16 * row)
    assert Image.open(second).size == (6 + 13 * (20 + 6), 6 + 2 * row)
    shown = pixels(second)[6 : 6 + 16]
    assert np.array_equal(shown[:, 6:26], pixels(tmp_path / "in/16.png"))
    for column, style in ((1, "s00"), (12, "s13")):
        left = 6 + column * 26
        output = pixels(tmp_path / f"translations/16_{style}.png")
        assert np.array_equal(shown[:, left : left + 20], output)
    translated("in/00.png")  # beside what it translated, a sheet of others would mislead
    assert [*(tmp_path / "translations").glob("sheet_*.png")] == [first]


def test_a_run_that_is_stopped_leaves_whole_files_that_the_next_knows(
    translated, photo, tmp_path, monkeypatch
):
    for i in range(3):
        photo(f"in/{i}.png")
    saved = itertools.count()
    save = Image.Image.save

    def breaking(self, path, **options):
        if next(saved) == 3:
            path.write_bytes(b"half a picture")
            raise KeyboardInterrupt
        save(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", breaking)
    assert translated("in", "--styles", 2, "--batch-size", 1) == 130
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    files = [path for path in (tmp_path / "translations").rglob("*") if path.suffix == ".png"]
    assert len(files) == 3
    for path in files:
        Image.open(path).load()
    before = times(tmp_path / "translations")
    assert translated("in", "--styles", 2) == 0
    assert len(outputs(tmp_path / "translations")) == 6
    assert {path: times(tmp_path)[path] for path in files} == {path: before[path] for path in files}
