import shlex
import sys

import pytest
from methods import METHODS
from PIL import Image

from munit_pl import AlignedDataModule, UnpairedDataModule
from munit_pl.commands import train, translate
from munit_pl.commands.runtime import run_summary
from munit_pl.commands.runtime.run_summary import inputs_of
from munit_pl.commands.terminal import short_path

TINY = [
    *METHODS["munit"].sizes,
    "trainer.accelerator=cpu",
    "trainer.limit_val_batches=0",
    "data.num_workers=0",
    "callbacks.grid.num_images=2",
    "~callbacks.bar",
]


@pytest.fixture
def typed(monkeypatch):
    """Run ``munit-train`` in this process."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["munit-train", *words])
        train.main()

    return run


def told(text):
    """Return the newest of what was told under each title."""
    pairs = (line.split("  ", 1) for line in text.splitlines() if "  " in line.strip())
    return {title: value.strip() for title, value in pairs}


def in_log(folder):
    lines = (folder / "train.log").read_text().splitlines()
    return told("\n".join(line.split("INFO ")[-1] for line in lines))


def test_what_is_told_works_as_it_stands(tmp_path, monkeypatch, capsys, typed):
    monkeypatch.chdir(tmp_path)
    typed(
        "data=drawn",
        "data.size=[16,16]",
        "data.length=5",
        "data.test_length=3",
        "seed=1",
        "name=my runs",
        "trainer.max_steps=1",
        *TINY,
    )
    out = capsys.readouterr().out
    rows = told(out)
    folder = tmp_path / rows["results"]
    assert in_log(folder) == rows
    assert rows["images"] == "a 5 (test 3), b 5 (test 3); 16x16"
    assert rows["precision"] == "32-true"
    assert (tmp_path / rows["look at"]).exists()
    assert (tmp_path / rows["checkpoint"]).exists()

    for _ in range(2):  # the second time it makes nothing
        assert translate.main(shlex.split(rows["translate"])[1:]) == 0
    assert len(list((folder / "translations").glob("?_*.png"))) == 3 * 10

    capsys.readouterr()
    typed(*shlex.split(rows["resume"])[1:])
    rows = told(capsys.readouterr().out)
    assert rows["results"] == short_path(folder)
    assert rows["resuming from"] == short_path(folder / "checkpoints/00000001.ckpt")
    assert (folder / "checkpoints/00000002.ckpt").exists()
    assert "seed=1 " in rows["resume"]
    assert rows["resume"].endswith(" ckpt_path=last trainer.max_steps=4")

    record = (folder / ".hydra/overrides.yaml").read_text()
    typed(*shlex.split(rows["resume"])[1:], "trainer.max_steps=2")
    again = told(capsys.readouterr().out)
    assert again["done already"] == "iteration 2 of 2"
    assert again["resume"] == rows["resume"]
    assert (folder / ".hydra/overrides.yaml").read_text() == record


def test_a_run_whose_rate_has_fallen_to_0_is_not_sent_on(tmp_path, monkeypatch, capsys, typed):
    monkeypatch.chdir(tmp_path)
    schedule = ["kind=linear", "constant=1", "decay=1"]
    typed(
        "data=drawn",
        "data.size=[16,16]",
        "data.length=5",
        "trainer.max_steps=2",
        *(f"model.scheduler.{setting}" for setting in schedule),
        *TINY,
    )
    assert "munit-train" not in told(capsys.readouterr().out)["resume"]


def test_white_of_16_bits_is_told(tmp_path):
    for folder, white in (("trainA", 4095), ("trainB", 65535)):
        (tmp_path / folder).mkdir()
        Image.new("I;16", (16, 16), white).save(tmp_path / folder / "0.png")
    data = UnpairedDataModule(tmp_path, resize=16, crop=16)
    data.setup()
    assert run_summary._images(data) == "a 1, b 1; 16x16; white of 16-bit a is 4095"


def test_inputs_are_the_users_images_of_domain_a_or_test_images_as_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    both = Image.linear_gradient("L").resize((32, 16)).convert("RGB")
    both.paste("lime", (0, 0, 16, 16))
    for folder in ("train", "-x/trainA", "-x/trainB"):
        (tmp_path / folder).mkdir(parents=True)
        both.rotate(180 * ("B" in folder)).save(tmp_path / folder / "1.png")
    aligned = AlignedDataModule(tmp_path, crop=(16, 16), resize=16)
    aligned.setup()
    (written,) = inputs_of(aligned, tmp_path).iterdir()
    assert Image.open(written).getpixel((8, 8)) == (0, 255, 0)
    unpaired = UnpairedDataModule("-x", crop=(16, 16), resize=16)
    assert short_path(inputs_of(unpaired, tmp_path)) == "./-x/trainA"
    (tmp_path / "-x/testA").mkdir()
    assert short_path(inputs_of(unpaired, tmp_path)) == "./-x/testA"
