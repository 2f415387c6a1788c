import io
import json
import os
import re
import sys
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from munit_pl.commands.data import main
from munit_pl.commands.datasets.suggesting import TrialRun
from munit_pl.commands.terminal import guard_terminal
from munit_pl.data.drawn.dataset import DrawnShoes
from munit_pl.data.images.bit_depth import FULL
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.data.tools import inspection
from munit_pl.data.tools.check_journal import CheckJournal


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def tried(monkeypatch):
    """The settings that were tried out; nothing is trained."""
    settings = []

    def try_out(these, device):
        settings.extend(these)
        return TrialRun("CPU, 32-true", 0.5, 2000, 2**28)

    monkeypatch.setattr("munit_pl.commands.datasets.suggesting.try_out", try_out)
    return settings


@pytest.fixture
def data(tmp_path):
    """Two domains of 16x16 images, 3 and 2 for training and 1 each to test on."""
    rng = np.random.default_rng(0)
    for folder, count in {"trainA": 3, "trainB": 2, "testA": 1, "testB": 1}.items():
        (tmp_path / "data" / folder).mkdir(parents=True)
        for n in range(count):
            picture(rng).save(tmp_path / "data" / folder / f"{n}.png")
    return tmp_path / "data"


def picture(rng, height=16, width=16):
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def check(*arguments):
    return main(["check", *map(str, arguments), "--workers", "0"])


def cells(table, row):
    """The numbers of a row of the table."""
    (line,) = (line for line in table.splitlines() if line.startswith(f"{row} "))
    return [int(cell) for cell in line.removeprefix(row).split()]


def test_sound_data_stop_no_run(data, capsys):
    assert check(data) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["train_a", "train_b", "test_a", "test_b"]
    assert cells(out, "images") == [3, 2, 1, 1]
    assert cells(out, "cannot be used") == [0, 0, 0, 0]
    assert cells(out, "below 256") == [3, 2, 1, 1]
    assert "formats: PNG RGB 3\n" in out
    assert "STOPS" not in out
    assert "\nNothing stops a run.\n\nTRY THIS\n  munit-train data=folder data.root=" in out
    assert out.endswith(
        "model=munit_modern demo=munit_modern data.resize=64 data.crop=64 data.batch_size=2 "
        "trainer.precision=auto +recipe=diffaugment name=trial run=first ckpt_path=auto\n"
        "  2000 iterations of 0.5 s (CPU, 32-true): pictures to judge by after about 17 min; the "
        "run's tensors take 0.25 GiB\n"
    )
    assert err == ""  # a bar only where somebody watches


def test_folders_of_other_names_and_pairs_are_what_is_tried(data, tried, capsys):
    (data / "trainA").rename(data / "photos")
    assert check(data, "--train-a", "photos") == 0
    assert tried[:3] == ["data=folder", f"data.root={data}", "data.train_a=photos"]
    tried.clear()
    rng = np.random.default_rng(0)
    (data / "train").mkdir()
    picture(rng, 16, 32).save(data / "train/1.png")
    assert check(data, "--aligned") == 0
    assert tried[:3] == ["data=aligned", "data.paired=false", f"data.root={data}"]


def test_what_cannot_be_tried_is_told(data, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("out of\nluck")

    monkeypatch.setattr("munit_pl.commands.datasets.suggesting.try_out", fail)
    assert check(data) == 0
    assert capsys.readouterr().out.endswith("\n  could not be tried: out of luck\n")


def test_what_cannot_be_used_is_named_and_stops_a_run(data, capsys):
    (data / "trainA" / "bad.jpg").write_bytes(b"hello")
    (data / "trainA" / "notes.txt").write_bytes(b"hello")
    assert check(data) == 0  # a single one never does
    (data / "trainA" / "line\nbreak.jpg").touch()
    assert check(data) == 1
    out = capsys.readouterr().out
    assert f"\n  {str(data / 'trainA' / 'bad.jpg')!r} starts as none of JPEG" in out
    assert "line\\nbreak.jpg' is empty\n" in out
    assert "  ignored, by ending: .txt 1\n" in out
    assert "STOPS A RUN\n  train_a and test_a: 2 of 6 images cannot be used" in out
    assert "SKIPPED\n  train_a: 2 of 5 images that cannot be used\n" in out


def test_sizes_are_judged_by_the_settings_of_the_run(data, capsys):
    assert check(data, "--resize", "null", "--crop", "17", "16") == 1
    out = capsys.readouterr().out
    assert "0.png' is 16x16 (height x width), and cannot hold the crop 17x16: set " in out
    assert "STOPS A RUN\n  train_a: none of its 3 images can be used\n" in out
    assert check(data, "--resize", "null", "--crop", "16", "16") == 0
    assert check(data, "--resize", "32", "--crop", "17", "32") == 0
    assert cells(capsys.readouterr().out.partition("run.\n")[2], "below 32") == [3, 2, 1, 1]


def test_the_table_holds_each_kind_of_image(data, capsys):
    a = data / "trainA"
    rng = np.random.default_rng(1)
    exif = Image.Exif()
    exif[0x0112] = 3
    picture(rng, 40, 50).save(a / "turned.jpg", exif=exif)
    picture(rng, 20, 170).save(a / "long.png")
    Image.new("RGB", (300, 400), "white").save(a / "white.png")
    Image.linear_gradient("L").point(lambda level: level // 20).save(a / "dim.png")
    Image.new("LA", (30, 30), (7, 0)).save(a / "clear.png")  # shown on white: of one color
    picture(rng).save(a / "moving.gif", save_all=True, append_images=[picture(rng)])
    Image.open(a / "0.png").save(a / "again.bmp")
    check(data)
    out = capsys.readouterr().out
    rows = {
        "images": 10,
        "cannot be used": 1,  # the long one
        "of one color": 2,
        "of nearly one color": 1,
        "copies of others": 1,
        "shortest side, least": 16,
        "median": 16,  # of 16 16 16 16 16 20 30 40 256 300 the fifth
        "most": 300,
        "below 256": 8,
        "longer than 8:1": 1,
        "turned by EXIF": 1,
        "transparent": 1,
        "of several frames": 1,
    }
    assert {row: cells(out, row)[0] for row in rows} == rows
    assert f"  {str(a / 'white.png')!r} is of one color\n" in out
    assert "  train_a: 2 images of one color\n" in out


def test_domains_of_one_folder_stop_a_run(data, capsys):
    assert check(data, "--train-b", "trainA") == 1
    assert "train_a and train_b are the same files" in capsys.readouterr().out


def test_a_missing_training_folder_stops_a_run_and_a_missing_test_does_not(data, capsys):
    assert check(data, "--test-b", "none") == 0
    assert f"there is no {str(data / 'none')!r}: the test is on training" in capsys.readouterr().out
    assert check(data, "--train-b", "none") == 1
    out = capsys.readouterr().out
    assert f"  train_b: there is no folder {str(data / 'none')!r}\n" in out
    assert "shortest side, least" in out


def test_domains_in_folders_of_other_names_are_told_by_name(data, capsys):
    (data / "trainA").rename(data / "photos")
    (data / "trainB").rename(data / "paintings")
    with pytest.raises(SystemExit, match="2"):
        check(data)
    assert capsys.readouterr().err == (
        f"munit-data: there is no folder {str(data / 'trainA')!r}: name each domain's folder, as "
        f"munit-data check {data} --train-a paintings --train-b photos\n"
    )


def test_aligned_files_are_judged_by_their_halves(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for folder, count in (("train", 3), ("val", 1)):
        (tmp_path / folder).mkdir()
        for n in range(count):
            picture(rng, 16, 24).save(tmp_path / folder / f"{n}.png")
    assert check(tmp_path, "--aligned") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["train", "test"]
    assert cells(out, "most") == [12, 12]
    picture(rng, 16, 25).save(tmp_path / "train" / "odd.png")
    picture(rng, 16, 27).save(tmp_path / "train" / "odder.png")
    assert check(tmp_path, "--aligned") == 1


def test_json_holds_all_of_it(data, tmp_path):
    (data / "trainA" / os.fsdecode(b"\xff.jpg")).touch()
    assert check(data, "--json", tmp_path / "all.json") == 0
    found = json.loads((tmp_path / "all.json").read_text())["folders"]["train_a"]
    assert found["bad"] == {str(data / "trainA" / os.fsdecode(b"\xff.jpg")): "is empty"}
    assert found["sizes"][str(data / "trainA" / "0.png")] == [16, 16]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--crop", "300", "300"], "crop 300x300 does not fit an image"),
        (["--resize", "0"], "resize is 0"),
        (["--resize", "large"], "'large' is no number of pixels, and not null"),
        (["--workers", "-1"], "--workers is -1"),
        (["--json", "no/such/folder/all.json"], "there is no folder"),
        (["--typo"], "unrecognized arguments: --typo"),
    ],
)
def test_wrong_usage_is_told_before_any_work(data, capsys, arguments, reason):
    with pytest.raises(SystemExit) as error:
        main(["check", str(data), *arguments])
    assert error.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err.splitlines()[-1]


def test_a_missing_root_is_wrong_usage(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        check(tmp_path / "none")
    assert error.value.code == 2
    assert capsys.readouterr().err == (
        f"munit-data: there is no folder {str(tmp_path / 'none')!r}\n"
    )


def test_an_interrupt_is_no_traceback(data, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("munit_pl.commands.datasets.checking.inspect_images", interrupted)
    assert check(data) == 130


def test_an_interrupted_check_goes_on_where_it_was(data, monkeypatch, tmp_path, capsys):
    whole, read = inspection.look_at, []
    images = sorted((data / "trainA").iterdir())

    def looked_at(path, halves, max_value):
        read.append(path)
        if len(read) == 3:
            raise KeyboardInterrupt
        return whole(path, halves, max_value)

    assert check(data, "--json", tmp_path / "once.json", "--workers", "0") == 0
    monkeypatch.setattr(inspection, "look_at", looked_at)
    assert check(data, "--workers", "0") == 130
    os.utime(images[1], (1, 1))  # changed since
    assert check(data, "--json", tmp_path / "again.json", "--workers", "0") == 0
    assert images[0] not in read[3:]
    assert set(images[1:]) <= set(read[3:])
    once, again = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("once", "again")
    )
    assert again == once
    assert list((tmp_path / "cache").rglob("*.jsonl")) == []


def test_what_an_earlier_version_noted_in_other_fields_is_looked_at_anew(data, tmp_path):
    assert check(data, "--json", tmp_path / "once.json", "--workers", "0") == 0
    with suppress(InterruptedError), CheckJournal(data) as journal:
        for path in (data / "trainA").iterdir():
            journal.add(path, [[32, 32], "PNG RGB", False, False, False, 9, "0", None], False, FULL)
        raise InterruptedError
    assert journal.path.stat().st_size > 0
    assert check(data, "--json", tmp_path / "again.json", "--workers", "0") == 0
    assert (tmp_path / "again.json").read_text() == (tmp_path / "once.json").read_text()


def test_a_check_needs_no_cache(data, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert check(data) == 0


def test_names_of_any_bytes_are_printed_to_any_terminal(data, monkeypatch):
    (data / "trainA" / os.fsdecode(b"\xff.jpg")).touch()
    (data / "trainA" / "\u65e5.jpg").touch()
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, terminal)
    guard_terminal()
    assert main(["check", str(data), "--workers", "2"]) == 1
    terminal.seek(0)
    printed = terminal.read()
    assert "\\udcff.jpg' is empty\n" in printed
    assert "\\u65e5.jpg' is empty\n" in printed


# Data sets in tables


def save_set(data, path):
    """Save the images of folders, two splits of each domain, as a table's rows."""
    datasets = pytest.importorskip("datasets", reason="the extra datasets has it")
    kinds = datasets.Features(image=datasets.Image())
    splits = {}
    for folder in data.iterdir():
        rows = [{"bytes": file.read_bytes(), "path": None} for file in sorted(folder.iterdir())]
        splits[folder.name] = datasets.Dataset.from_dict({"image": rows}, kinds)
    datasets.DatasetDict(splits).save_to_disk(path)
    return path


def save_pairs(path, **columns):
    """Save columns of images as a table of one split."""
    datasets = pytest.importorskip("datasets", reason="the extra datasets has it")
    rows = {}
    for name, images in columns.items():
        rows[name] = []
        for image in images:
            image.save(file := io.BytesIO(), "PNG")
            rows[name].append({"bytes": file.getvalue(), "path": None})
    kinds = datasets.Features({name: datasets.Image() for name in columns})
    datasets.Dataset.from_dict(rows, kinds).save_to_disk(path)
    return path


def test_of_a_data_set_the_same_is_told_as_of_folders_of_its_images(data, tmp_path, capsys, tried):
    (data / "trainA/2.png").write_bytes((data / "trainA/1.png").read_bytes())
    Image.new("RGB", (9, 20), "white").save(data / "trainB/1.png")
    Image.open(data / "trainA/1.png").save(data / "testA/0.png")
    folders = save_set(data, tmp_path / "set"), data
    for workers in ("0", "2"):
        told = []
        for root in folders:
            assert main(["check", str(root), "--crop", "10", "10", "--workers", workers]) == 0
            table, _, after = capsys.readouterr().out.partition("\ntrain_a: ")
            notes = after.partition("GOOD TO KNOW")[2].partition("Nothing stops")[0]
            told.append((table, [line for line in notes.splitlines() if "file names" not in line]))
        assert told[0] == told[1]
    assert "copies of others" in told[0][0]
    assert any("train_a and test_a share 2 images" in line for line in told[0][1])
    assert tried[:2] == ["data=huggingface", f"data.path={tmp_path / 'set'}"]


def test_a_check_of_a_data_set_goes_on_where_it_was(data, monkeypatch, tmp_path):
    saved, whole, read = save_set(data, tmp_path / "set"), inspection.look_at, []

    def looked_at(row, halves, max_value):
        read.append(str(row).removeprefix(f"{saved}/"))
        if len(read) == 3:
            raise KeyboardInterrupt
        return whole(row, halves, max_value)

    monkeypatch.setattr(inspection, "look_at", looked_at)
    assert check(saved) == 130
    assert check(saved) == 0
    assert read[:3] == [f"trainA/image/{i}" for i in range(3)]
    assert read[3:5] == ["trainA/image/2", "trainB/image/0"]
    read.clear()
    assert check(saved) == 130
    for file in saved.glob("*/*.arrow"):
        os.utime(file, (1, 1))  # changed since
    assert check(saved) == 0
    assert read[3:5] == ["trainA/image/0", "trainA/image/1"]


def test_pairs_of_which_one_cannot_be_used_are_named(tmp_path, capsys, tried):
    rng = np.random.default_rng(0)
    a, b = ([picture(rng) for _ in range(5)] for _ in "ab")
    a[1], b[2], b[3] = picture(rng, 2, 30), picture(rng, 40, 2), picture(rng, 16, 20)
    saved = save_pairs(tmp_path / "set", imageA=a, imageB=b)
    assert check(saved, "data=huggingface", "data.paired=true") == 1
    out = capsys.readouterr().out
    assert "domain b has no test split" in out
    assert cells(out, "cannot be used") == [3, 3]
    assert f"{str(saved / 'train/imageA/2')!r} has a partner that is 40x2" in out
    shapes = "is resized to 256x320, and its partner to 256x256: make them of one shape"
    assert f"{str(saved / 'train/imageB/3')!r} {shapes}" in out
    assert check(saved) == 0
    assert cells(capsys.readouterr().out, "cannot be used") == [1, 1]


def test_a_data_set_is_judged_by_the_settings_of_the_run(data, tmp_path, capsys):
    (data / "trainA/1.png").write_bytes(b"no image")
    (data / "trainA/2.png").write_bytes(b"nor this")
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16)).save(data / "trainB/0.png")
    saved = save_set(data, tmp_path / "set")
    assert check(saved) == 1
    assert "takes 255 for white" in capsys.readouterr().out
    assert check(saved, "data.max_bad_fraction=1", "data.max_value_b=4095") == 0
    out = capsys.readouterr().out
    assert cells(out, "images") == [3, 2, 1, 1]
    assert "takes 4095 for white" in out
    assert check(saved, "data.max_images=1") == 0
    assert cells(capsys.readouterr().out, "images") == [1, 1, 1, 1]


def test_what_is_wrong_with_the_naming_of_a_data_set_is_one_line(data, tmp_path, capsys):
    saved = save_set(data, tmp_path / "set")
    for arguments, message in [
        ((saved, "--train-a", "x"), "--train-a is for folders: of a data set name"),
        ((data, "data=folder"), f"data=folder: folders of images are checked as .* {data}, with"),
        ((data, "data.max_images=9"), "data.max_images=9: folders of images are checked as "),
        (
            ("data=folder", "data.root=.", "data.train_a=photos", "data.train_b=paintings"),
            "as munit-data check . --train-a photos --train-b paintings, without settings",
        ),
        (("data=aligned", "data.root=x"), "as munit-data check x --aligned, without settings"),
        ((tmp_path, "data.train_a=y"), "data.train_a=y: folders .* --train-a y, without"),
        ((saved, "data.domain_a.train=x"), "data.domain_a.train=x: .* has .*trainA"),
        ((saved, "data.paired=true"), "data.paired=true takes both images of a pair"),
        ((data / "trainA/0.png",), "holds no parquet files, no tar shards"),
        ((), "give ROOT, or settings such as data=huggingface data.path=SET"),
    ]:
        with pytest.raises(SystemExit, match="2"):
            check(*arguments)
        assert re.search(message, capsys.readouterr().err.splitlines()[-1])


# Preparing


def prepare(*arguments):
    return main(["prepare", *map(str, arguments), "--workers", "0"])


def test_a_prepared_copy_passes_the_check(data, tmp_path, capsys):
    (data / "trainA" / "bad.jpg").write_bytes(b"hello")
    Image.new("RGBA", (16, 16), (9, 9, 9, 0)).save(data / "trainB" / "clear.png")
    assert prepare(data, tmp_path / "out", "--size", "12") == 0
    out, err = capsys.readouterr()
    assert out.startswith("skipped: 'trainA/bad.jpg' starts as none of JPEG")
    assert "laid on white: 1 transparent images" in out
    assert out.endswith(f"8 images in {str(tmp_path / 'out')!r}; 1 files were skipped\n")
    assert err == ""
    assert check(tmp_path / "out", "--resize", "12", "--crop", "12", "12") == 0
    table = capsys.readouterr().out
    assert cells(table, "images") == [3, 3, 1, 1]
    assert cells(table, "most") == [12, 12, 12, 12]


def test_preparing_twice_says_what_was_there(data, tmp_path, capsys):
    prepare(data, tmp_path / "out")
    assert prepare(data, tmp_path / "out") == 0
    assert "7 images in " in (said := capsys.readouterr().out)
    assert ", 7 of them there already; 0 files were skipped\n" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "0"], "--size is 0, but must be at least 1"),
        (["--workers", "-1"], "--workers is -1, but must not be negative"),
    ],
)
def test_impossible_options_of_prepare_are_refused(data, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit, match="2"):
        main(["prepare", str(data), str(tmp_path / "out"), *options])
    assert capsys.readouterr().err == f"munit-data: {message}\n"


def test_nothing_is_prepared_from_nothing(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        prepare(tmp_path / "none", tmp_path / "out")
    assert "there is no folder" in capsys.readouterr().err


def test_small_images_are_told_sizes_that_suit_them(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for folder in ("trainA", "trainB"):
        (tmp_path / folder).mkdir()
        for n, side in enumerate((100, 120, 300)):
            picture(rng, side, side + 30).save(tmp_path / folder / f"{n}.png")
    told = "at most 120 pixels and are {}: to train near their own size, in less time, "
    sizes = "give a long run data.resize=112 data.crop=112\n"
    assert check(tmp_path) == 0
    assert told.format("enlarged to 256") + sizes in capsys.readouterr().out
    check(tmp_path, "--resize", "null")
    assert told.format("too small") + sizes in capsys.readouterr().out
    assert check(tmp_path, "--resize", 112, "--crop", 112, 112) == 0  # as it says
    assert "near their own size" not in capsys.readouterr().out


def test_drawings_are_those_of_the_test_and_replace_nothing(tmp_path, capsys):
    for out, domain, names in (
        ("drawing.png", "a", ["drawing.png"]),
        ("new/drawings", "a", [f"drawings/drawing_{i}.png" for i in range(1, 9)]),
        ("new/shoes", "b", [f"shoes/shoe_{i}.png" for i in range(1, 9)]),
    ):
        for _ in "12":  # the same again changes nothing
            assert main(["draw", str(tmp_path / out), "--domain", domain]) == 0
        shoes = DrawnShoes(domain, "test", 8)
        for i, name in enumerate(names):
            drawn = np.array(Image.open((tmp_path / out).parent / name))
            assert np.array_equal(drawn, np.array(to_pil_image(shoes.load(i))))
    assert capsys.readouterr().out.startswith("1 drawing in ")
    mine = tmp_path / "shoes" / "shoe_3.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    for out, says in (("shoes", "shoe_3.png' is there already"), ("a.jpg", "give .*a.png'")):
        with pytest.raises(SystemExit, match="2"):
            main(["draw", str(tmp_path / out), "--domain", "b"])
        assert re.search(says, capsys.readouterr().err)
    assert [path.name for path in mine.parent.iterdir()] == [mine.name]
    assert mine.read_bytes() == b"mine"
