import warnings

import pytest
import torch

from munit_pl.hub.model_lookup import find_checkpoint, find_model, run_of
from munit_pl.io.checkpoint_files import link_durably, write_durably


def run(folder, *steps):
    """Make a run's folder with checkpoints of these iterations."""
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    for step in steps:
        path = checkpoints / f"{step:08d}.ckpt"
        write_durably(path, lambda file, step=step: torch.save({"global_step": step}, file))
    link_durably(path, checkpoints / "last.ckpt")
    return folder


def test_a_runs_folder_stands_for_its_newest_checkpoint(tmp_path):
    folder = run(tmp_path / "x", 9, 10)
    for named in (folder, folder / "checkpoints", str(folder)):
        assert find_model(named) == find_checkpoint(named) == folder / "checkpoints/00000010.ckpt"
    (folder / "model.safetensors").touch()  # an export comes first, where a model is asked for
    assert find_model(folder).name == "model.safetensors"
    assert find_checkpoint(folder).name == "00000010.ckpt"


def test_damaged_checkpoints_of_a_run_are_passed_over_and_told(tmp_path):
    folder = run(tmp_path / "x", 9, 10)
    with (folder / "checkpoints/00000010.ckpt").open("r+b") as file:
        file.write(b"damage")  # in place: last.ckpt is the same file
    told = []
    assert find_model(folder, told.append).name == "00000009.ckpt"
    assert [line.startswith("skipped: ") for line in told] == [True]
    with pytest.warns(match=r"skipped: .*00000010\.ckpt is damaged"):
        find_model(folder)
    (folder / "checkpoints/00000009.ckpt").unlink()
    with pytest.raises(ValueError, match=r"checkpoints has no whole checkpoint: .* is damaged"):
        find_model(folder)


def test_a_folder_of_runs_is_told_with_the_newest_of_them(tmp_path):
    for name in ("2025-01-01", "2026-01-01"):
        run(tmp_path / name, 5)
    with pytest.raises(FileNotFoundError, match=r"name one of its runs, such as .*2026-01-01$"):
        find_model(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors, .* no checkpoints$"):
        find_model(tmp_path / "empty")


def test_a_checkpoint_knows_the_run_that_it_lies_in(tmp_path):
    folder = run(tmp_path / "x", 5)
    (folder / "evaluation").mkdir()
    assert run_of(folder / "checkpoints/last.ckpt") == folder.resolve()
    assert run_of(folder / "evaluation/best.ckpt") == folder.resolve()
    assert run_of(folder / "last.ckpt") is None
    assert run_of(tmp_path / "last.ckpt") is None


def test_nothing_is_said_where_all_is_whole(tmp_path):
    folder = run(tmp_path / "x", 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_model(folder)
