import json
import sys

import pytest
import torch
from PIL import Image

from munit_pl import MUNITModule
from munit_pl.commands import train as train_file
from munit_pl.commands.inputs import InputError
from munit_pl.commands.train import main, train
from munit_pl.evaluation.drawn import Drawn


def load(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def assert_same_state(path, other):
    """Weights and both Adams' states are equal to the bit."""
    here, there = load(path), load(other)
    assert here["global_step"] == there["global_step"]
    for name, weight in here["state_dict"].items():
        assert torch.equal(weight, there["state_dict"][name]), name
    for ours, theirs in zip(here["optimizer_states"], there["optimizer_states"], strict=True):
        assert ours["state"].keys() == theirs["state"].keys()
        for index, state in ours["state"].items():
            for name, value in state.items():
                assert torch.equal(value, theirs["state"][index][name]), (index, name)
    assert here["lr_schedulers"] == there["lr_schedulers"]


def test_max_steps_are_iterations_and_checkpoints_lie_where_asked(config, tmp_path):
    trainer = train(config("trainer.max_steps=10", "callbacks.checkpoints.every_n_steps=4"))
    assert trainer.global_step == 10
    folder = tmp_path / "run" / "checkpoints"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["00000004.ckpt", "00000008.ckpt", "00000010.ckpt", "last.ckpt"]
    assert [load(folder / name)["global_step"] for name in names] == [4, 8, 10, 10]


@pytest.mark.parametrize("workers", [0, 2])
def test_ten_iterations_are_five_and_five_more_in_a_new_process(config, command, tmp_path, workers):
    """Cut in mid-epoch: an epoch is three iterations here."""
    settings = [
        "data.length=6",
        "data.batch_size=2",
        f"data.num_workers={workers}",
        "model.scheduler.step_size=3",
    ]
    train(config(*settings, "trainer.max_steps=10", folder="whole"))
    train(config(*settings, "trainer.max_steps=5", folder="parts"))
    resumed = command(
        "data=drawn",
        f"output_dir={tmp_path / 'parts'}",
        *settings,
        "trainer.max_steps=10",
        "ckpt_path=last",
    )
    assert resumed.returncode == 0, resumed.stderr
    last = "checkpoints/last.ckpt"
    assert_same_state(tmp_path / "whole" / last, tmp_path / "parts" / last)


def test_two_processes_are_one_with_twice_the_batch_and_one_folder(config, command, tmp_path):
    # In fp64: rounding in fp32 turns, through Adam's first steps, into whole steps of some weights.
    settings = ["trainer.max_steps=3", "trainer.precision=64-true", "run=x"]
    two = command(
        "data=drawn",
        *settings,
        "data.batch_size=1",
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
    )
    assert two.returncode == 0, two.stderr
    assert [path.name for path in (tmp_path / "outputs" / "munit").iterdir()] == ["x"]
    train(config(*settings, "data.batch_size=2", folder="one"))
    here = load(tmp_path / "outputs/munit/x/checkpoints/last.ckpt")
    there = load(tmp_path / "one/checkpoints/last.ckpt")
    assert here["global_step"] == there["global_step"] == 3
    for name, weight in there["state_dict"].items():
        torch.testing.assert_close(here["state_dict"][name], weight, atol=1e-5, rtol=0, msg=name)


def test_a_checkpoint_loads_in_a_program_without_configurations(config, tmp_path):
    train(config("trainer.max_steps=1"))
    module = MUNITModule.load_from_checkpoint(tmp_path / "run/checkpoints/last.ckpt")
    assert module.hparams["generator"]["dim"] == 4


def test_a_run_leaves_grids_curves_and_figures(config, tmp_path):
    train(
        config(
            "callbacks=drawn",
            "logger=tensorboard",
            "trainer.max_steps=4",
            "trainer.log_every_n_steps=1",
            "trainer.val_check_interval=2",
            "callbacks.speed.every_n_steps=2",
            "callbacks.grid.every_n_steps=2",
        )
    )
    folder = tmp_path / "run"
    grids = sorted(path.name for path in (folder / "grids").iterdir())
    assert grids == [f"0000000{i}_{d}.png" for i in (2, 4) for d in ("a2b", "b2a")]
    rows = (folder / "csv/version_0/metrics.csv").read_text().splitlines()
    header = rows[0].split(",")
    steps = {int(row.split(",")[header.index("step")]) for row in rows[1:]}
    assert steps == {0, 1, 2, 3}
    assert {"val/image", "speed/iterations_per_second", "speed/images_per_second"} <= set(header)
    for update in ("dis", "gen"):
        assert {f"{update}/{x}" for x in ("gan_a", "gan_b", "total", "lr", "grad_norm")} <= set(
            header
        )
    assert list((folder / "tensorboard").iterdir())
    figures = json.loads((folder / "drawn.json").read_text())
    assert set(figures) == set(Drawn().keys())
    assert Image.open(folder / "drawn.png").size[0] > 100


def test_wandb_goes_offline_without_a_key(config, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    train(config("logger=wandb", "trainer.max_steps=2", "callbacks.grid.every_n_steps=2"))
    (run,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert len(list((run / "files/media/images/grid").iterdir())) == 2


def test_a_folder_that_holds_a_run_is_not_written_over(config):
    train(config("trainer.max_steps=1"))
    with pytest.raises(InputError, match="holds a run already: go on with it"):
        train(config("trainer.max_steps=1"))


def test_last_is_the_newest_run_of_the_name_where_the_folder_is_new(config, tmp_path):
    train(config("trainer.max_steps=2", folder="first"))
    trainer = train(config("trainer.max_steps=3", "ckpt_path=last", folder="second"))
    assert trainer.global_step == 3
    assert (tmp_path / "second/checkpoints/00000003.ckpt").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["ckpt_path=last"], "ckpt_path=last finds no checkpoint in"),
        (["ckpt_path=none.ckpt"], "there is no checkpoint none.ckpt"),
        (["data.size=[8,8]"], "size must be at least 16"),
        (["model.discriminator.num_layers=5"], "too small for the discriminator"),
        (["data.size=[18,18]"], "both sides must be multiples of 4"),
        (["+model.generator.dmi=4"], "model: AdaINGenerator.* unexpected keyword argument 'dmi'"),
        (["model.weights.perceptual=1", "model.perceptual.path=x.pt"], "no file .* at x.pt"),
    ],
)
def test_bad_settings_are_told_in_one_line_before_training(config, tmp_path, overrides, message):
    with pytest.raises(InputError, match=message) as error:
        train(config(*overrides))
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "run/checkpoints").exists()


def test_a_file_that_is_no_checkpoint_is_refused(config, tmp_path):
    (tmp_path / "x.ckpt").write_text("hello")
    with pytest.raises(InputError, match=r"x\.ckpt is no checkpoint"):
        train(config(f"ckpt_path={tmp_path / 'x.ckpt'}"))


def test_a_checkpoint_of_another_model_is_refused(config, tmp_path):
    train(config("trainer.max_steps=1"))
    with pytest.raises(InputError, match=r"of another model: .* is \(.*\) there and \(.*\) here"):
        train(config("model.generator.dim=8", "ckpt_path=last", folder="other"))


def test_a_pickled_program_is_not_run(config, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"state_dict": Payload()}, tmp_path / "x.ckpt")
    with pytest.raises(InputError, match="is no checkpoint"):
        train(config(f"ckpt_path={tmp_path / 'x.ckpt'}"))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.optimizr.lr=1"], "no setting model.optimizr.lr: did you mean model.optimizer.lr?"),
        (["data=foldr"], "there is no data foldr: did you mean folder?"),
        (["+experiment=edges2shos"], "no experiment edges2shos: did you mean edges2shoes?"),
        (["experiment=demo"], "did you mean +experiment?"),
        (["+experiment=edges2shoes"], "`munit-train` alone draws its own data"),
        (["data=folder"], "data.root is not given: add data.root=VALUE"),
    ],
)
def test_the_command_says_what_is_wrong_and_exits_with_an_error(
    monkeypatch, capsys, tmp_path, arguments, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MUNIT_DATA", raising=False)
    monkeypatch.setattr(sys, "argv", ["munit-train", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code not in (0, None)
    told = f"{stopped.value.code}{capsys.readouterr().err}"
    assert message in told
    assert len(told.strip().splitlines()) == 1


def test_processes_started_from_outside_must_share_a_run_name(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["munit-train"])
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit, match="add run=NAME"):
        main()


def test_the_demo_is_what_is_trained_without_a_word(monkeypatch):
    composed = []
    monkeypatch.setattr(train_file, "_main", lambda: composed.extend(sys.argv[1:]))
    for arguments in ([], ["seed=1"], ["data=folder", "data.root=x"], ["+experiment=edges2shoes"]):
        monkeypatch.setattr(sys, "argv", ["munit-train", *arguments])
        main()
    assert composed == [
        "+experiment=demo",
        "seed=1",
        "+experiment=demo",
        "data=folder",
        "data.root=x",
        "+experiment=edges2shoes",
    ]
