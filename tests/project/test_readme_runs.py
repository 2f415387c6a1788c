"""The README's commands and programs run as written, on small networks and few images."""

import re
import shlex
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from methods import METHODS
from PIL import Image
from test_documentation import PROJECT, ROOT, fences

CKPT = "outputs/munit/first/checkpoints/last.ckpt"
# Added to each line of munit-train: no other data, no other run, fewer and smaller of everything.
SMALL = [
    *METHODS["munit"].sizes,
    "trainer.max_steps=1",
    "trainer.accelerator=cpu",
    "data.num_workers=0",
    "callbacks.grid.num_images=1",
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
]
# The others serve, fetch or take hours; they are composed or parsed in test_documentation.py.
HERE = re.compile(r"munit-(train|translate|evaluate|data (check|draw|prepare)) ")
# Several GPUs or jobs, data that were not made here, other methods' sizes.
NOT_HERE = re.compile(r"trainer=ddp|--multirun|\+experiment|model=unit")


def picture(path: Path, seed: int, width: int = 390, height: int = 260) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files that the README speaks of."""
    for i, name in enumerate(("trainA", "trainB", "testA", "testB")):
        for j in range(8):
            picture(tmp_path / "my_data" / name / f"{j}.png", 10 * i + j)
    (tmp_path / "my_data" / "list.txt").write_text("0.png\n1.png\n")
    for i in range(2):
        picture(tmp_path / "photos" / f"{i}.jpg", 100 + i)
        picture(tmp_path / "paintings" / f"{i}.jpg", 200 + i)
        picture(tmp_path / "edges2shoes" / "train" / f"{i}.jpg", 300 + i, 512, 256)
    for i, name in enumerate(("photo.jpg", "shoe.jpg", "bag.jpg", "sketch.png")):
        picture(tmp_path / name, 400 + i, 64, 64)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed() -> list[list[str]]:
    """Return the README's lines that run here."""
    lines = [line for text in fences(ROOT / "README.md", "") for line in text.splitlines()]
    return [
        shlex.split(line, comments=True)
        for line in lines
        if HERE.match(line) and not NOT_HERE.search(line)
    ]


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a line in this process; what it may end with is status 0."""
    command, *arguments = [CKPT if word == "CKPT" else word for word in words]
    if command == "munit-train":
        arguments = ["data=folder data.root=my_data" if w == "..." else w for w in arguments]
        arguments = [*" ".join(arguments).split(), *SMALL]
    monkeypatch.setattr(sys, "argv", [command, *arguments])
    try:
        status = EntryPoint(command, PROJECT["scripts"][command], "").load()()
    except SystemExit as error:
        status = error.code
    assert not status, f"{' '.join(words)}: {status}"


def test_the_first_lines_run_in_order_in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = (ROOT / "README.md").read_text().partition("\nWithout training, ")[2]
    (lines,) = re.findall(r"^```\n(.*?)^```", section.partition("\n## ")[0], re.M | re.S)
    for line in lines.splitlines():
        run(shlex.split(line, comments=True), monkeypatch)
    made = {path.name for path in (tmp_path / "translations").glob("*.png")}
    assert len(made) == 10 + 8 + 1
    assert {"drawing_s09.png", "drawing_like-shoe-8.png", "sheet_0001.png"} < made
    program = re.findall(r"^```python\n(.*?)^```", section, re.M | re.S)[0]
    exec(program, {})
    for i in range(5):  # the command's, since the seeds are the same
        ours, theirs = Image.open(f"shoe_{i}.png"), Image.open(f"translations/drawing_s0{i}.png")
        assert np.abs(np.array(ours, int) - np.array(theirs, int)).max() <= 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_commands_and_programs_run_as_written(folder, monkeypatch):
    pytest.importorskip("av", reason="animations as MP4 need the extra video")
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra evaluate")
    lines = typed()
    assert len(lines) >= 12
    for words in lines:
        run(words, monkeypatch)
    assert (folder / CKPT).is_file()
    assert (folder / "small" / "trainA").is_dir()
    assert len(list((folder / "translations").rglob("*_s00.png"))) >= 2
    assert list((folder / CKPT).parents[1].rglob("metrics.json"))

    (training,) = (text for text in fences(ROOT / "README.md", "python") if "Trainer" in text)
    training = training.replace("100_000", "1").replace("batch_size=4", "num_workers=0")
    small = "MUNITModule(generator={'dim': 4}, discriminator={'dim': 4}, weights="
    assert "MUNITModule(weights=" in training
    x = torch.zeros(2, 3, 64, 64)
    names = {"x_a": x, "example_b": x[:1]}
    exec(training.replace("MUNITModule(weights=", small), names)
    assert names["x_ab"].shape == x.shape
