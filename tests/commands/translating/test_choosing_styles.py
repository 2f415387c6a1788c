import json

import numpy as np
import pytest
import torch
from PIL import Image

from munit_pl.commands.translate import main
from munit_pl.data.images.tensors import to_uint8
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.models.base.description import export_generators


@pytest.fixture
def model(exported):
    return Translator.load(exported, device="cpu")


@pytest.fixture
def shoes(tmp_path):
    """An input and two examples, of random colors."""
    rng = np.random.default_rng(0)
    (tmp_path / "shoes").mkdir()
    for name in ("x.png", "shoes/red.png", "shoes/blue.png"):
        pixels = rng.integers(0, 256, (16, 20, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


def styles(folder):
    """Return each output's style, in the order of their names, and the outputs' pixels."""
    told = map(json.loads, (folder / "translations/manifest.jsonl").read_text().splitlines())
    told = {line["output"]: line["style"] for line in told}
    names = sorted(told)
    pixels = [np.asarray(Image.open(folder / "translations" / name)) for name in names]
    return names, torch.tensor([told[name] for name in names]), np.stack(pixels).astype(int)


def assert_shown(pixels, images):
    assert abs(pixels - to_uint8(images).permute(0, 2, 3, 1).numpy()).max() <= 1


def example_styles(model, folder):
    examples = [model.read(folder / f"shoes/{name}.png", "b") for name in ("blue", "red")]
    return model.encode_style(torch.cat(examples), "b")


def test_each_example_gives_one_output_in_its_style(translated, model, shoes):
    translated("x.png", "--like", "shoes")
    names, told, pixels = styles(shoes)
    assert names == ["x_like-blue.png", "x_like-red.png"]
    torch.testing.assert_close(told, example_styles(model, shoes))
    assert_shown(pixels, model.translate(model.read("x.png", "a"), told)[0])


def test_the_mean_of_examples_gives_one_output(translated, model, shoes):
    translated("x.png", "--like", "shoes/red.png", "shoes/blue.png", "--mean")
    names, told, _ = styles(shoes)
    assert names == ["x_mean.png"]
    torch.testing.assert_close(told, example_styles(model, shoes).mean(0, keepdim=True))


def test_inputs_are_reconstructed_in_their_own_styles(translated, model, shoes):
    translated("x.png", "shoes/red.png", "--reconstruct", "--to", "b")
    names, told, pixels = styles(shoes)
    assert names == ["shoes/red_reconstruction.png", "x_reconstruction.png"]
    x = torch.cat([model.read(path, "b") for path in ("shoes/red.png", "x.png")])
    torch.testing.assert_close(told, model.encode_style(x, "b"))
    assert_shown(pixels, model.reconstruct(x, "b"))
    line = json.loads((shoes / "translations/manifest.jsonl").read_text().splitlines()[0])
    assert line["direction"] == "b2b"


def test_the_way_goes_from_one_example_to_the_other(translated, model, shoes):
    translated("x.png", "--like", "shoes", "--interpolate", 3)
    names, told, _ = styles(shoes)
    assert names == [f"x_arc00-00{i}.png" for i in range(3)]
    torch.testing.assert_close(told[[0, 2]], example_styles(model, shoes))


def test_dimensions_are_set_and_swept(translated, shoes):
    translated("x.png", "--styles", 2, "--set", "1=2.5", "--sweep", "0=-3:3:3")
    names, told, _ = styles(shoes)
    assert names == [f"x_s0{k}-d0-0{i}.png" for k in range(2) for i in range(3)]
    expected = random_styles(2, 8, 0).repeat_interleave(3, 0)
    expected[:, 0] = torch.tensor([-3.0, 0.0, 3.0]).repeat(2)
    expected[:, 1] = 2.5
    assert torch.equal(told, expected)


def test_what_is_set_holds_on_the_way_too(translated, shoes):
    translated("x.png", "--styles", 2, "--interpolate", 3, "--set", "1=2.5")
    assert styles(shoes)[1][:, 1].tolist() == [2.5] * 3


def test_examples_stand_above_their_columns_on_the_sheet(translated, shoes):
    translated("x.png", "--like", "shoes")
    sheet = np.asarray(Image.open(shoes / "translations/sheet_0001.png"))
    assert sheet.shape[:2] == (6 + 2 * (16 + 14 + 6), 6 + 3 * (20 + 6))
    for column, name in ((1, "blue"), (2, "red")):
        left = 6 + column * 26
        above = np.asarray(Image.open(shoes / f"shoes/{name}.png"))
        below = np.asarray(Image.open(shoes / f"translations/x_like-{name}.png"))
        assert np.array_equal(sheet[6:22, left : left + 20], above)
        assert np.array_equal(sheet[42:58, left : left + 20], below)


def test_of_many_examples_those_that_a_sheet_shows_stand_above_their_columns(translated, shoes):
    for i in range(14):
        Image.new("RGB", (20, 20), (18 * i, 0, 0)).save(f"shoes/{i:02d}.png")
    for name in ("red", "blue"):
        (shoes / f"shoes/{name}.png").unlink()
    assert translated("x.png", "--like", "shoes") == 0
    sheet = Image.open(shoes / "translations/sheet_0001.png")
    assert sheet.width == 6 + 13 * 26
    shown = [sheet.getpixel((6 + 26 * column, 6))[0] // 18 for column in range(1, 13)]
    assert shown == [0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13]


def test_a_changed_example_is_another_style(translated, shoes):
    translated("x.png", "--like", "shoes/red.png")
    Image.new("RGB", (20, 20), "red").save("shoes/red.png")
    with pytest.raises(SystemExit, match=r"x_like-red\.png is of other settings"):
        translated("x.png", "--like", "shoes/red.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--like", "none.png"], "there is no file or folder none.png"),
        (["--like", "text.png"], "no style can be taken from .*text.png: cannot read image"),
        (["--like", "tiny.png"], "no style can be taken from .*tiny.png: .* is too small"),
        (["--like", "shoes/red.png", "--interpolate", 3], "there is only like-red: choose two"),
        (["--set", "8=1"], "there is no style dimension 8: this model's run from 0 to 7"),
        (["--fresh", "--sweep", "8=0:1:2"], "there is no style dimension 8"),
    ],
)
def test_styles_that_cannot_be_are_told_in_one_line(translated, shoes, arguments, message):
    (shoes / "text.png").write_text("text")
    Image.new("RGB", (2, 2)).save(shoes / "tiny.png")
    with pytest.raises(SystemExit, match=message) as stopped:
        translated("x.png", *arguments)
    assert len(stopped.value.code.splitlines()) == 1
    assert not (shoes / "translations").exists()


NO_CODES = "--reconstruct: this model's method has no codes to reconstruct from"
NO_EXAMPLES = "--like: this model reads no style from an image"
NO_STYLES = "this model's method has no styles, so each image has one translation: leave out"


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        *(
            (method, arguments, NO_STYLES)
            for method in ("unit", "cyclegan")
            for arguments in (
                ["--styles", "3"],
                ["--interpolate", "3"],
                ["--set", "0=1"],
                ["--sweep", "0=-1:1:3"],
                ["--fresh", "--styles", "2"],
            )
        ),
        ("unit", ["--like", "shoes"], NO_EXAMPLES),
        ("cyclegan", ["--like", "shoes"], NO_EXAMPLES),
        ("noisy_cyclegan", ["--like", "shoes"], NO_EXAMPLES),
        ("cyclegan", ["--reconstruct"], NO_CODES),
        ("bicyclegan", ["--reconstruct"], NO_CODES),
    ],
    indirect=["method"],
    ids=str,
)
def test_what_a_method_does_not_have_is_refused_in_one_line(
    shoes, method, arguments, message, monkeypatch
):
    module = method.make()
    export_generators(shoes / "m.safetensors", module.gen_a, module.gen_b)
    monkeypatch.chdir(shoes)
    with pytest.raises(SystemExit, match=f"munit-translate: {message}") as stopped:
        main(["m.safetensors", "x.png", *arguments])
    assert len(stopped.value.code.splitlines()) == 1
    assert not (shoes / "translations").exists()


@pytest.mark.parametrize(
    ("method", "arguments", "made"),
    [
        ("unit", ["--styles", "1"], ["x_s00.png"]),
        ("unit", ["--reconstruct"], ["x_reconstruction.png"]),
        ("noisy_cyclegan", ["--styles", "2", "--set", "1=0"], ["x_s00.png", "x_s01.png"]),
        ("bicyclegan", ["--like", "shoes/red.png"], ["x_like-red.png"]),
    ],
    indirect=["method"],
    ids=str,
)
def test_what_a_method_does_have_it_gives(shoes, method, arguments, made, monkeypatch):
    module = method.make()
    export_generators(shoes / "m.safetensors", module.gen_a, module.gen_b)
    monkeypatch.chdir(shoes)
    assert main(["m.safetensors", "x.png", *arguments]) == 0
    assert sorted(path.name for path in (shoes / "translations").glob("x_*")) == made
