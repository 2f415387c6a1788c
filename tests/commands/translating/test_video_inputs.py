import json
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from munit_pl.commands.translating import inputs as inputs_file
from munit_pl.commands.translating.outputs import Outputs
from munit_pl.inference import video
from munit_pl.inference.animation import animate, even_times
from munit_pl.inference.video import read_frames

pytest.importorskip("av")


@pytest.fixture
def clip(tmp_path):
    """A video of five frames at seven a second, 18 high and 22 wide."""
    rng = np.random.default_rng(0)
    files = [tmp_path / f".{i}.png" for i in range(5)]
    for file in files:
        color = tuple(rng.integers(0, 256, 3).tolist())
        Image.new("RGB", (22, 18), color).save(file)
    path = tmp_path / "in/u/clip.mp4"
    path.parent.mkdir(parents=True)
    animate(files, even_times(5, Fraction(7)), path)
    return path


def outputs(folder, pattern="*_*"):
    paths = folder.rglob(pattern)
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_frames_become_images_and_one_animation_for_each_style(translated, clip, tmp_path):
    assert translated("in", "--styles", 2, "--animate", "mp4") == 0
    folder = tmp_path / "translations/u/clip.mp4"
    frames = [f"00000{i}_s0{k}.png" for i in range(1, 6) for k in (0, 1)]
    assert outputs(folder) == [*frames, "animation_s00.mp4", "animation_s01.mp4"]
    for k in (0, 1):
        animation = folder / f"animation_s0{k}.mp4"
        shown_at = [frame.start for frame in read_frames(animation)]
        assert shown_at == [frame.start for frame in read_frames(clip)]
        for i, (shown, _, _) in enumerate(read_frames(animation), start=1):
            frame = np.asarray(Image.open(folder / f"00000{i}_s0{k}.png")).astype(int)
            assert shown.size == (22, 18)
            assert abs(np.asarray(shown).mean((0, 1)) - frame.mean((0, 1))).max() < 4


def test_all_frames_of_a_video_share_its_own_styles(translated, clip, tmp_path):
    """Others for each frame would flicker."""
    translated("in", "--styles", 1, "--fresh")
    told = (tmp_path / "translations/manifest.jsonl").read_text().splitlines()
    lines = list(map(json.loads, told))
    assert {line["input"] for line in lines} == {f"{clip}/00000{i}" for i in range(1, 6)}
    assert [line["how"] for line in lines] == [{"random": 0, "seed": 0, "of": "u/clip.mp4"}] * 5
    assert len({tuple(line["style"]) for line in lines}) == 1


def test_a_second_run_makes_what_is_missing_alone(translated, clip, tmp_path, capsys):
    arguments = ["in", "--styles", 2, "--animate", "gif"]
    translated(*arguments)
    before = times(tmp_path)
    assert translated(*arguments) == 0
    assert times(tmp_path) == before
    assert "(10 were there already)" in capsys.readouterr().out
    gone = tmp_path / "translations/u/clip.mp4/000003_s01.png"
    gone.unlink()
    translated(*arguments)
    after = times(tmp_path)
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {gone, tmp_path / "translations/manifest.jsonl"}


def test_each_video_is_looked_up_once_and_decoded_once(translated, clip, monkeypatch):
    opened, looked_up = [], []
    original, is_done = video.opened_video, Outputs.is_done
    for module in (video, inputs_file):
        monkeypatch.setattr(
            module, "opened_video", lambda path: opened.append(path) or original(path)
        )
    monkeypatch.setattr(
        Outputs,
        "is_done",
        lambda self, name, with_: looked_up.append(name) or is_done(self, name, with_),
    )
    for _ in range(2):
        opened.clear()
        looked_up.clear()
        assert translated("in", "--styles", 2, "--animate", "gif") == 0
        assert opened == [clip, clip]  # the header, before anything is made, and the frames
        assert len(looked_up) == len(set(looked_up))
    assert len(looked_up) == 2 * (5 + 1)


@pytest.mark.parametrize("left", ["000002_s00.png", "animation_s00.gif"])
def test_other_settings_are_refused_before_anything_is_made(translated, clip, tmp_path, left):
    translated("in", "--styles", 1, "--animate", "gif")
    for path in (tmp_path / "translations").rglob("*_s00.*"):
        if path.name != left:
            path.unlink()
    before = times(tmp_path)
    with pytest.raises(SystemExit, match=rf"{left} is of other settings"):
        translated("in", "--styles", 1, "--animate", "gif", "--seed", 1)
    assert times(tmp_path) == before


def test_a_video_that_breaks_off_is_told_and_not_animated(translated, clip, tmp_path, capsys):
    content = clip.read_bytes()
    clip.write_bytes(content[:200])
    Image.new("RGB", (16, 16)).save(tmp_path / "in/x.png")
    assert translated("in", "--styles", 2, "--animate", "gif") == 1
    told = capsys.readouterr().err
    assert told.count("cannot read video") == 1
    assert "1 of 2 inputs could not be translated" in told
    assert outputs(tmp_path / "translations") == [
        "sheet_0001.png",
        "x_animation.gif",
        "x_s00.png",
        "x_s01.png",
    ]


def test_a_video_of_frames_too_small_is_told_once(translated, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    animate([tmp_path / "x.png"] * 3, even_times(3, Fraction(5)), tmp_path / "clip.mp4")
    assert translated("clip.mp4", "--styles", 1, "--batch-size", 1) == 1
    assert capsys.readouterr().err.count("an image of 8x8 is too small") == 1


def test_frames_are_resized(translated, clip, tmp_path):
    translated(clip, "--styles", 1, "--resize", "16x20")
    with Image.open(tmp_path / "translations/clip.mp4/000005_s00.png") as frame:
        assert frame.size == (20, 16)
